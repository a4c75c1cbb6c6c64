"""An engine whose answers are written by hand, for tests of what stands around engines."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from dirag.data import Completion, Prompt, Token, Usage


class Scripted:
    """Answers the sentence that a prompt ends with from a table; of another sentence the request fails.

    A token is a word with the space before it. A word that ends in ``?`` in the table is one the engine is
    unsure of: it is written without the mark, with a probability of one half; all others have 0.99.
    """

    name = "scripted"

    def __init__(self, answers: Mapping[str, str], *, context: int = 4096, cut: int | None = None) -> None:
        self._answers, self._cut = answers, cut
        self.context = context
        self.prompts: list[Prompt] = []
        self.closed = 0

    def count_tokens(self, text: str) -> int:
        return len(_words(text))

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Completion]:
        for prompt in prompts:
            self.prompts.append(prompt)
            yield self._complete(prompt)

    def notices(self) -> Sequence[str]:
        return ()

    def close(self) -> None:
        self.closed += 1

    def _complete(self, prompt: Prompt) -> Completion:
        sentence = prompt.text.rpartition("Sentence: ")[2].rpartition("\n")[0]
        if sentence not in self._answers:
            return Completion("", finish="failed", detail="no answer was written for this prompt")
        words = _words(" " + self._answers[sentence])[: self._cut]
        tokens = tuple(Token(w.replace("?", ""), math.log(0.5 if "?" in w else 0.99)) for w in words)
        usage = Usage(self.count_tokens(prompt.text), len(tokens), 0)
        text = "".join(token.text for token in tokens)
        return Completion(text, tokens, "stop" if self._cut is None else "length", usage)


def _words(text: str) -> list[str]:
    return re.findall(r"\s*[^\s;()]+|\s*[;()]|\s+", text)
