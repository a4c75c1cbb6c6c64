"""``dirag examples``: pools of in-context examples, built from an annotated corpus and searched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click
import orjson

from dirag.assembly import sources
from dirag.cli.options import (
    DEFAULT_ENCODER,
    encoder_option,
    folder_option,
    hand_down,
    pooling_option,
    some_options,
    standard_lines,
)
from dirag.cli.quality import quality_filter, quality_options
from dirag.corpora.labels import LabelMap
from dirag.encoders.opening import open_encoder
from dirag.examples import pool as pools
from dirag.files import known

if TYPE_CHECKING:
    from dirag.data import Document
    from dirag.examples.pool import Pool
    from dirag.examples.selection import NearestSelector

Hits: TypeAlias = "list[tuple[Document, float]]"

_BATCH = 64

_ENCODER_HELP = "Sentence encoder: known name, path, or hash (no model)"
_offline = click.option("--offline", is_flag=True, help="Never fetch weights or corpora.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def examples(ctx: click.Context) -> None:
    """Pools of annotated sentences, from which each prompt gets its examples.

    \b
    Example:
      dirag examples build train.jsonl -o pool
    """
    hand_down(ctx)


@examples.command()
@click.argument("corpus")
@folder_option("POOL")
@encoder_option(f"{_ENCODER_HELP}.")
@pooling_option()
@quality_options
@some_options("map")
@_offline
def build(corpus: str, output: Path, encoder: str, pooling: str, offline: bool, **values: Any) -> None:
    """Make a pool of CORPUS: a dataset's name (its train split) or any annotated file or folder.

    Documents are cut into sentences; what cannot become an example is counted. --quality leaves out the
    sentences of paragraphs that are of little use; its score was trained with the same --encoder.

    \b
    Example:
      dirag examples build ncbi-disease -o pool --encoder hash
      dirag examples build notes.jsonl -o pool --quality score --min-quality 3.5
    """
    embedder = open_encoder(encoder, offline=offline, pooling=pooling)
    quality = quality_filter(values, lambda: embedder)
    labels = LabelMap.of(values["map"])
    dataset, as_sentences = sources.corpus(corpus, offline=offline, labels=labels)
    for note in dataset.notes:
        click.echo(f"dirag: {note}", err=True)
    pool = pools.build(
        dataset.documents,
        output,
        embedder=embedder,
        sources=[dataset.name, *dataset.sha256],
        licence=dataset.licence or None,
        as_sentences=as_sentences,
        quality=quality,
    )
    types = ", ".join(f"{count} {type_}" for type_, count in pool.manifest.types.items())
    click.echo(f"{output}: {pool.manifest.examples} examples, {types or 'no entities'}", err=True)
    for reason, count in pool.manifest.left_out.items():
        click.echo(f"left out: {count} {reason}", err=True)


@examples.command()
@click.argument("pool")
@click.argument("queries", nargs=-1, required=True, metavar="QUERY...|-")
@click.option("-k", default=5, show_default=True, type=click.IntRange(min=1), help="Examples a query.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a query.")
@click.option("--encoder", metavar="NAME|PATH", help=f"{_ENCODER_HELP} [default: the pool's own].")
@pooling_option()
@_offline
def search(
    pool: str,
    queries: tuple[str, ...],
    k: int,
    as_json: bool,
    encoder: str | None,
    pooling: str,
    offline: bool,
) -> None:
    """Show the examples of POOL nearest to each QUERY, best first; - reads one query a line.

    POOL may be a corpus too. The query itself and near copies of it are left out, as in prompts.

    \b
    Example:
      dirag examples search pool "She was treated for asthma." -k 3
    """
    from dirag.examples.selection import NearestSelector

    opened = sources.read_pool(pool, offline=offline)
    embedder = open_encoder(encoder or _own_encoder(opened), offline=offline, pooling=pooling)
    selector = NearestSelector(opened, embedder)
    for query, hits in _answers(selector, standard_lines() if queries == ("-",) else queries, k):
        click.echo(_json(query, hits) if as_json else _shown(query, hits))


def _own_encoder(pool: Pool) -> str:
    """Returns the name of the pool's encoder if it can be opened by name, else that of the default."""
    name = (pool.manifest.encoder or "").rpartition("@")[0]
    return name if name == "hash" or name in known.every() else DEFAULT_ENCODER


def _answers(selector: NearestSelector, queries: Iterable[str], k: int) -> Iterator[tuple[str, Hits]]:
    """Yields each query with its hits, in order; a blank query has none."""
    unread = iter(queries)
    while batch := list(islice(unread, _BATCH)):
        hits = iter(selector.search([query for query in batch if query.strip()], k=k))
        for query in batch:
            yield query, next(hits) if query.strip() else []


def _json(query: str, hits: Hits) -> str:
    records = [
        {
            "id": example.id,
            "text": example.text,
            "score": score,
            "entities": [
                {"start": e.start, "end": e.end, "text": e.text, "type": e.type} for e in example.entities
            ],
        }
        for example, score in hits
    ]
    return orjson.dumps({"query": query, "hits": records}).decode()


def _shown(query: str, hits: Hits) -> str:
    lines = [query]
    for example, score in hits:
        lines.append(f"  {score:.3f}  {example.text}")
        lines += [f"         {entity.type}: {entity.text}" for entity in example.entities]
    return "\n".join(lines)
