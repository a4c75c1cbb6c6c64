"""A run that can be taken up again: what of its output is whole, and what made it.

Beside ``out.jsonl`` lies ``.out.jsonl.journal``, which tells everything that decides the records. A run that
was killed leaves whole records and perhaps a part of one, which is cut off. Refused: to go on where anything
that decides the records has changed, or the documents are others.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import orjson

from dirag.data import Document, Json
from dirag.errors import InputError, UsageError
from dirag.files import atomic

_ANEW = "leave out --resume to begin anew"
_BLOCK = 1 << 16


def begin(output: Path, made_of: Mapping[str, str], *, resume: bool) -> int:
    """Makes the output ready to be appended to; returns the number of bytes of whole records in it.

    ``made_of`` is what decides the records, by the name under which a user knows it.
    """
    path = output.with_name(f".{output.name}.journal")
    if resume and output.exists() and output.stat().st_size:
        _compare(path, output, made_of)
        whole = _whole(output)
        # Cut off: the next record would be written behind the half one, on its line.
        os.truncate(output, whole)
        return whole
    output.write_bytes(b"")  # before the journal: records of another run are never taken for ours
    with atomic.new_file(path) as part:
        part.write_text(json.dumps(dict(made_of), indent=1) + "\n", "utf-8")
    return 0


def remaining(documents: Iterable[Document], output: Path, whole: int) -> Iterator[Document]:
    """Yields the documents behind those of the first ``whole`` bytes of the output, which must agree."""
    source = iter(documents)
    with output.open("rb") as stream:
        number = 0
        while stream.tell() < whole:
            record, number = orjson.loads(stream.readline()), number + 1
            document = next(source, None)
            if document is None or _fields_of(document) != {
                key: record[key] for key in ("id", "text", "meta")
            }:
                what = "is missing from" if document is None else "is another one than in"
                raise InputError(f"record {number} of {output} {what} the input", hint=_ANEW)
    yield from source


def _fields_of(document: Document) -> dict[str, Json]:
    """Returns the fields of a record that its document fixes, as they are after JSON."""
    # By way of JSON: a record has lists where its document has tuples.
    meta: Json = orjson.loads(orjson.dumps(dict(document.meta)))
    return {"id": document.id, "text": document.text, "meta": meta}


def _compare(path: Path, output: Path, made_of: Mapping[str, str]) -> None:
    try:
        before: dict[str, str] = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(
            f"{output} has no journal {path.name}, so it cannot be resumed", hint=_ANEW
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the journal {path}: {error}", hint=_ANEW) from error
    compare(before, made_of, output, hint=_ANEW)


def compare(before: Mapping[str, str], made_of: Mapping[str, str], output: Path, *, hint: str) -> None:
    """Raises UsageError where the output was made of something else before."""
    for name in sorted(before.keys() | made_of.keys()):
        old, new = before.get(name, "none"), made_of.get(name, "none")
        if old != new:
            raise UsageError(f"{output} was made with {name} {old!r}, not {new!r}", hint=hint)


def _whole(output: Path) -> int:
    """Returns the number of bytes up to the last line end."""
    # From the end, since outputs may have gigabytes and records are short.
    with output.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - _BLOCK)
            stream.seek(start)
            newline = stream.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0
