"""What the cards of trained models share: tables of data and of validations; no text of a corpus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dirag.training.corpora import Corpus, HeldOut
from dirag.training.trainer import Progress


def training_data(corpora: Sequence[Corpus]) -> Iterator[str]:
    """Yields the table of the corpora, and what their sentences lack."""
    yield row("corpus", "split", "sentences", "times an epoch", "entities", "licence", "files, sha256")
    yield "|---" * 7 + "|"
    yield from map(_corpus, corpora)
    for corpus in corpora:
        if left_out := corpus.pool.manifest.left_out:
            yield f"\nLeft out of {corpus.dataset.name}: {listed(left_out)}."


def validations(held_out: Sequence[HeldOut], progress: Progress, *, how: str) -> Iterator[str]:
    """Yields the table of the validations; ``how`` says in which way the sentences were tagged."""
    numbers = listed({f"{corpus.name} devel": len(corpus.sentences) for corpus in held_out})
    yield f"\nStrict F1 on held-out sentences ({numbers}), {how}:\n"
    names = [corpus.name for corpus in held_out]
    yield row("training examples", "loss", *names, "mean", "")
    yield "|---" * (len(names) + 4) + "|"
    for validation in progress.validations:
        figures = [f"{validation.f1[name]:.3f}" for name in names]
        figures.append(f"{validation.mean:.3f}")
        mark = "best" if validation == progress.best else ""
        yield row(f"{validation.seen:,}", f"{validation.loss:.4f}", *figures, mark)


def row(*cells: str) -> str:
    """Returns a row of a table."""
    return f"| {' | '.join(cells)} |"


def listed(pairs: Mapping[str, object]) -> str:
    """Returns names with their values, comma-separated."""
    return ", ".join(f"{name} {value}" for name, value in pairs.items())


def _corpus(corpus: Corpus) -> str:
    dataset, manifest = corpus.dataset, corpus.pool.manifest
    entities = listed({type_: manifest.types[type_] for type_ in corpus.types})
    split, sentences, files = dataset.split or "all", f"{manifest.examples:,}", listed(dataset.sha256)
    return row(dataset.name, split, sentences, str(corpus.times), entities, dataset.licence, files)
