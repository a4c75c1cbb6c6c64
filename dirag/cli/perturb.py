"""``dirag eval --perturb``: gold documents and their perturbed copies, tagged in one run and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from dirag.assembly import sources
from dirag.data import Document, Entity, Json, Result
from dirag.errors import UsageError, unknown
from dirag.evaluate.robustness import perturb, robustness
from dirag.evaluate.robustness.perturb import KINDS, ConceptNames, Perturbed
from dirag.formats import jsonl

if TYPE_CHECKING:
    from dirag.config import Config
    from dirag.corpora.datasets import Dataset
    from dirag.evaluate.robustness.robustness import Outcome, RobustnessRow, Share

_NAMED = {"synonym", "concept"}  # take their names from the knowledge base


def run(
    config: Config,
    dataset: Dataset,
    gold: Sequence[Document],
    tagged: Callable[[Sequence[Document]], Iterable[Result]],
    *,
    kinds: Sequence[str],
    settings: dict[str, Json],
    out: Path | None,
    as_json: bool,
) -> None:
    """Perturbs and tags the documents and prints how the predictions bear it; writes it all to ``out``."""
    gold = [replace(d, entities=tuple(e for e in d.entities if e.type in dataset.types)) for d in gold]
    copies = _perturbed(config, dataset, gold, _chosen(kinds))
    _write(out, "perturbed.jsonl", (_record(copy) for _, copy in copies))
    found = [result.entities for result in tagged([*gold, *(copy.after for _, copy in copies)])]
    outcomes = [
        robustness.Outcome(number, copy, found[number], after)
        for (number, copy), after in zip(copies, found[len(gold) :], strict=True)
    ]
    rows = robustness.rows(outcomes, seed=config.seed)
    report: dict[str, Json] = {
        "dataset": dataset.name,
        "split": dataset.split,
        "documents": len(gold),
        "robustness": [row.json() for row in rows],
        "config": settings,
    }
    _write(out, "broken.jsonl", (_broken(outcome) for outcome in outcomes if outcome.broke()))
    _write(out, "report.json", [orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n"])
    click.echo(orjson.dumps(report).decode() if as_json else _table(dataset, len(gold), rows))


def _chosen(names: Sequence[str]) -> Sequence[str]:
    for name in names:
        if name not in (*KINDS, "all"):
            raise unknown("kind of edit", name, (*KINDS, "all"))
    return KINDS if "all" in names else names


def _perturbed(
    config: Config, dataset: Dataset, gold: Sequence[Document], kinds: Sequence[str]
) -> list[tuple[int, Perturbed]]:
    """The copies of each document, with its number."""
    if _NAMED.isdisjoint(kinds):
        return _copies(gold, kinds, ConceptNames({}, ()), config.seed)
    base = sources.knowledge_base(config)
    if base is None:
        named = ", ".join(sorted(_NAMED.intersection(kinds)))
        raise UsageError(f"--perturb {named} needs a knowledge base", hint="leave out --kb none")
    with closing(base):
        indexes = {kind: base.index_for((kind,), matches=["exact"]) for kind in dataset.types}
        return _copies(gold, kinds, ConceptNames(indexes, dataset.documents), config.seed)


def _copies(
    gold: Sequence[Document], kinds: Sequence[str], names: ConceptNames, seed: int
) -> list[tuple[int, Perturbed]]:
    return [
        (number, copy)
        for number, document in enumerate(gold)
        for kind in kinds
        if (copy := perturb.perturb(document, kind, names, seed=seed))
    ]


def _write(out: Path | None, name: str, lines: Iterable[bytes]) -> None:
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        with (out / name).open("wb") as file:
            file.writelines(lines)


def _record(copy: Perturbed) -> bytes:
    """A copy with its gold entities; ``meta`` tells the kind of edit and the pieces that make the text."""
    pieces: list[Json] = [
        [piece.start, piece.end] if piece.new is None else [piece.start, piece.end, piece.new]
        for piece in copy.alignment.pieces
    ]
    made: dict[str, Json] = {"kind": copy.kind, "of": copy.before.id, "pieces": pieces}
    document = replace(copy.after, meta={**copy.after.meta, "perturbed": made})
    return jsonl.dumps(Result(document, document.entities))


def _broken(outcome: Outcome) -> bytes:
    copy = outcome.perturbed
    sides = [
        {"id": document.id, "text": document.text, "gold": _spans(document.entities), "found": _spans(found)}
        for document, found in ((copy.before, outcome.before), (copy.after, outcome.after))
    ]
    return orjson.dumps({"kind": copy.kind, "before": sides[0], "after": sides[1]}) + b"\n"


def _spans(entities: Iterable[Entity]) -> list[Json]:
    return [{"start": e.start, "end": e.end, "type": e.type, "text": e.text} for e in entities]


def _table(dataset: Dataset, documents: int, rows: Sequence[RobustnessRow]) -> str:
    """The shares with their 95% intervals, and strict F1 on the same documents before and after the edits."""
    lines = [f"{dataset.name} {dataset.split or ''}: {documents:,} documents, 95% intervals"]
    head = {
        "documents": f"{'meaning kept':12} {'copies':>6}  {'documents the same':28} {'entities the same':28}",
        "followed": f"{'and changed':12} {'copies':>6}  {'followed, of those found before':57}",
    }
    told = ""
    for row in rows:
        first = next(iter(row.shares))
        if first != told:
            told = first
            lines.append(f"{head[first]} {'F1 before':>9} {'after':>6}")
        shares = " ".join(f"{_shown(share):28}" for share in row.shares.values())
        name = "all" if row.kind in ("kept", "changed") else row.kind
        lines.append(f"{name:12} {row.copies:6,}  {shares:57} {row.before.f1:9.3f} {row.after.f1:6.3f}")
    return "\n".join(lines)


def _shown(share: Share) -> str:
    if share.ci95 is None:
        return "of none"
    low, high = share.ci95
    return f"{share.value:.3f} ({low:.3f}-{high:.3f}) of {share.of:,}"
