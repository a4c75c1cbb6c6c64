"""``dirag tag``: documents in, records with entities out, one by one."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dirag.cli.options import config_of, config_options
from dirag.cli.output import Summary, refuse_overwrite, sink, writing

if TYPE_CHECKING:
    from dirag.config import Config
    from dirag.data import Result
    from dirag.knowledge.base import KnowledgeBase


@click.command(short_help="Tag text: files, folders, standard input.")
@click.argument("paths", nargs=-1, metavar="[PATH…]")
@config_options
@click.option("--input-format", help="Format of the input [default: by suffix and content].", metavar="NAME")
@click.option("--text-field", default="text", show_default=True, help="Key or column of the text in records.")
@click.option(
    "--encoding", help="Encoding of the input [default: UTF-8, or UTF-16 if it is].", metavar="NAME"
)
@click.option("--format", "form", type=click.Choice(["jsonl", "terminal"]), help="Format of the output.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write to.")
@click.option("--resume", is_flag=True, help="Go on where a run that was killed stopped; needs -o.")
@click.option("--strict", is_flag=True, help="End with status 3 where there were issues.")
@click.option("-q", "--quiet", is_flag=True, help="No summary and no progress.")
def tag(paths: tuple[str, ...], **values: Any) -> int:
    """Tag text, JSON, tables or annotated corpora: files, folders, globs, or standard input (-).

    On a terminal the result is shown for eyes, else it is JSONL, one record a document, in input order.

    \b
    dirag tag notes.txt
    dirag tag notes/ --types disease,chemical -o tagged.jsonl
    cat notes.jsonl.gz | dirag tag - --tagger dictionary | jq .entities
    dirag tag notes/ -o tagged.jsonl --resume
    """
    from dirag import formats
    from dirag.assembly import sources
    from dirag.assembly.description import description
    from dirag.assembly.recogniser import EntityRecogniser
    from dirag.files import journal

    config = config_of(values)
    if not paths:
        if sys.stdin.isatty():
            raise click.UsageError("no PATH, and nothing on standard input; see dirag tag --help")
        paths = ("-",)
    documents = formats.read(
        paths,
        format=values["input_format"],
        text_field=values["text_field"],
        encoding=values["encoding"],
    )
    refuse_overwrite(values["output"], paths)
    base = sources.knowledge_base(config)
    summary = Summary(shown=not values["quiet"], language=sources.language(base))
    with writing(values["output"]):
        whole = _journal(values, config, base)
    if whole:
        documents = journal.remaining(documents, values["output"], whole)
    with EntityRecogniser(config, base=base) as recogniser, summary.meter:
        _write(recogniser.tag(documents), values["output"], values["form"], summary)
        summary.say(description(config, recogniser.types))
        summary.finish(recogniser.notices())
    return 3 if values["strict"] and summary.issues else 0


def _write(results: Iterable[Result], output: Path | None, form: str | None, summary: Summary) -> None:
    on_terminal = output is None and sys.stdout.isatty()
    with sink(output, form) as (out, dumps):
        for result in results:
            if on_terminal:
                summary.meter.clear()
            out.write(dumps(result))
            out.flush()  # a reader of the pipe has each record at once, and a kill loses none
            summary.add(result)


def _journal(values: Mapping[str, Any], config: Config, base: KnowledgeBase | None) -> int:
    """Begins or resumes the journal of an output file; returns the number of bytes that are complete."""
    from dirag.assembly.provenance import provenance
    from dirag.files import journal

    output, resume = values["output"], values["resume"]
    if resume and (output is None or values["form"] == "terminal"):
        raise click.UsageError("--resume needs -o FILE, in the format jsonl")
    if output is None or (output.exists() and not output.is_file()):
        return 0  # standard output, a pipe or a device cannot be resumed
    # Called before the weights are loaded, so that a run that must not go on says so at once.
    return journal.begin(output, provenance(config, base), resume=resume)
