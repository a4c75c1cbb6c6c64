"""What commands write: records to a file or a terminal, and a summary of the run to standard error."""

from __future__ import annotations

import glob
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import click

from dirag.data import Document, Issue, Result, Usage
from dirag.errors import InputError
from dirag.files.progress import Meter
from dirag.text.detection import other_language
from dirag.text.language import Language, english

_OF_A_FILE, _OF_A_RUN = 3, 1000


class _Warnings:
    """Lines on records that could not be read: of one kind a few of each file, the others counted."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._file = say, ""
        self._number: Counter[str] = Counter()  # by code, of the file at hand
        self._total: Counter[str] = Counter()

    def add(self, issue: Issue) -> None:
        """Says what an issue is, or counts it."""
        file, _, line = issue.where.rpartition(":")
        file = file if line.isdigit() else issue.where
        if file != self._file:
            self.close()
            self._file = file
        self._number[issue.code] += 1
        if self._number[issue.code] <= _OF_A_FILE and self._total[issue.code] < _OF_A_RUN:
            self._total[issue.code] += 1
            self._say(f"{issue.where}: {issue.code}: {issue.detail}")

    def close(self) -> None:
        """Says how many issues of a file were only counted."""
        for code, number in self._number.items():
            if number > _OF_A_FILE and self._total[code] < _OF_A_RUN:
                self._say(f"{self._file}: {code}: {number - _OF_A_FILE:,} more of its records")
        self._number.clear()


@dataclass(slots=True)
class Summary:
    """Counts of a run, printed to standard error; a running count on a terminal after two seconds.

    ``meter`` is to be entered as a context; in it, this is an observer of a run (``evaluate.run.Observer``).
    """

    shown: bool = True
    documents: int = 0
    entities: int = 0
    issues: Counter[str] = field(default_factory=Counter)
    usage: Usage = field(default_factory=Usage)
    started: float = field(default_factory=time.monotonic)
    meter: Meter = field(init=False)
    language: Language = field(default_factory=english)
    _warnings: _Warnings = field(init=False)
    _is_warned: bool = False

    def __post_init__(self) -> None:
        self._warnings = _Warnings(self.say)

        def write(line: str) -> None:
            click.echo(f"dirag: {line}", err=True)

        self.meter = Meter("tagging", None, unit="documents", wanted=self.shown, write=write)

    def say(self, line: str) -> None:
        """Prints a line, above the bar where there is one."""
        self.meter.say(line)

    def add(self, result: Result) -> None:
        """Counts a result; says which documents could not be read or have no text, of each file some."""
        self.documents += 1
        self.entities += len(result.entities)
        self.usage += result.usage
        self.issues.update(issue.code for issue in result.issues)
        self._warn_of_language(result.document)
        for issue in result.issues:
            if issue.code in ("unreadable", "empty"):
                self._warnings.add(issue)
        self.meter.at(self.documents)

    def _warn_of_language(self, document: Document) -> None:
        """Says once that a document is clearly not in the language that is read."""
        if self._is_warned or not self.shown:
            return
        if code := other_language(document.text, self.language):
            self._is_warned = True
            self.say(
                f"{document.id} looks like language {code!r}, of which dirag knows nothing: what it finds in "
                "such texts cannot be trusted"
            )

    def finish(self, notices: Sequence[str]) -> None:
        """Prints the counts, then what the tagger has to say of the run."""
        self._warnings.close()
        for line in (str(self), *notices):
            self.say(line)

    def __str__(self) -> str:
        issues = ", ".join(f"{code} {n:,}" for code, n in sorted(self.issues.items())) or "none"
        usage = self.usage
        requests = (
            f"{usage.requests:,} requests, {usage.prompt:,} prompt and {usage.completion:,} answer tokens, "
        )
        cache = f"cache: {usage.hits:,} hits and {usage.misses:,} misses, "
        return (
            f"{self.documents:,} documents, {self.entities:,} entities, issues: {issues}; "
            f"{requests if usage.requests else ''}{cache if usage.hits or usage.misses else ''}"
            f"{time.monotonic() - self.started:.1f} s"
        )


@contextmanager
def sink(output: Path | None, form: str | None) -> Iterator[tuple[BinaryIO, Callable[[Result], bytes]]]:
    """Opens the output of records and gives their format: rendered on a terminal, else JSONL."""
    from dirag.formats import jsonl, terminal

    on_terminal = output is None and sys.stdout.isatty()
    width = shutil.get_terminal_size().columns

    def rendered(result: Result) -> bytes:
        return terminal.render(result, colour=on_terminal, width=width).encode() + b"\n"

    readable = form == "terminal" or (form is None and on_terminal)
    dumps: Callable[[Result], bytes] = rendered if readable else jsonl.dumps
    if output is None:
        yield sys.stdout.buffer, dumps
        return
    # Appended: the journal has cut the file back to its whole records, on a new run to none.
    with writing(output), output.open("ab") as out:
        yield out, dumps


@contextmanager
def writing(output: Path | None) -> Iterator[None]:
    """Turns errors of the output file into an InputError that names it."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror}") from error


def refuse_overwrite(output: Path | None, paths: tuple[str, ...]) -> None:
    """Raises InputError where an output file is also an input: it would be emptied before it is read."""
    if output is None or not output.is_file():
        return
    # With <notes.txt the shell opens the file, and no path of ours names it.
    if "-" in paths and os.path.samestat(os.fstat(0), output.stat()):
        raise InputError(f"-o {output} is also standard input", hint="name another file")
    for path in paths:
        for place in [path] if os.path.lexists(path) else glob.glob(path, recursive=True):  # noqa: PTH207
            if output.resolve().is_relative_to(Path(place).resolve()):
                raise InputError(f"-o {output} is also an input", hint="name another file")
