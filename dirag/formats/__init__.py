"""Documents from files, folders, globs and standard input, one after the other.

The format is named, or known by the suffix, and by the content where the suffix leaves it open
(``detection``); files of any may be compressed. Folders are walked in sorted order without hidden files;
files of other formats in them are counted in a warning. A path that does not exist is an error; a file that
cannot be read costs that file.
"""

from __future__ import annotations

import glob
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from dirag.data import Document, Issue
from dirag.errors import DiragError, InputError, UsageError, place_of, unknown
from dirag.formats import (
    bioc,
    brat,
    cas,
    conll,
    detection,
    i2b2,
    jsonl,
    parquet,
    pubmed,
    pubtator,
    streams,
    table,
    text,
    whole_json,
)

_log = logging.getLogger(__name__)

#: Each format with the endings of its files, in lower case. The longest ending that fits decides; where
#: several formats have it, the content does.
FORMATS: Mapping[str, tuple[str, ...]] = {
    "text": (".txt",),
    "jsonl": (".jsonl", ".ndjson"),
    "json": (".json",),
    "pubtator": (".pubtator", ".pubtator.txt"),
    "conll": (".conll", ".bio", ".iob", ".tsv"),
    "table": (".csv", ".tsv"),
    "bioc-xml": (".xml", ".bioc", ".bioc.xml"),
    "bioc-json": (".bioc.json",),
    "pubmed-xml": (".xml",),
    "cas-xmi": (".xmi", ".xml"),
    "cas-json": (".json",),
    "parquet": (".parquet",),
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
    "json": whole_json.read,
    "pubtator": pubtator.read,
    "conll": conll.read,
    "table": table.read,
    "bioc-xml": bioc.read_xml,
    "bioc-json": whole_json.read,
    "pubmed-xml": pubmed.read,
    "cas-xmi": cas.read_xmi,
    "cas-json": cas.read_json,
    "parquet": parquet.read,
}
# Those whose records have the text in a field that has a name.
_RECORDS = ("jsonl", "json", "table", "parquet")


@dataclass(frozen=True, slots=True)
class _Options:
    """How all files of a run are read."""

    format: str | None
    text_field: str
    encoding: str | None


def read(
    paths: Sequence[str],
    *,
    format: str | None = None,
    text_field: str = "text",
    encoding: str | None = None,
    stdin: BinaryIO | None = None,
) -> Iterator[Document]:
    """Returns the documents of all paths, in order, each as soon as it is read; ``-`` is standard input.

    An id that the source does not give is the file's stem, or its path where stems are not unique.
    Without an ``encoding`` texts are UTF-8, or UTF-16 where a file shows it.
    Raises InputError, before anything is read, for a path or a pattern that leads to no file.
    """
    if format is not None and format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if encoding is not None:
        streams.codec_name(encoding)
    if list(paths).count("-") > 1:
        raise UsageError("standard input (-) is named twice", hint="it can be read only once")
    if "-" in paths and format and format in _PAIRS:
        raise UsageError(
            f"{format} cannot be read from standard input",
            hint=f"name the folder or the {FORMATS[format][0]} file",
        )
    return _read_files(files(paths, format=format), _Options(format, text_field, encoding), stdin)


def files(paths: Sequence[str], *, format: str | None = None) -> list[str]:
    """Returns the files that ``read`` would read, one of each pair; warns of those passed over."""
    return _without_covered([file for path in paths for file in _expand(path, format)], format)


