"""Labels of a token classifier: which sequences are valid, the best one, and how probable its spans are.

In: log-probabilities of labels, one row a word. Out: spans of words with their types and probabilities. The
labels of a word are independent of those beside it but for one law: only sequences that the scheme (IO, BIO,
BIOES, BILOU) admits are possible.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from dirag.errors import ArtifactError
from dirag.formats.bio_tags import ANY_SCHEME, WordSpan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: The log-probability of what cannot be; minus infinity would make differences that are no numbers.
IMPOSSIBLE = -1e9
_SINGLE, _FIRST, _LAST = "SU", "B", "EL"


class ScoredSpan(NamedTuple):
    """An entity of the words ``start`` to ``end``, half-open, with the probability of exactly this span."""

    start: int
    end: int
    type: str
    probability: float


@dataclass(frozen=True)
class LabelSet:
    """The labels of a model in the order of its scores: ``O``, or a prefix and a type ("B-Disease").

    Raises ArtifactError for labels that say no type ("LABEL_0"), or where none is "O".
    """

    names: tuple[str, ...]
    origin: str = "the model"

    def __post_init__(self) -> None:
        wrong = next((name for name in self.names if not ANY_SCHEME.has(name)), None)
        if wrong is not None or "O" not in self.names:
            what = (
                "no label 'O'"
                if wrong is None
                else f"a label {wrong!r} that is neither O nor B-type or I-type"
            )
            raise ArtifactError(
                f"{self.origin} has {what}",
                hint="write the labels of its training (O, B-Disease, …) as id2label of its config.json",
            )

    @cached_property
    def types(self) -> tuple[str, ...]:
        """Returns the types that the labels name, in their order."""
        return tuple(dict.fromkeys(name[2:] for name in self.names if name != "O"))

    @cached_property
    def continues(self) -> NDArray[np.bool_]:
        """Returns whether a word of the second label goes on with the entity of the first, for all pairs."""
        import numpy as np

        return np.array([[_is_one(a, b) for b in self.names] for a in self.names])

    @cached_property
    def follows(self) -> NDArray[np.bool_]:
        """Returns whether the second label may stand right behind the first, for all pairs."""
        import numpy as np

        ends, begins = (
            np.array([*map(self._may_end, self.names)]),
            np.array([*map(self._may_begin, self.names)]),
        )
        return np.asarray(self.continues | (ends[:, None] & begins[None, :]))

    def groups(self, types: Mapping[str, str]) -> dict[str, list[int]]:
        """Returns the labels of the types that are wanted, by the names under which these are, with the
        numbers of the labels that each stands for: several may mean one type, and "O" stands for all others.
        """
        result: dict[str, list[int]] = {"O": []}
        for number, name in enumerate(self.names):
            wanted = types.get(name[2:]) if name != "O" else None
            result.setdefault("O" if wanted is None else f"{name[0]}-{wanted}", []).append(number)
        return result

    def of_type(self, type_: str) -> list[int]:
        """Returns the numbers of the labels of a type."""
        return [number for number, name in enumerate(self.names) if name[1:] == f"-{type_}"]

    def _prefixes(self, type_: str) -> frozenset[str]:
        return frozenset(name[0] for name in self.names if name[1:] == f"-{type_}")

    def _inside_only(self, type_: str) -> bool:
        """Tells whether a type has nothing but I labels, so that they begin entities too (IO)."""
        return not self._prefixes(type_) & frozenset(_FIRST + _SINGLE)

    def _may_begin(self, name: str) -> bool:
        return name == "O" or name[0] in _FIRST + _SINGLE or self._inside_only(name[2:])

    def _may_end(self, name: str) -> bool:
        """Tells whether an entity may end in this label: in BIOES not before its E or S."""
        return name == "O" or name[0] in _SINGLE + _LAST or not self._prefixes(name[2:]) & frozenset(_LAST)

    def decode(self, scores: Sequence[NDArray[np.float32]]) -> list[list[ScoredSpan]]:
        """Returns the spans of the best valid path of each text, of shape (words, labels), in text order.

        A text's spans and their probabilities are the same in any company.
        """
        lattice = _Lattice(self, scores)
        return [
            [ScoredSpan(*span, lattice.probability(text, span)) for span in self._spans(path)]
            for text, path in enumerate(lattice.best_paths())
        ]

    def candidates(self, scores: Sequence[NDArray[np.float32]], *, least: float) -> list[list[ScoredSpan]]:
        """Returns every span of each text whose probability is at least so much, overlapping ones too."""
        lattice = _Lattice(self, scores)
        return [
            [span for type_ in self.types for span in lattice.probable(text, type_, least)]
            for text in range(len(scores))
        ]

    def _spans(self, path: Sequence[int]) -> list[WordSpan]:
        return ANY_SCHEME.spans(self.names[label] for label in path)[0]


def _is_one(first: str, second: str) -> bool:
    """Tells whether the decoder of tags reads two labels as one entity."""
    return ANY_SCHEME.spans((first, second))[0] == [WordSpan(0, 2, first[2:])]


class _Lattice:
    """All valid paths of some texts, padded to the longest with words that can only be "O"."""

    def __init__(self, labels: LabelSet, scores: Sequence[NDArray[np.float32]]) -> None:
        import numpy as np

        self._labels = labels
        self._lengths = [len(score) for score in scores]
        outside = labels.names.index("O")
        shape = (len(scores), max(self._lengths, default=0), len(labels.names))
        self._scores = np.full(shape, IMPOSSIBLE, np.float64)
        self._scores[:, :, outside] = 0.0
        for padded, score in zip(self._scores, scores, strict=True):
            padded[: len(score)] = score
        self._steps = np.where(labels.follows, 0.0, IMPOSSIBLE)
        self._edge = (
            self._steps[outside],
            self._steps[:, outside],
        )  # before the first word and behind the last

    def best_paths(self) -> list[list[int]]:
        """Returns the labels of the best path of each text; of equal ones the first in their order."""
        import numpy as np

        number, length, _ = self._scores.shape
        if not length:
            return [[] for _ in range(number)]
        best = self._scores[:, 0] + self._edge[0]
        origins = []
        for word in range(1, length):
            reached = best[:, :, None] + self._steps
            origins.append(reached.argmax(1))
            best = reached.max(1) + self._scores[:, word]
        label = (best + self._edge[1]).argmax(1)
        path = [label]
        for origin in reversed(origins):
            label = origin[np.arange(number), label]
            path.append(label)
        whole = np.stack(path[::-1], 1)
        return [whole[text, :size].tolist() for text, size in enumerate(self._lengths)]

    @cached_property
    def _sums(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the log-sums of all paths up to each word, and from behind it, by the word's label."""
        import numpy as np

        forward, backward = np.empty_like(self._scores), np.empty_like(self._scores)
        length = self._scores.shape[1]
        forward[:, 0] = self._scores[:, 0] + self._edge[0]
        for word in range(1, length):
            reached = forward[:, word - 1, :, None] + self._steps
            forward[:, word] = _logsum(reached, 1) + self._scores[:, word]
        backward[:, -1] = self._edge[1]
        for word in range(length - 2, -1, -1):
            ahead = (backward[:, word + 1] + self._scores[:, word + 1])[:, None, :] + self._steps
            backward[:, word] = _logsum(ahead, 2)
        return forward, backward

    @cached_property
    def _cuts(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Returns the log-sums of all paths before an entity that begins at each word, and behind one that
        ends there, by the word's label.
        """
        import numpy as np

        forward, backward = self._sums
        before, behind = np.empty_like(forward), np.empty_like(backward)
        # At its ends an entity is cut off: in BIO the next word is no I of its type, in IO neither side is.
        cut = np.where(self._labels.continues, IMPOSSIBLE, self._steps)
        before[:, 0], behind[:, -1] = self._edge
        for word in range(1, forward.shape[1]):
            before[:, word] = _logsum(forward[:, word - 1, :, None] + cut, 1)
            ahead = backward[:, word] + self._scores[:, word]
            behind[:, word - 1] = _logsum(ahead[:, None, :] + cut, 2)
        return before, behind

    @cached_property
    def _whole(self) -> NDArray[np.float64]:
        """Returns the log-sum of all paths of each text."""
        return _logsum(self._sums[0][:, -1] + self._edge[1], 1)

    def probability(self, text: int, span: WordSpan) -> float:
        """Returns the share that the paths with exactly this span have of all, by their probability."""
        *_, (_, probability) = self._growing(text, span.type, span.start, span.end, 0.0)
        return probability

    def probable(self, text: int, type_: str, least: float) -> Iterator[ScoredSpan]:
        """Yields the spans of a type whose probability is at least so much."""
        import numpy as np

        length = self._lengths[text]
        if not length:
            return
        labels = self._labels.of_type(type_)
        before, backward = self._cuts[0][text, :, labels], self._sums[1][text, :, labels]
        begin = _logsum(before + self._scores[text, :, labels] + backward, 0) - self._whole[text]
        for start in np.flatnonzero(begin[:length] >= np.log(least)).tolist():
            for end, probability in self._growing(text, type_, start, length, least):
                if probability >= least:
                    yield ScoredSpan(start, end, type_, probability)

    def _growing(
        self, text: int, type_: str, start: int, stop: int, least: float
    ) -> Iterator[tuple[int, float]]:
        """Yields the ends of an entity that begins at a word, up to ``stop``, with the probability of each.

        It stops before where no longer one can have a probability of ``least``.
        """
        import numpy as np

        labels = self._labels.of_type(type_)
        scores, (before, behind) = self._scores[text], self._cuts
        steps = np.where(self._labels.continues, 0.0, IMPOSSIBLE)[np.ix_(labels, labels)]
        paths = before[text, start, labels]
        for word in range(start, stop):
            paths = paths + scores[word, labels]
            yield word + 1, self._share(text, paths + behind[text, word, labels])
            if self._share(text, paths + self._sums[1][text, word, labels]) < least:
                return
            paths = _logsum(paths[:, None] + steps, 0)

    def _share(self, text: int, paths: NDArray[np.float64]) -> float:
        import numpy as np

        return float(min(1.0, np.exp(_logsum(paths, 0) - self._whole[text])))


def _logsum(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Returns the logarithm of the sum of exponentials along an axis."""
    import numpy as np

    # Less the highest, so that the exponential of none is too great and that of one is 1.
    highest = values.max(axis, keepdims=True)
    return np.asarray(np.log(np.exp(values - highest).sum(axis)) + highest.squeeze(axis))


def restrict(scores: NDArray[np.float32], groups: Iterable[Sequence[int]]) -> NDArray[np.float32]:
    """Returns the scores of groups of labels, each that of any label in it: shape (words, groups)."""
    import numpy as np

    return np.stack([np.logaddexp.reduce(scores[:, group], axis=1) for group in groups], axis=1)
