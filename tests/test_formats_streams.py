"""Streams: compressed, cut off, in other encodings; and memory that stays small whatever they unpack to."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.errors import UsageError
from dirag.formats import read, streams

_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
try:
    import zstandard
except ImportError:  # an extra
    pass
else:
    _COMPRESS[".zst"] = lambda data: zstandard.ZstdCompressor().compress(data)
COMPRESSIONS = pytest.mark.parametrize("compress", _COMPRESS.values(), ids=_COMPRESS)


def _stream(data: bytes, encoding: str | None = None) -> streams.Stream:
    return streams.decoded(streams.chunks_of(io.BytesIO(data)), encoding)


@COMPRESSIONS
@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=4))
def test_what_is_compressed_in_parts_is_read_whole(
    compress: Callable[[bytes], bytes], parts: list[bytes]
) -> None:
    packed = b"".join(map(compress, parts))
    assert b"".join(streams.chunks_of(io.BytesIO(packed))) == b"".join(parts)


@COMPRESSIONS
@settings(deadline=None)
@given(st.data())
def test_a_file_that_is_cut_off_says_so(compress: Callable[[bytes], bytes], data: st.DataObject) -> None:
    packed = compress(b'{"text": "a"}\n' * 9)
    cut = packed[: data.draw(st.integers(7, len(packed) - 1))]
    *documents, last = read(["-"], stdin=io.BytesIO(cut))
    assert [document.text for document in documents] == ["a"] * len(documents)
    (issue,) = last.issues
    assert (issue.code, issue.where) == ("unreadable", "stdin")
    assert "end too early" in issue.detail or "damaged" in issue.detail


@COMPRESSIONS
@settings(deadline=None)
@given(st.data())
def test_a_damaged_file_costs_that_file(compress: Callable[[bytes], bytes], data: st.DataObject) -> None:
    packed = bytearray(compress(b'{"text": "a"}\n{"text": "b"}\n'))
    for _ in range(data.draw(st.integers(1, 3))):
        packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    documents = list(read(["-"], stdin=io.BytesIO(bytes(packed))))
    assert documents
    assert not any("raised" in issue.detail for document in documents for issue in document.issues)


@pytest.mark.parametrize("ending", _COMPRESS)
def test_files_of_any_format_may_be_compressed(tmp_path: Path, ending: str) -> None:
    contents = {
        "a.txt": b"Flu",
        "b.jsonl": b'{"text": "Flu"}',
        "c.ann": b"T1\tD 0 3\tFlu\n",
        "c.txt": b"Flu",
        "d.tsv": b"Flu\tB-D\n",
        "e.csv": b"id,text\nn1,Flu\n",
        "f.pubtator": b"7|t|Flu\n",
        "g.json": b'[{"text":\n "Flu"}]',
    }
    for name, content in contents.items():
        (tmp_path / f"{name}{ending}").write_bytes(_COMPRESS[ending](content))
    documents = list(read([str(tmp_path)]))
    assert [document.id for document in documents] == ["a", "b:1", "c", "d:1", "n1", "7", "g:1"]
    assert {document.text.strip() for document in documents} == {"Flu"}
    assert [len(document.entities) for document in documents] == [0, 0, 1, 1, 0, 0, 0]


@COMPRESSIONS
def test_memory_is_bounded_by_a_chunk(compress: Callable[[bytes], bytes]) -> None:
    line = b'{"text": "' + b"a" * 2000 + b'"}\n'
    packed = compress(line * 20_000)  # 40 MB
    tracemalloc.start()
    try:
        assert sum(1 for _ in _stream(packed)) == 20_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LARGEST", 1000)
    *documents, last = read(["-"], stdin=io.BytesIO(b'{"text": "a"}\n' + b"a" * 2000), format="jsonl")
    assert [document.text for document in documents] == ["a"]
    assert last.issues[0].detail == "a line is longer than 1,000 bytes"


_WIDE = ["utf-16", "utf-16-le", "utf-16-be", "utf-32"]


@pytest.mark.parametrize("encoding", _WIDE)
@given(st.text(st.characters(max_codepoint=0x17F, exclude_characters="\0"), min_size=8))
def test_utf_16_is_known_with_and_without_a_mark(encoding: str, text: str) -> None:
    text = f"Patient {text}"
    assert _stream(text.encode(encoding)).read().decode().removeprefix("\ufeff") == text


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "shift-jis", "utf-8", "koi8-r", "utf-7"])
@given(st.text())
def test_a_named_encoding_is_read(encoding: str, text: str) -> None:
    data = text.encode(encoding, "ignore")
    try:
        expected = data.decode(encoding)
    except UnicodeDecodeError:
        return
    assert _stream(data, encoding).read().decode().removeprefix("\ufeff") == expected


def test_a_letter_that_its_encoding_lacks_costs_that_record() -> None:
    lines = '{"text": "a"}\n{"text": "\ud800"}\n{"text": "b"}\n'.encode("utf-16-le", "surrogatepass")
    first, bad, last = read(["-"], stdin=io.BytesIO(lines))
    assert (first.text, bad.issues[0].code, last.text) == ("a", "unreadable", "b")


@pytest.mark.parametrize("name", ["none", "rot13", "hex"])
def test_an_unknown_encoding_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="unknown encoding"):
        read(["-"], encoding=name)
