"""Parquet, by pyarrow: rows as records, with the text in a column as in a table, or tokens and tags.

Columns of class labels, as the ``datasets`` library writes them, are read by the names that the file gives.
What JSON has no value for (dates, bytes) becomes a string in ``meta``. The file is copied to a temporary one,
since pyarrow reads from its end; a few rows are in memory at a time.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from dirag.data import Document
from dirag.formats import jsonl, shapes
from dirag.formats.streams import BrokenStreamError, Stream
from dirag.formats.text import unreadable

if TYPE_CHECKING:
    from dirag.data import Json

_ROWS = 64


def read(stream: Stream, *, name: str, stem: str, text_field: str = "text") -> Iterator[Document]:
    """Yields the documents of the rows."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise BrokenStreamError("Parquet takes a library: pip install 'dirag[formats]'") from None
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(stream, copy)
        try:
            file = parquet.ParquetFile(copy)
            names = _class_names(file.schema_arrow.metadata or {})
            if not {text_field, *shapes.TOKENS, "passages", "data"} & set(file.schema_arrow.names):
                detail = f"no column {text_field!r}; --text-field names another"
                yield unreadable(stem, where=name, detail=detail)
                return
            rows = (row for batch in file.iter_batches(batch_size=_ROWS) for row in batch.to_pylist())
            for number, row in enumerate(rows, start=1):
                yield _document(row, names, text_field, where=f"{name}:{number}", fallback=f"{stem}:{number}")
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise BrokenStreamError(f"it is broken Parquet ({type(error).__name__})") from None


def _document(
    row: dict[str, Any], names: Mapping[str, Sequence[str]], text_field: str, *, where: str, fallback: str
) -> Document:
    record = {key: _json(_named(value, names[key]) if key in names else value) for key, value in row.items()}
    try:
        return jsonl.document(record, where=where, fallback=fallback, text_field=text_field)
    except shapes.BadRecordError as error:
        return unreadable(fallback, where=where, detail=str(error))


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """Returns the names of class labels by column, as the ``datasets`` library keeps them in a schema."""
    try:
        features = orjson.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        inner = {key: feature.get("feature", feature) for key, feature in features.items()}
        return {key: feature["names"] for key, feature in inner.items() if "names" in feature}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return {}


def _named(value: Any, names: Sequence[str]) -> Any:
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    return names[value] if type(value) is int and 0 <= value < len(names) else value


def _json(value: Any) -> Json:
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    return value if isinstance(value, str | int | float | None) else str(value)