def _read_files(files: Sequence[str], options: _Options, stdin: BinaryIO | None) -> Iterator[Document]:
    stems = Counter(_stem(file) for file in files)
    for file in files:
        name = "stdin" if file == "-" else _shown(file)
        stem = _stem(name) if stems[_stem(file)] == 1 else str(Path(streams.bare(name)).with_suffix(""))
        try:
            yield from _read_file(file, options, stdin, name=name, stem=stem)
        except OSError as error:
            yield text.unreadable(stem, where=name, detail=error.strerror or type(error).__name__)
        except (streams.BrokenStreamError, detection.RefusedError) as error:
            yield text.unreadable(stem, where=name, detail=str(error))
        except DiragError:
            raise
        except Exception as error:  # noqa: BLE001 - other files must not suffer from it
            detail = f"reading raised {type(error).__name__} at {place_of(error)}"
            yield text.unreadable(stem, where=name, detail=detail)


def _read_file(
    file: str, options: _Options, stdin: BinaryIO | None, *, name: str, stem: str
) -> Iterator[Document]:
    if file == "-":
        chunks = streams.chunks_of(stdin if stdin is not None else sys.stdin.buffer)
        yield from _read_stream(chunks, (), options, name=name, stem=stem)
        return
    candidates = (options.format,) if options.format else _formats_of(file)
    if candidates and (pair := _PAIRS.get(candidates[0])):
        yield pair.read(Path(file), name=name, stem=stem, encoding=options.encoding)
        return
    with Path(file).open("rb") as opened:
        yield from _read_stream(streams.chunks_of(opened), candidates, options, name=name, stem=stem)


def _read_stream(
    chunks: Iterable[bytes], candidates: Sequence[str], options: _Options, *, name: str, stem: str
) -> Iterator[Document]:
    stream, form = streams.decoded(chunks, options.encoding), options.format
    if form is None:
        head, stream = stream.peeked(detection.is_enough)
        form = detection.format_of(head, candidates, text_field=options.text_field)
    extra = {"text_field": options.text_field} if form in _RECORDS else {}
    documents = _READERS[form](stream, name=name, stem=stem, **extra)
    first = next(documents, None)
    yield first or Document(stem, "", issues=(Issue("empty", name),))
    yield from documents


def _stem(file: str) -> str:
    return Path(streams.bare(file)).stem


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
        endings = ", ".join(dict.fromkeys(ending for known in FORMATS.values() for ending in known))
        raise InputError(f"no file to read in folder {folder}", hint=f"known endings: {endings}")
    return files


def _is_wanted(name: str, format: str | None) -> bool:
    if name.lower() == "typesystem.xml":
        return False  # INCEpTION puts one beside its documents
    if format is None:
        return bool(_formats_of(name))
    # Corpora in PubTator and BIO often come as .txt, and a text of a pair may have no labels.
    endings = FORMATS[format] if format in _RECORDS else (*FORMATS[format], ".txt")
    return has_ending(name, endings)


def has_ending(file: str, endings: Iterable[str]) -> bool:
    """Tells whether a file's name has one of the endings of a format, be it compressed or not."""
    return streams.bare(file).lower().endswith(tuple(endings))


def _formats_of(file: str) -> tuple[str, ...]:
    """Returns the formats whose ending is the longest that fits, in the order in which they are listed."""
    fitting = [
        (len(ending), name)
        for name, endings in FORMATS.items()
        for ending in endings
        if has_ending(file, [ending])
    ]
    longest = max((length for length, _ in fitting), default=0)
    return tuple(name for length, name in fitting if length == longest)


def _without_covered(files: list[str], format: str | None) -> list[str]:
    """Leaves out each ``.txt`` whose labels are read too: the pair is one document."""
    covered: set[Path] = set()
    for file in files:
        kind = format or next(iter(_formats_of(file)), None)
        if kind and kind in _PAIRS and has_ending(file, FORMATS[kind]):
            text_file = _PAIRS[kind].text_of(Path(file))
            covered.update([text_file.resolve()] if text_file else [])
    if not covered:
        return files
    return [file for file in files if not (has_ending(file, [".txt"]) and Path(file).resolve() in covered)]


def _shown(path: str) -> str:
    """Returns a path as it is written into records: file names need not be UTF-8, records must."""
    return os.fsencode(path).decode("utf-8", errors="replace")
