"""From text to the tokens that vLLM takes, and from its outputs to completions whose tokens join to the text.

What is spelled like a control token in a prompt is text, for notes may hold anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dirag.data import Completion, Token, Usage
from dirag.errors import BackendError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast
    from vllm import RequestOutput
    from vllm.logprobs import Logprob


class VllmTokenizer:
    """The tokenizer of a model; ``top`` is the number of alternatives with each token."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, *, top: int = 0) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise BackendError(
                f"the tokenizer {type(tokenizer).__name__} cannot take control tokens as text",
                hint="put a tokenizer.json beside the weights",
            )
        self._tokenizer, self._top = tokenizer, top

    def encode(self, text: str) -> list[int]:
        """Returns the tokens of a prompt; raises UnicodeEncodeError where it holds a lone surrogate."""
        text.encode()
        tokens: list[int] = self._tokenizer.encode(text, split_special_tokens=True, verbose=False)
        return tokens

    def completion(self, prompt: Sequence[int], output: RequestOutput) -> Completion:
        """Returns what vLLM wrote for the prompt with these tokens."""
        (answer,) = output.outputs
        if answer.finish_reason not in ("stop", "length"):
            return Completion.failed(f"vLLM ended the request: {answer.finish_reason}")
        pieces = self._pieces(prompt, answer.token_ids, len(answer.text))
        tokens = tuple(
            self._token(piece, number, place)
            for piece, number, place in zip(pieces, answer.token_ids, answer.logprobs or (), strict=True)
        )
        usage = Usage(len(prompt), len(answer.token_ids), output.num_cached_tokens or 0)
        return Completion(answer.text, tokens, answer.finish_reason, usage)

    def _token(self, piece: str, number: int, place: dict[int, Logprob]) -> Token:
        ranked = sorted(place.values(), key=lambda p: p.rank or 0)
        best = tuple((p.decoded_token or "", p.logprob) for p in ranked[: self._top])
        return Token(piece, place[number].logprob, best)

    def _pieces(self, prompt: Sequence[int], answer: Sequence[int], length: int) -> Iterator[str]:
        """Yields what each token adds to the text, which a stop string has cut to this length.

        A character that takes several tokens comes with the last of them, as vLLM counts it too.
        """
        from tokenizers.decoders import DecodeStream

        # From the prompt on: what a token adds may depend on the one before, as half a character does.
        stream = DecodeStream(ids=list(prompt), skip_special_tokens=True)
        for number in answer:
            piece = stream.step(self._tokenizer.backend_tokenizer, number) or ""
            yield piece[: max(0, length)]
            length -= len(piece)
