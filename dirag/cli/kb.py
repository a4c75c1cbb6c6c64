"""``dirag kb``: knowledge bases, built from vocabularies, described and searched.

Descriptions, tables and JSON go to standard output; progress and counts to standard error.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from dirag.assembly.sources import read_base
from dirag.cli.options import Names, encoder_option, folder_option, hand_down, standard_lines
from dirag.data import Hit
from dirag.errors import KnowledgeError, UsageError
from dirag.files import artifacts, known
from dirag.training.device import PRECISIONS

if TYPE_CHECKING:
    from dirag.data import Concept, Json
    from dirag.knowledge.base import KnowledgeBase, VocabularySource
    from dirag.knowledge.index.lookup import Lookup
    from dirag.knowledge.store.store import BaseManifest

_BATCH = 256
#: A query that may be an id: one word with a digit, or with the colon behind a prefix.
_CODE = re.compile(r"\S*[\d:]\S*")
_HOW = ("exact", "fuzzy", "dense", "all")
_offline = click.option("--offline", is_flag=True, help="Never fetch weights or vocabularies.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def kb(ctx: click.Context) -> None:
    """Knowledge bases: vocabularies with indexes of their names.

    \b
    Example:
      dirag kb search default "heart attack"
    """
    hand_down(ctx)


@kb.command()
@click.argument("sources", nargs=-1, required=True, metavar="[NAME=]SOURCE...")
@folder_option("DIR")
@encoder_option("Encoder of the names.")
@click.option("--dense/--no-dense", default=True, help="Let names be found by meaning too (slow to build).")
@click.option(
    "--budget", default=1024, show_default=True, type=click.IntRange(min=1), help="MB of the dense index."
)
@click.option("--merge/--no-merge", default=True, help="Make one concept of those that refer to each other.")
@click.option(
    "--languages", type=Names(), default="en", show_default=True, help="Languages of names, the best first."
)
@click.option("--vocabularies", type=Names(), default="", help="Only these parts of the UMLS, such as MSH.")
@click.option("--semantic-types", type=Names(), default="", help="Only concepts of these semantic types.")
@click.option("--suppressed", is_flag=True, help="With names that their source suppresses.")
@click.option(
    "--type-map",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Lines to lay over kb/types.toml: from a vocabulary's classes to entity types.",
)
@_offline
def build(
    sources: tuple[str, ...],
    output: Path,
    *,
    dense: bool,
    encoder: str,
    type_map: Path | None,
    budget: int,
    merge: bool,
    offline: bool,
    **choice: Any,
) -> None:
    """Make a knowledge base of each SOURCE: a vocabulary's file or folder, or a name of `dirag models list`.

    Read are UMLS RRF, OBO, OBO Graphs JSON, MeSH XML, SNOMED RF2, ICD-10-CM XML, MEDIC, DrugBank, UNII, NCBI
    gene_info, HGNC, and tables of your own (.tsv, .csv, .jsonl). Rows that cannot be used are counted. A
    build that is killed while it encodes goes on there when it is repeated.

    \b
    Example:
      dirag kb build hpo-2025-01-16 mine=diseases.tsv -o base --no-dense
    """
    from dirag.knowledge import base
    from dirag.knowledge.semantics import load_types
    from dirag.knowledge.sources.reading import Choice

    manifest = base.build(
        [_vocabulary(source, offline) for source in sources],
        output,
        base.BuildOptions(
            choice=Choice(**choice), merge=merge, encoder=encoder if dense else None, budget=budget << 20
        ),
        types=load_types(type_map),
        offline=offline,
        command=shlex.join(["dirag", *sys.argv[1:]]),
        progress=True,
    )
    for line in (f"{output}: {manifest.names:,} names of {manifest.concepts:,} concepts", *_losses(manifest)):
        click.echo(line, err=True)


@kb.command()
@click.argument("folder", metavar="DIR|default", default="default")
@click.option("--json", "as_json", is_flag=True, help="The manifest as one JSON object.")
@click.option("--check", is_flag=True, help="Compare every file with its sha256.")
@_offline
def info(folder: str, as_json: bool, check: bool, offline: bool) -> None:
    """Show what is inside a knowledge base and how it was made.

    \b
    Example:
      dirag kb info default --check
    """
    knowledge = read_base(folder, offline=offline)
    if check:
        knowledge.verify()
    if as_json:
        click.echo(orjson.dumps(asdict(knowledge.manifest)))
        return
    for line in _described(knowledge.manifest, knowledge.entity_types):
        click.echo(line)
    if check:
        click.echo("files       as the manifest says")


@kb.command()
@click.argument("folder", metavar="DIR|default")
@click.argument("queries", nargs=-1, required=True, metavar="QUERY...|-")
@click.option("-k", default=5, show_default=True, type=click.IntRange(min=1), help="Concepts a query.")
@click.option("--how", type=click.Choice(_HOW), default="all", show_default=True, help="Kind of match.")
@click.option("--types", type=Names(), help="Only concepts that can be an entity of these types.")
@click.option("--sources", type=Names(), help="Only concepts of these vocabularies.")
@click.option("--under", type=Names(), metavar="ID,...", help="Only concepts below one of these.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a query.")
@_offline
def search(
    folder: str,
    queries: tuple[str, ...],
    k: int,
    how: str,
    types: tuple[str, ...] | None,
    sources: tuple[str, ...] | None,
    under: tuple[str, ...] | None,
    as_json: bool,
    offline: bool,
) -> None:
    """Show the concepts that each QUERY may name, best first; - reads one query a line.

    A query that is no name but an id finds that concept, in any case, with or without its prefix.

    \b
    Examples:
      dirag kb search default "heart atack" -k 3
      dirag kb search default J45 hp:0002099 S72.001B
    """
    from dirag.knowledge.index.lookup import EVERY

    knowledge = read_base(folder, offline=offline)
    if how == "dense" and knowledge.dense_info is None:
        raise UsageError(f"{folder} was built without vectors", hint="build it with --dense")
    kinds = EVERY if how == "all" else tuple(match for match in EVERY if match == how)
    index = knowledge.index_for(types, sources=sources, under=under or (), matches=kinds)
    # In batches: many vectors are computed faster together, and a pipe gets answers before its end.
    lines: Iterator[str] = standard_lines() if queries == ("-",) else iter(queries)
    while batch := list(islice(lines, _BATCH)):
        for query, hits in zip(batch, index.lookup(batch, k=k), strict=True):
            if "exact" in kinds:
                hits = _with_codes(query, hits, knowledge, index)[:k]
            click.echo(_json(query, hits, knowledge) if as_json else _shown(query, hits))


@kb.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...|-")
@click.option("--kb", "folder", default="default", show_default=True, metavar="DIR", help="Knowledge base.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a concept.")
@_offline
def show(ids: tuple[str, ...], folder: str, as_json: bool, offline: bool) -> None:
    """Show the concept of each ID: its names and types, what is above and below it; - reads one ID a line.

    Case does not count, and the prefix may be left out. Codes of ICD-10-CM may be complete (S72.001B).

    \b
    Examples:
      dirag kb show J45
      dirag kb show HP:0002099 S72.001B --json
    """
    knowledge = read_base(folder, offline=offline)
    bad = 0
    for id in standard_lines() if ids == ("-",) else ids:
        try:
            concept = knowledge.concept(id)
        except KnowledgeError as error:
            if len(ids) == 1 and ids != ("-",):
                raise
            # One that is not there costs only itself: the others are shown, and the exit status is 1.
            bad += 1
            click.echo(f"dirag: {error}", err=True)
            continue
        if as_json:
            click.echo(orjson.dumps({"query": id, **_details(concept, knowledge)}))
        else:
            click.echo("\n".join(_table(concept, knowledge)))
    if bad:
        raise KnowledgeError(f"{bad:,} of the ids have no concept, or more than one")


@kb.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR")
@folder_option("DIR")
@encoder_option("Encoder to begin with.")
@click.option("--epochs", default=0.25, show_default=True, help="Passes over the names.")
@click.option("--steps", type=click.IntRange(min=1), help="Batches, in place of epochs.")
@click.option("--hold-out", default=0.02, show_default=True, help="Share of synonyms kept to measure with.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="float32",
    show_default=True,
    help="auto is bfloat16, twice as fast, where the processor has it.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of everything random.")
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
@_offline
def tune(folder: Path, output: Path, *, encoder: str, as_json: bool, offline: bool, **options: Any) -> None:
    """Fit a sentence encoder to the names of a knowledge base that was built with vectors.

    The output folder is an encoder for `dirag kb build --encoder`. The report gives the share of held-out
    synonyms that are found by meaning alone, before and after. A run that is killed goes on there when it is
    repeated.

    \b
    Example:
      dirag kb tune base -o encoder --precision bfloat16
    """
    from dirag.training.sentence_encoder import tune as tuning

    report = tuning.tune(
        folder,
        output,
        encoder=encoder,
        options=tuning.Options(**options),
        offline=offline,
        command=shlex.join(["dirag", *sys.argv[1:]]),
        progress=True,
    )
    if as_json:
        click.echo(orjson.dumps(asdict(report)))
        return
    click.echo(f"{output}: {report.steps} steps in {report.seconds:.0f} s")
    for name, recall in (("before", report.before), ("after", report.after)):
        if recall is not None:
            click.echo(f"{name:<7} recall@1 {recall.at1:.3f}, recall@5 {recall.at5:.3f}")


def _vocabulary(source: str, offline: bool) -> VocabularySource:
    """Returns the vocabulary of an argument: a known name, PATH, or NAME=PATH."""
    from dirag.knowledge.base import VocabularySource

    name, separator, rest = source.partition("=")
    if source in known.every():
        licence = known.get(source).licence
        return VocabularySource(artifacts.locate(source, offline=offline), source, licence)
    # A file whose own name holds "=" is meant as it is.
    path = Path(rest if separator and not Path(source).exists() else source).expanduser()
    if not path.exists():
        raise UsageError(f"no vocabulary {str(path)!r}", hint="give a file, a folder, or a known name")
    return VocabularySource(path, name if str(path) == rest else path.stem)


def _described(manifest: BaseManifest, entity_types: Sequence[str]) -> Iterator[str]:
    yield f"contents    {manifest.names:,} names of {manifest.concepts:,} concepts"
    yield f"entities    {', '.join(entity_types) or 'none'}"
    for source in manifest.sources:
        yield f"vocabulary  {source.name}: {source.concepts:,} concepts, sha256 {source.sha256[:16]}"
        yield f"            licence: {source.licence or 'not known'}"
    yield from (f"left out    {line}" for line in _losses(manifest))
    yield f"encoder     {manifest.encoder or 'none'}"
    yield f"bytes       {sum(file.size for file in manifest.files.values()):,}"
    yield f"made by     dirag {manifest.version}, schema {manifest.schema}: {manifest.command or 'itself'}"


def _losses(manifest: BaseManifest) -> Iterator[str]:
    for source in manifest.sources:
        yield from source.losses()


def _with_codes(query: str, hits: list[Hit], base: KnowledgeBase, index: Lookup) -> list[Hit]:
    """Returns the concepts of an id before the hits; without its prefix it is a name first, such as B12."""
    query = query.strip()
    if not _CODE.fullmatch(query) or (":" not in query and any(hit.match == "exact" for hit in hits)):
        return hits
    concepts = {concept.id: concept for concept in base.find(query, index)}
    by_id = [Hit(concept, id, "exact", 1.0, 0, len(query)) for id, concept in concepts.items()]
    return [*by_id, *(hit for hit in hits if hit.concept.id not in concepts)]


def _details(concept: Concept, base: KnowledgeBase) -> dict[str, Json]:
    return {
        "id": concept.id,
        "name": concept.name,
        "synonyms": list(concept.synonyms),
        "definition": concept.definition,
        "semantic_types": list(concept.semantic_types),
        "entity_types": list(base.types.entities(concept.semantic_types)),
        "source": concept.source,
        "parents": [{"id": parent.id, "name": parent.name} for parent in base.parents(concept)],
        "children": [{"id": child.id, "name": child.name} for child in base.children(concept)],
        "xrefs": list(concept.xrefs),
    }


def _table(concept: Concept, base: KnowledgeBase) -> Iterator[str]:
    """Yields the lines of a concept; what a vocabulary does not say of it is left out."""
    yield f"{concept.id}  {concept.name}"
    rows: dict[str, Iterable[str]] = {
        "synonyms": concept.synonyms,
        "definition": concept.definition.splitlines(),
        "types": concept.semantic_types,
        "entities": base.types.entities(concept.semantic_types),
        "vocabulary": (concept.source,),
        "parents": (f"{parent.id:<16}  {parent.name}" for parent in base.parents(concept)),
        "children": (f"{child.id:<16}  {child.name}" for child in base.children(concept)),
        "other ids": (", ".join(concept.xrefs),) if concept.xrefs else (),
    }
    for label, values in rows.items():
        for first, value in enumerate(values):
            yield f"  {label if not first else '':<10}  {value}"


def _json(query: str, hits: Iterable[Hit], base: KnowledgeBase) -> bytes:
    records = [
        {
            "id": hit.concept.id,
            "name": hit.concept.name,
            "alias": hit.alias,
            "types": hit.concept.semantic_types,
            "source": hit.concept.source,
            "score": round(hit.score, 4),
            "how": hit.match,
            "parents": [{"id": parent.id, "name": parent.name} for parent in base.parents(hit.concept)],
        }
        for hit in hits
    ]
    return orjson.dumps({"query": query, "hits": records})


def _shown(query: str, hits: Iterable[Hit]) -> str:
    lines = [query]
    for hit in hits:
        name = hit.concept.name + (f" ({hit.alias})" if hit.alias != hit.concept.name else "")
        lines.append(f"  {hit.score:.3f}  {hit.match:<5}  {hit.concept.id:<16}  {name}")
    return "\n".join(lines)
