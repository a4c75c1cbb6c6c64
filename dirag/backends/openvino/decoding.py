"""One answer in the making: which token comes next, what it says, and when it is over.

Greedy: the likeliest token that the constraint admits, or at a temperature above 0 a sample of those.
Log-probabilities are raw, before temperature and constraint.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from dirag.backends.openvino.constraint_automaton import ConstraintAutomaton
from dirag.data import Completion, Prompt, Token, Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dirag.backends.gguf_tokenizer import GgufTokenizer

_FEW = 64  # of the likeliest tokens, those that are tried first under a constraint


class Decoder:
    """The answer to one prompt, of at most ``most`` tokens; ``finish`` is set when it is over."""

    def __init__(self, prompt: Prompt, tokenizer: GgufTokenizer, *, most: int, top: int) -> None:
        import numpy as np

        self._stop, self._tokenizer, self._top = prompt.stop, tokenizer, top
        self._temperature = prompt.temperature
        self._random = np.random.default_rng(prompt.seed)
        self._automaton = ConstraintAutomaton.of(prompt.constraint) if prompt.constraint else None
        self._states = self._automaton.start if self._automaton else frozenset()
        self._most = most
        self._utf8 = getincrementaldecoder("utf-8")("replace")
        self._tokens: list[Token] = []
        self._text = ""
        self.finish: Literal["stop", "length"] | None = None

    def completion(self, usage: Usage) -> Completion:
        assert self.finish
        return Completion(self._text, tuple(self._tokens), self.finish, usage)

    def extend(self, logits: NDArray[np.float32]) -> int:
        """Chooses the next token and returns it."""
        import numpy as np

        top = float(logits.max())
        total = top + float(np.log(np.exp(logits - top, dtype=np.float64).sum()))
        chosen = self._chosen(logits)
        best = np.argsort(-logits, kind="stable")[: self._top].tolist() if self._top else []
        piece = self._tokenizer.pieces[chosen]
        before = self._text
        self._text += self._utf8.decode(piece)  # a character may take several tokens
        # "stop" comes before "length": an answer that is over with its last token has not been cut.
        if not piece:
            self.finish = "stop"
        elif (cut := before_stop(self._text, self._stop)) != self._text:
            self._text = cut
            self.finish = "stop"
        elif len(self._tokens) + 1 >= self._most:
            self.finish = "length"
        self._add_token(before, float(logits[chosen]) - total, [(n, float(logits[n]) - total) for n in best])
        return chosen

    def _add_token(self, before: str, logprob: float, best: Sequence[tuple[int, float]]) -> None:
        """Adds the token with what it adds to the text; a stop string may reach back into earlier tokens."""
        for place in range(len(self._tokens) - 1, -1, -1):
            if len(before) <= len(self._text):
                break
            token = self._tokens[place]
            before = before[: len(before) - len(token.text)]
            self._tokens[place] = Token(self._text[len(before) :], token.logprob, token.top)
        names = tuple((self._tokenizer.pieces[n].decode(errors="replace"), p) for n, p in best)
        self._tokens.append(Token(self._text[len(before) :], logprob, names))

    def _chosen(self, logits: NDArray[np.float32]) -> int:
        import numpy as np

        if self._automaton is None:
            return int(self._drawn(logits).argmax())
        # By its first byte nearly every token is ruled out without a walk; the others are walked from the
        # likeliest on, and the first that the automaton takes is the choice.
        open_ = np.zeros(257, np.bool_)
        open_[list(self._automaton.next_bytes(self._states))] = True
        open_[256] = self._automaton.may_end(self._states)
        allowed = np.flatnonzero(open_[self._tokenizer.first_bytes])
        for place in _falling(self._drawn(logits[allowed])):
            token = int(allowed[place])
            states = self._automaton.advance(self._states, self._tokenizer.pieces[token])
            if states:
                self._states = states
                return token
        raise AssertionError("a constraint that leads nowhere")  # Builder.build leaves no such state

    def _drawn(self, logits: NDArray[np.float32]) -> NDArray[np.floating]:
        """Logits of which the greatest of any that are admitted is a sample of these (Gumbel-max)."""
        if not self._temperature:
            return logits
        return logits / self._temperature + self._random.gumbel(size=logits.size)


def _falling(values: NDArray[np.floating]) -> Iterator[int]:
    """Yields the places of values from the greatest on; sorts all of them only if the first few do not do."""
    import numpy as np

    few = min(_FEW, len(values))
    first = np.argpartition(-values, few - 1)[:few]
    yield from first[np.argsort(-values[first], kind="stable")].tolist()
    yield from np.argsort(-values, kind="stable").tolist()


def before_stop(text: str, stops: Iterable[str]) -> str:
    """Returns the text before the first stop string in it, if any."""
    return text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))]
