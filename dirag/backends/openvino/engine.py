"""OpenVINO in this process: GGUF weights on a CPU, many prompts in work at once, completions in order.

Prompts are computed in pieces beside the answers of others (continuous batching), over a paged cache that
keeps the beginnings of prompts. The same prompt gives the same tokens and log-probabilities, bit for bit,
whatever is in work beside it. A prompt that is longer than the context is a failed completion, never a cut
one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dirag.backends import gguf_tokenizer
from dirag.backends.admission import admit
from dirag.backends.openvino import model
from dirag.backends.openvino.decoding import Decoder
from dirag.backends.openvino.kv_blocks import KvBlocks
from dirag.backends.openvino.model import OpenVinoModel, PromptPiece
from dirag.backends.ordered import in_steps
from dirag.config import Config, adapter_of
from dirag.data import Completion, Prompt, Usage
from dirag.errors import BackendError

_LEAST = 2  # tokens of a prompt that are computed together
_ROOM = 512  # tokens of a usual prompt with its answer


class OpenVino:
    """An engine over one GGUF file, with at most ``parallel`` prompts in work at a time."""

    def __init__(
        self,
        path: Path,
        *,
        context: int = 2048,
        parallel: int = 16,
        threads: int | None = None,
        adapter: Path | None = None,
        top: int = 0,
    ) -> None:
        """Loads the weights, to which those of a LoRA ``adapter`` are added once and for all.

        ``top`` is the number of alternatives with each token. Raises BackendError where OpenVINO cannot
        read ``path``, or the adapter is not one of this model.
        """
        folder = model.converted(path, adapter)
        self._tokenizer = gguf_tokenizer.load(folder)
        self.context = min(context, self._tokenizer.context)
        tokens = max(self.context, parallel * min(self.context, _ROOM))
        self._model: OpenVinoModel | None = OpenVinoModel(folder, threads=threads, tokens=tokens)
        self._room = self._model.step
        self._blocks = KvBlocks(self._model.blocks, self._model.block_size)
        self._parallel, self._top = parallel, top
        self.name = f"openvino:{path.name}" + (f"+{adapter.name}" if adapter else "")

    def count_tokens(self, text: str) -> int:
        """Returns the exact number of tokens of a prompt, the one that begins it included."""
        return len(self._tokenizer.encode(text.encode(errors="replace").decode()))

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Completion]:
        """Yields completions in order; prompts are read ahead only to keep the engine busy."""
        return in_steps(prompts, self._request, self._step, self._abandon, parallel=self._parallel)

    def notices(self) -> Sequence[str]:
        return ()

    def close(self) -> None:
        """Frees the weights."""
        self._model = None

    def _request(self, prompt: Prompt) -> _Request | Completion:
        if self._model is None:
            raise BackendError(f"{self.name} is closed", hint="open it again")
        admitted = admit(prompt, self._tokenizer.encode, context=self.context)
        if isinstance(admitted, Completion):
            return admitted
        tokens, most = admitted
        return _Request(tokens, Decoder(prompt, self._tokenizer, most=most, top=self._top), most)

    def _step(self, busy: Sequence[_Request]) -> None:
        """Computes one call: a token of each answer, and prompts as far as there is room for them."""
        room, pieces = self._room, []
        for request in busy:
            # The first without blocks ends the round: smaller ones behind it would overtake it for ever.
            if not room or (not request.blocks and not self._start(request)):
                break
            if piece := request.next_piece(room):
                room -= len(piece.tokens)
                pieces.append((request, piece))
        if not pieces:
            return
        if self._model is None:
            raise BackendError(f"{self.name} is closed", hint="open it again")
        logits = iter(self._model.infer([piece for _, piece in pieces]))
        for request, piece in pieces:
            request.past += len(piece.tokens)
            if piece.wanted:
                # Shared from now on: before, other prompts would have read blocks that are not yet filled.
                if not request.written:
                    self._blocks.computed(request.prompt, request.blocks)
                request.written.append(request.decoder.extend(next(logits)))
                if request.decoder.finish:
                    self._blocks.give_back(request.blocks)
                    usage = Usage(len(request.prompt), len(request.written), request.cached)
                    request.completion = request.decoder.completion(usage)

    def _start(self, request: _Request) -> bool:
        """Gives a request its blocks, some of them perhaps with the beginning of its prompt."""
        placement = self._blocks.take(request.prompt, len(request.prompt) + request.most)
        if placement is None:
            return False
        if placement.copy and self._model:
            self._model.copy(*placement.copy)
        request.blocks = placement.blocks
        request.past = request.cached = placement.past
        return True

    def _abandon(self, requests: Iterable[_Request]) -> None:
        for request in requests:
            self._blocks.give_back(request.blocks)


@dataclass(slots=True)
class _Request:
    """A prompt in work: the first ``past`` tokens of prompt and answer are computed."""

    prompt: list[int]
    decoder: Decoder
    most: int
    blocks: list[int] = field(default_factory=list)
    past: int = 0
    cached: int = 0
    written: list[int] = field(default_factory=list)
    completion: Completion | None = None

    def next_piece(self, room: int) -> PromptPiece | None:
        """Returns what to compute next; of a prompt never one token alone, which has another kernel."""
        if self.written:
            return PromptPiece(self.written[-1:], self.past, self.blocks, wanted=True)
        remaining = len(self.prompt) - self.past
        size = min(remaining, room)
        if remaining - size == 1:
            size -= 1
        if size < min(remaining, _LEAST):
            return None
        tokens = self.prompt[self.past : self.past + size]
        return PromptPiece(tokens, self.past, self.blocks, wanted=size == remaining)


def open_engine(config: Config) -> OpenVino:
    return OpenVino(
        Path(config.model),
        context=config.context,
        parallel=config.parallel,
        threads=config.threads or None,
        adapter=adapter_of(config),
    )
