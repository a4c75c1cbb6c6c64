"""How a tagger bears edits of a gold set: documents and their perturbed copies, tagged in one run.

In: a ``Config`` and a ``GoldSet``. Out: a ``RobustnessReport`` and, where a folder is named, the copies, the
predictions and the copies on which predictions broke.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from dirag.assembly import sources
from dirag.config import Config
from dirag.corpora.datasets import Dataset
from dirag.data import Document, Entity, Json, Result
from dirag.errors import UsageError
from dirag.evaluate import run
from dirag.evaluate.robustness import perturb, robustness
from dirag.evaluate.robustness.names import ConceptNames
from dirag.evaluate.robustness.perturb import Perturbed
from dirag.evaluate.robustness.robustness import Outcome, RobustnessRow
from dirag.evaluate.run import UNOBSERVED, GoldSet, Observer
from dirag.evaluate.run_folder import RunFolder
from dirag.formats import jsonl

_NAMED = {"synonym", "concept"}  # take their names from the knowledge base


@dataclass(frozen=True, slots=True)
class RobustnessReport:
    """What edits of so many documents of a dataset change, a row a kind of edit."""

    dataset: Dataset
    documents: int
    rows: Sequence[RobustnessRow]
    config: Mapping[str, Json]

    def json(self) -> dict[str, Json]:
        return {
            "dataset": self.dataset.name,
            "split": self.dataset.split,
            "documents": self.documents,
            "robustness": [row.json() for row in self.rows],
            "config": dict(self.config),
        }


def measure(
    config: Config,
    gold: GoldSet,
    kinds: Sequence[str],
    *,
    folder: Path | None = None,
    observer: Observer = UNOBSERVED,
) -> RobustnessReport:
    """Perturbs and tags the documents of a gold set and compares what is found in each text and its copy."""
    config = gold.options(config)
    files = RunFolder(folder)
    files.begin()
    originals = tuple(gold.restricted())
    copies = _copies(config, gold, originals, kinds)
    files.write("perturbed.jsonl", (_record(copy) for _, copy in copies))
    predicted = _predicted(config, gold, originals, copies, files, observer)
    outcomes = [
        Outcome(number, copy, predicted[number], after)
        for (number, copy), after in zip(copies, predicted[len(originals) :], strict=True)
    ]
    rows = robustness.rows(outcomes, seed=config.seed)
    report = RobustnessReport(gold.dataset, len(originals), rows, run.settings(config))
    files.write("broken.jsonl", (_broken(outcome) for outcome in outcomes if outcome.broke()))
    files.end(report.json())
    return report


def _predicted(
    config: Config,
    gold: GoldSet,
    originals: Sequence[Document],
    copies: Sequence[tuple[int, Perturbed]],
    files: RunFolder,
    observer: Observer,
) -> list[Sequence[Entity]]:
    """Returns the entities found in each text, then in each copy: one stream, a model loaded once."""
    documents = [*originals, *(copy.after for _, copy in copies)]
    base = sources.knowledge_base(config) if sources.reads_base(config) else None
    with closing(base) if base else nullcontext():
        results = run.tag(config, gold, documents, base=base, linked=False, observer=observer)
        return [result.entities for result in files.predictions(results)]


def _copies(
    config: Config, gold: GoldSet, documents: Sequence[Document], kinds: Sequence[str]
) -> list[tuple[int, Perturbed]]:
    """Returns the copies of each document, with its number."""
    if _NAMED.isdisjoint(kinds):
        return _of_kinds(documents, kinds, ConceptNames({}, (), sources.language(None)), config.seed)
    base = sources.knowledge_base(config)
    if base is None:
        named = ", ".join(sorted(_NAMED.intersection(kinds)))
        raise UsageError(f"--perturb {named} needs a knowledge base", hint="leave out --kb none")
    with closing(base):
        indexes = {kind: base.index_for((kind,), matches=["exact"]) for kind in gold.dataset.types}
        # Concepts to put in place of others are those of the whole split: a small sample would have few.
        names = ConceptNames(indexes, gold.dataset.documents, sources.language(base))
        return _of_kinds(documents, kinds, names, config.seed)


def _of_kinds(
    documents: Sequence[Document], kinds: Sequence[str], names: ConceptNames, seed: int
) -> list[tuple[int, Perturbed]]:
    return [
        (number, copy)
        for number, document in enumerate(documents)
        for kind in kinds
        if (copy := perturb.perturb(document, kind, names, seed=seed))
    ]


def _record(copy: Perturbed) -> bytes:
    """Returns a copy with its gold entities; ``meta`` has the kind of edit and the pieces of the text."""
    pieces: list[Json] = [
        [piece.start, piece.end] if piece.new is None else [piece.start, piece.end, piece.new]
        for piece in copy.alignment.pieces
    ]
    origin: dict[str, Json] = {"kind": copy.kind, "of": copy.before.id, "pieces": pieces}
    document = replace(copy.after, meta={**copy.after.meta, "perturbed": origin})
    return jsonl.dumps(Result(document, document.entities))


def _broken(outcome: Outcome) -> bytes:
    copy = outcome.perturbed
    sides = [
        {
            "id": document.id,
            "text": document.text,
            "gold": _spans(document.entities),
            "found": _spans(predicted),
        }
        for document, predicted in ((copy.before, outcome.before), (copy.after, outcome.after))
    ]
    return orjson.dumps({"kind": copy.kind, "before": sides[0], "after": sides[1]}) + b"\n"


def _spans(entities: Iterable[Entity]) -> list[Json]:
    return [{"start": e.start, "end": e.end, "type": e.type, "text": e.text} for e in entities]
