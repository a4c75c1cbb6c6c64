"""The quality of paragraphs: kind of text, domain and usefulness, by a linear model of vectors.

A folder of `dirag train quality` holds ``quality.json`` and ``weights.npy``. In: documents and the places of
their sentences. Out: why a sentence is left out. Refused: a damaged folder, vectors of another encoder.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from dirag.data import Segment
from dirag.encoders import vector_files as stored
from dirag.encoders.opening import identity
from dirag.errors import ExamplesError
from dirag.text.language import Language
from dirag.text.segment import paragraphs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dirag.protocols import Embedder

SCHEMA = 1
DESCRIPTION, WEIGHTS = "quality.json", "weights.npy"
KINDS = ("study", "review", "clinical case", "other")
DOMAINS = ("clinical", "biomedical", "other")
#: The usefulness of a paragraph at the least and at the most.
LEAST, MOST = 1, 5

_CURE = "train it again with `dirag train quality`"


@dataclass(frozen=True, slots=True)
class Quality:
    """What a paragraph is: one of ``KINDS``, one of ``DOMAINS``, and its usefulness from 1 to 5."""

    kind: str
    domain: str
    usefulness: float


@dataclass(frozen=True, slots=True)
class QualityModel:
    """A linear model over the vectors of one encoder; ``kinds`` and ``domains`` are those it has learnt.

    ``weights`` has a row for the usefulness and one for each kind and domain, and a column for each dimension
    and one for the constant.
    """

    encoder: str
    dimension: int
    kinds: tuple[str, ...]
    domains: tuple[str, ...]
    weights: NDArray[np.float32]

    def qualities(self, vectors: NDArray[np.float32]) -> list[Quality]:
        """Returns the quality of each paragraph from its vector, a row of ``vectors``."""
        import numpy as np

        matrix, constants = self.weights[:, :-1].astype(np.float64), self.weights[:, -1]
        # Row by row: in a product of matrices the last bits of a row depend on the number of the others.
        rows = [matrix @ vector + constants for vector in vectors.astype(np.float64)]
        kinds, domains = self._classes()
        # A straight line leaves the scale on either side; ranks within the scale do not change.
        return [
            Quality(
                self.kinds[int(row[kinds].argmax())],
                self.domains[int(row[domains].argmax())],
                float(min(max(row[0], LEAST), MOST)),
            )
            for row in rows
        ]

    def write(self, folder: Path) -> None:
        """Writes the model into a folder that is there."""
        import numpy as np

        description = {
            "schema": SCHEMA,
            "encoder": self.encoder,
            "dimension": self.dimension,
            "kinds": self.kinds,
            "domains": self.domains,
        }
        for name in (DESCRIPTION, WEIGHTS):
            (folder / name).touch(mode=0o600)
        (folder / DESCRIPTION).write_bytes(
            orjson.dumps(description, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        )
        np.save(folder / WEIGHTS, self.weights, allow_pickle=False)

    def _classes(self) -> tuple[slice, slice]:
        """Returns the rows of the kinds and those of the domains."""
        first = 1 + len(self.kinds)
        return slice(1, first), slice(first, first + len(self.domains))


def open(path: Path) -> QualityModel:
    """Opens the model in a folder; raises ExamplesError where there is none, or a damaged one."""
    import numpy as np

    try:
        record = orjson.loads((path / DESCRIPTION).read_bytes())
    except OSError as error:
        raise ExamplesError(
            f"--quality {path} holds no quality score: no {DESCRIPTION}", hint=_CURE.replace("again ", "")
        ) from error
    except orjson.JSONDecodeError as error:
        raise _damaged(path, f"{DESCRIPTION} is not JSON") from error
    if not isinstance(record, dict) or record.pop("schema", None) != SCHEMA:
        raise _damaged(path, f"{DESCRIPTION} is not of schema {SCHEMA}")
    try:
        kinds, domains = tuple(record.pop("kinds")), tuple(record.pop("domains"))
        weights = stored.load(path / WEIGHTS)
        shape = (1 + len(kinds) + len(domains), record["dimension"] + 1)
        if weights is None or weights.shape != shape or not np.isfinite(weights).all():
            raise _damaged(path, f"{WEIGHTS} is not a float32 array of {shape[0]} x {shape[1]} numbers")
        if not (kinds and domains and set(kinds) <= set(KINDS) and set(domains) <= set(DOMAINS)):
            raise _damaged(path, f"{DESCRIPTION} has unknown kinds or domains")
        return QualityModel(**record, kinds=kinds, domains=domains, weights=weights)
    except (KeyError, TypeError) as error:
        raise _damaged(path, f"{DESCRIPTION} does not have the keys of schema {SCHEMA}") from error


@dataclass(frozen=True, slots=True)
class QualityFilter:
    """Says why sentences are left out: their paragraph is of little use, or of an unwanted kind or domain.

    No ``kinds`` or ``domains`` admit all.
    """

    model: QualityModel
    embedder: Embedder
    min_quality: float
    kinds: Collection[str] = ()
    domains: Collection[str] = ()

    def reasons(self, text: str, pieces: Sequence[Segment], *, language: Language | None = None) -> list[str]:
        """Returns for each piece of a text why it is left out, empty where it is not.

        A piece is judged by the paragraph in which it begins. Without a ``language`` the text is English.
        """
        blocks = paragraphs(text, language=language)
        vectors = self.embedder.embed([block.text for block in blocks])
        verdicts = [self._reason(quality) for quality in self.model.qualities(vectors)]
        starts = [block.start for block in blocks]
        # max: a text taken whole begins with its blanks, before its first paragraph.
        return [verdicts[max(0, bisect_right(starts, piece.start) - 1)] for piece in pieces]

    def _reason(self, quality: Quality) -> str:
        if quality.usefulness < self.min_quality:
            return f"sentences of paragraphs with a quality below {self.min_quality:g}"
        if self.kinds and quality.kind not in self.kinds:
            return f"sentences of paragraphs that are no {' or '.join(self.kinds)}"
        if self.domains and quality.domain not in self.domains:
            return f"sentences of paragraphs of no {' or '.join(self.domains)} domain"
        return ""


def open_filter(
    path: Path,
    embedder: Embedder,
    *,
    min_quality: float,
    kinds: Collection[str] = (),
    domains: Collection[str] = (),
) -> QualityFilter:
    """Opens the filter of a folder; raises ExamplesError where it was trained with another encoder."""
    model = open(path)
    if identity(model.encoder) != identity(embedder.name) or model.dimension != embedder.dimension:
        raise ExamplesError(
            f"--quality {path} was trained with the encoder {model.encoder} ({model.dimension} dimensions), "
            f"not {embedder.name} ({embedder.dimension})",
            hint="give that encoder with --encoder, or train the score again with this one",
        )
    return QualityFilter(model, embedder, min_quality, kinds, domains)


def _damaged(path: Path, reason: str) -> ExamplesError:
    return ExamplesError(f"--quality {path} is damaged: {reason}", hint=_CURE)
