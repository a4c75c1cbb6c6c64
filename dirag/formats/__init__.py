"""Documents from files, folders, globs and standard input, one after the other.

The format is named, or known by the suffix; a named file of another suffix, like standard input, is
JSONL if it begins with ``{`` and text otherwise. Folders are walked in sorted order without hidden
files; files of other formats in them are counted in a warning. A path that does not exist is an error;
a file that cannot be read costs that file.
"""

from __future__ import annotations

import glob
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dirag.data import Document, Issue
from dirag.errors import InputError, UsageError, unknown
from dirag.formats import brat, conll, i2b2, jsonl, pubtator, text

_log = logging.getLogger(__name__)

#: Each format with the endings of its files, in lower case. The longest ending that fits decides.
FORMATS: Mapping[str, tuple[str, ...]] = {
    "text": (".txt",),
    "jsonl": (".jsonl", ".ndjson"),
    "pubtator": (".pubtator", ".pubtator.txt"),
    "conll": (".conll", ".bio", ".tsv"),
    "brat": (".ann",),
    "i2b2": (".con",),
}


class _Pair(NamedTuple):
    """How a document of two files is read, and which text belongs to a file of labels."""

    read: Callable[..., Document]
    text_of: Callable[[Path], Path | None]


# The other formats have one file, which is read from a stream of lines.
_PAIRS: Mapping[str, _Pair] = {
    "brat": _Pair(brat.read_pair, brat.text_of),
    "i2b2": _Pair(i2b2.read_pair, i2b2.text_of),
}
_READERS: Mapping[str, Callable[..., Iterator[Document]]] = {
    "text": text.read,
    "jsonl": jsonl.read,
    "pubtator": pubtator.read,
    "conll": conll.read,
}


def read(
    paths: Sequence[str],
    *,
    format: str | None = None,
    text_field: str = "text",
    stdin: BinaryIO | None = None,
) -> Iterator[Document]:
    """Returns the documents of all paths, in order, each as soon as it is read; ``-`` is standard input.

    An id that the source does not give is the file's stem, or its path where stems are not unique.
    Raises InputError, before anything is read, for a path or a pattern that leads to no file.
    """
    if format is not None and format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if list(paths).count("-") > 1:
        raise UsageError("standard input (-) is named twice", hint="it can be read only once")
    if "-" in paths and format and format in _PAIRS:
        raise UsageError(
            f"{format} cannot be read from standard input",
            hint=f"name the folder or the {FORMATS[format][0]} file",
        )
    return _read_files(files(paths, format=format), format=format, text_field=text_field, stdin=stdin)


def files(paths: Sequence[str], *, format: str | None = None) -> list[str]:
    """Returns the files that ``read`` would read, one of each pair; warns of those passed over."""
    return _without_covered([file for path in paths for file in _expand(path, format)], format)


def _read_files(
    files: Sequence[str], *, format: str | None, text_field: str, stdin: BinaryIO | None
) -> Iterator[Document]:
    stems = Counter(Path(file).stem for file in files)
    for file in files:
        if file == "-":
            source = stdin if stdin is not None else sys.stdin.buffer
            yield from _read_stream(source, format, name="stdin", stem="stdin", text_field=text_field)
            continue
        name = _shown(file)
        stem = Path(name).stem if stems[Path(file).stem] == 1 else str(Path(name).with_suffix(""))
        kind = format or _format_of(file)
        try:
            if pair := _PAIRS.get(kind or ""):
                yield pair.read(Path(file), name=name, stem=stem)
            else:
                with Path(file).open("rb") as lines:
                    yield from _read_stream(lines, kind, name=name, stem=stem, text_field=text_field)
        except OSError as error:
            yield text.unreadable(stem, where=name, detail=error.strerror or type(error).__name__)


