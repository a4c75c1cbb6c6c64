"""``dirag tag``: documents in, records with entities out, one by one."""

from __future__ import annotations

import glob
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from dirag.cli.options import config_of, config_options
from dirag.data import Result, Usage
from dirag.errors import InputError

if TYPE_CHECKING:
    from dirag.config import Config
    from dirag.knowledge.base import KnowledgeBase


@click.command(short_help="Tag text: files, folders, standard input.")
@click.argument("paths", nargs=-1, metavar="[PATH…]")
@config_options
@click.option("--input-format", help="Format of the input [default: by suffix].", metavar="NAME")
@click.option("--text-field", default="text", show_default=True, help="Key of the text in JSONL input.")
@click.option("--format", "form", type=click.Choice(["jsonl", "terminal"]), help="Format of the output.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write to.")
@click.option("--resume", is_flag=True, help="Go on where a run that was killed stopped; needs -o.")
@click.option("--strict", is_flag=True, help="End with status 3 where there were issues.")
@click.option("-q", "--quiet", is_flag=True, help="No summary and no progress.")
def tag(paths: tuple[str, ...], **values: Any) -> int:
    """Tag text files, JSONL, annotated corpora, folders, globs, or standard input (-).

    On a terminal the result is shown for eyes, else it is JSONL, one record a document, in input order.

    \b
    dirag tag notes.txt
    dirag tag notes/ --types disease,chemical -o tagged.jsonl
    zcat notes.jsonl.gz | dirag tag - --tagger dictionary | jq .entities
    dirag tag notes/ -o tagged.jsonl --resume
    """
    from dirag import formats
    from dirag.assembly import sources
    from dirag.assembly.recogniser import EntityRecogniser
    from dirag.files import journal

    config = config_of(values)
    if not paths:
        if sys.stdin.isatty():
            raise click.UsageError("no PATH, and nothing on standard input; see dirag tag --help")
        paths = ("-",)
    documents = formats.read(paths, format=values["input_format"], text_field=values["text_field"])
    refuse_overwrite(values["output"], paths)
    summary = Summary(shown=not values["quiet"])
    base = sources.knowledge_base(config)
    with writing(values["output"]):
        whole = _journal(values, config, base)
    if whole:
        documents = journal.remaining(documents, values["output"], whole)
    with EntityRecogniser(config, base=base) as recogniser:
        with _sink(values["output"], values["form"]) as (out, dumps):
            for result in recogniser.tag(documents):
                out.write(dumps(result))
                out.flush()
                summary.add(result)
        summary.finish(recogniser.notices())
    return 3 if values["strict"] and summary.issues else 0


@dataclass(slots=True)
class Summary:
    """What a run did, told on standard error; a running count on a terminal after two seconds."""

    shown: bool = True
    documents: int = 0
    entities: int = 0
    issues: Counter[str] = field(default_factory=Counter)
    usage: Usage = field(default_factory=Usage)
    started: float = field(default_factory=time.monotonic)
    drawn: float = 0.0

    def add(self, result: Result) -> None:
        self.documents += 1
        self.entities += len(result.entities)
        self.usage += result.usage
        self.issues.update(issue.code for issue in result.issues)
        if self.shown:
            for issue in result.issues:
                if issue.code in ("unreadable", "empty"):
                    click.echo(f"dirag: {issue.where}: {issue.code}: {issue.detail}", err=True)
            self._draw()

    def finish(self, notices: Sequence[str]) -> None:
        if self.shown:
            self._clear()
            for line in (str(self), *notices):
                click.echo(f"dirag: {line}", err=True)

    def _draw(self) -> None:
        now = time.monotonic()
        if sys.stderr.isatty() and now - self.started > 2 and now - self.drawn > 0.2:
            rate = self.documents / (now - self.started)
            click.echo(f"\r\x1b[K{self.documents:,} documents, {rate:,.1f}/s ", nl=False, err=True)
            self.drawn = now

    def _clear(self) -> None:
        if self.drawn:
            click.echo("\r\x1b[K", nl=False, err=True)

    def __str__(self) -> str:
        told = ", ".join(f"{code} {n:,}" for code, n in sorted(self.issues.items())) or "none"
        usage = self.usage
        sent = (
            f"{usage.requests:,} requests, {usage.prompt:,} prompt and {usage.completion:,} answer tokens, "
        )
        cache = f"cache: {usage.hits:,} hits and {usage.misses:,} misses, "
        return (
            f"{self.documents:,} documents, {self.entities:,} entities, issues: {told}; "
            f"{sent if usage.requests else ''}{cache if usage.hits or usage.misses else ''}"
            f"{time.monotonic() - self.started:.1f} s"
        )


@contextmanager
def _sink(output: Path | None, form: str | None) -> Iterator[tuple[BinaryIO, Callable[[Result], bytes]]]:
    """Where records go and how they are spelled: for eyes on a terminal, else JSONL."""
    from dirag.formats import jsonl, terminal

    on_terminal = output is None and sys.stdout.isatty()
    width = shutil.get_terminal_size().columns

    def shown(result: Result) -> bytes:
        return terminal.render(result, colour=on_terminal, width=width).encode() + b"\n"

    for_eyes = form == "terminal" or (form is None and on_terminal)
    dumps: Callable[[Result], bytes] = shown if for_eyes else jsonl.dumps
    if output is None:
        yield sys.stdout.buffer, dumps
        return
    with writing(output), output.open("ab") as out:
        yield out, dumps


@contextmanager
def writing(output: Path | None) -> Iterator[None]:
    """What goes wrong with the output file, as an error that names it."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror}") from error


def _journal(values: Mapping[str, Any], config: Config, base: KnowledgeBase | None) -> int:
    """Begins the journal of an output file, or goes on with it; the bytes that are done."""
    from dirag.assembly.provenance import provenance
    from dirag.files import journal

    output, resume = values["output"], values["resume"]
    if resume and (output is None or values["form"] == "terminal"):
        raise click.UsageError("--resume needs -o FILE, in the format jsonl")
    if output is None or (output.exists() and not output.is_file()):
        return 0  # nothing to go on with: standard output, a pipe, a device
    return journal.begin(output, provenance(config, base), resume=resume)


def refuse_overwrite(output: Path | None, paths: tuple[str, ...]) -> None:
    """An output file that is also an input would be emptied before it is read."""
    if output is None or not output.is_file():
        return
    if "-" in paths and os.path.samestat(os.fstat(0), output.stat()):
        raise InputError(f"-o {output} is also standard input", hint="name another file")
    for path in paths:
        for place in [path] if os.path.lexists(path) else glob.glob(path, recursive=True):  # noqa: PTH207
            if output.resolve().is_relative_to(Path(place).resolve()):
                raise InputError(f"-o {output} is also an input", hint="name another file")