def _read_stream(
    lines: Iterable[bytes], format: str | None, *, name: str, stem: str, text_field: str
) -> Iterator[Document]:
    if format is None:
        format, lines = _sniff(lines)
    if format == "jsonl":
        documents = jsonl.read(lines, name=name, stem=stem, text_field=text_field)
    else:
        documents = _READERS[format](lines, name=name, stem=stem)
    first = next(documents, None)
    yield first or Document(stem, "", issues=(Issue("empty", name),))
    yield from documents


def _sniff(lines: Iterable[bytes]) -> tuple[str, Iterable[bytes]]:
    """Returns the format by the first byte that is not white space, and all lines; reads no further."""
    rest = iter(lines)
    head: list[bytes] = []
    for line in rest:
        head.append(line)
        if content := line.removeprefix(b"\xef\xbb\xbf").strip():
            return "jsonl" if content.startswith(b"{") else "text", chain(head, rest)
    return "text", head


def _expand(path: str, format: str | None) -> list[str]:
    """Returns the files of a path: itself, those of a folder, or those that match a pattern."""
    if path == "-":
        return [path]
    matches = [path] if os.path.lexists(path) else []
    if not matches and glob.has_magic(path):
        matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - a pattern may be absolute
    if not matches:
        what = "no file matches" if glob.has_magic(path) else "no such file or folder:"
        raise InputError(f"{what} {path}", hint="check the path; - reads standard input")
    files: list[str] = []
    for file in matches:
        files += _walk(file, format) if Path(file).is_dir() else [file]
    # "notes/**" finds a folder and the files in it.
    return list(dict.fromkeys(files))


def _walk(folder: str, format: str | None) -> list[str]:
    """Returns the files of a folder that are of the format, or of any format, in sorted order."""
    files: list[str] = []
    passed_over: Counter[str] = Counter()

    def take_unlistable(error: OSError) -> None:
        files.append(str(error.filename))  # it fails again when it is opened, and is reported then

    for parent, subfolders, names in os.walk(folder, onerror=take_unlistable):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            path = Path(parent, name)
            is_special = path.exists() and not path.is_file()
            if _is_wanted(name, format) and not is_special:
                files.append(str(path))
            else:
                passed_over[path.suffix or name] += 1
    if passed_over:
        kinds = ", ".join(sorted(map(_shown, passed_over)))
        count = passed_over.total()
        _log.warning("%s: passed over %d files of other formats (%s)", _shown(folder), count, kinds)
    if not files:
        endings = ", ".join(ending for known in FORMATS.values() for ending in known)
        raise InputError(f"no file to read in folder {folder}", hint=f"known endings: {endings}")
    return files


def _is_wanted(name: str, format: str | None) -> bool:
    if format is None:
        return _format_of(name) is not None
    # Corpora in PubTator and BIO often come as .txt, and a text of a pair may have no labels.
    endings = FORMATS[format] if format == "jsonl" else (*FORMATS[format], ".txt")
    return name.lower().endswith(endings)


def _format_of(file: str) -> str | None:
    fitting = [
        (len(ending), name)
        for name, endings in FORMATS.items()
        for ending in endings
        if file.lower().endswith(ending)
    ]
    return max(fitting)[1] if fitting else None


def _without_covered(files: list[str], format: str | None) -> list[str]:
    """Leaves out each ``.txt`` whose labels are read too: the pair is one document."""
    covered: set[Path] = set()
    for file in files:
        kind = format or _format_of(file)
        if kind and kind in _PAIRS and file.lower().endswith(FORMATS[kind]):
            text_file = _PAIRS[kind].text_of(Path(file))
            covered.update([text_file.resolve()] if text_file else [])
    if not covered:
        return files
    return [file for file in files if not (file.lower().endswith(".txt") and Path(file).resolve() in covered)]


def _shown(path: str) -> str:
    """Returns a path as it is written into records: file names need not be UTF-8, records must."""
    return os.fsencode(path).decode("utf-8", errors="replace")
