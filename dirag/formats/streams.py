"""Files and pipes as streams of UTF-8: decompressed as they are read, and decoded from other encodings.

What a file is compressed with, its first bytes say; UTF-16 and UTF-32 are known by their byte order mark, or
UTF-16 by the zeros between its letters. Memory is bounded, whatever a file says of its size when it is
unpacked: a chunk of it, and one line or record of at most ``LARGEST`` bytes.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from dirag.errors import UsageError

#: The endings of compressed files, in lower case.
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
#: Bytes of a line, a record or a text, at most: what is larger is no document, and would fill the memory.
LARGEST = 1 << 28
_CHUNK = 1 << 16
# Four bytes of zstd may stand for 128 KB, so few of them are unpacked at once.
_ZSTD_CHUNK = 1 << 8
_MEMORY = 1 << 28


class BrokenStreamError(Exception):
    """Why the rest of a file cannot be read; never holds any of its text."""


class Stream(io.BufferedReader):
    """A stream of UTF-8 that gives no line of more than ``LARGEST`` bytes.

    ``was`` names the encoding out of which it was decoded, None where the bytes are as they came.
    """

    def __init__(self, chunks: Iterable[bytes], *, was: str | None = None) -> None:
        self._chunks = iter(chunks)
        super().__init__(_Chunks(self._chunks), _CHUNK)
        self.was = was

    def peeked(self, is_enough: Callable[[bytes], bool]) -> tuple[bytes, Stream]:
        """Returns the beginning, as much as is enough, and the whole stream; to be asked before all else."""
        head, chunks = peeked(self._chunks, is_enough)
        return head, Stream(chunks, was=self.was)

    def __next__(self) -> bytes:
        line = self.readline(LARGEST + 1)
        if len(line) > LARGEST:
            raise BrokenStreamError(f"a line is longer than {LARGEST:,} bytes")
        if not line:
            raise StopIteration
        return line


class _Chunks(io.RawIOBase):
    """A raw stream of chunks of bytes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._rest = iter(chunks), memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """Yields what a file has, unpacked where it is compressed, each chunk as soon as it is there."""
    read: Callable[[int], bytes] = getattr(file, "read1", file.read)
    head, chunks = peeked(iter(lambda: read(_CHUNK), b""), lambda head: len(head) >= 6)
    for magic, (name, unpack) in _UNPACKERS.items():
        if head.startswith(magic):
            return _unpacked(chunks, name, unpack)
    return iter(chunks)


def peeked(chunks: Iterable[bytes], is_enough: Callable[[bytes], bool]) -> tuple[bytes, Iterator[bytes]]:
    """Returns the beginning, of as many chunks as it takes until it is enough, and all chunks."""
    rest, head = iter(chunks), b""
    while not is_enough(head) and (chunk := next(rest, None)) is not None:
        head += chunk
    return head, chain([head] if head else [], rest)


def decoded(chunks: Iterable[bytes], encoding: str | None) -> Stream:
    """Returns a stream of UTF-8. Without an ``encoding`` that is what the bytes show, UTF-8 mostly.

    A byte order mark stays. Where bytes are not valid in the encoding, the stream is not valid UTF-8.
    """
    head, chunks = peeked(chunks, lambda head: len(head) >= 4)
    was = codec_name(encoding) if encoding else _shown_encoding(head)
    if was in (None, "utf-8"):
        return Stream(chunks)
    return Stream(_recoded(chunks, was), was=was)


def codec_name(encoding: str) -> str:
    """Returns Python's name of an encoding of texts; raises UsageError where there is none of this name."""
    try:
        info = codecs.lookup(encoding)
        "".encode(encoding)  # refused by codecs that are no encodings of texts, such as rot13
    except (LookupError, ValueError):
        raise UsageError(
            f"unknown encoding {encoding!r}", hint="some that are known: utf-8, utf-16, latin-1, cp1252"
        ) from None
    # The byte order mark stays, and says which of both it is.
    return {"utf-8-sig": "utf-8", "utf_8_sig": "utf-8"}.get(info.name, info.name)


@contextmanager
def open_file(path: Path, encoding: str | None) -> Iterator[Stream]:
    """Opens a file as a stream of UTF-8, and closes it. Raises OSError."""
    with path.open("rb") as file:
        yield decoded(chunks_of(file), encoding)


def bare(name: str) -> str:
    """Returns the name of a file without the ending of its compression."""
    ending = next((ending for ending in COMPRESSIONS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]


def _shown_encoding(head: bytes) -> str | None:
    if head.startswith(b"PAR1"):
        return None  # Parquet has zeros of its own
    marks = {
        codecs.BOM_UTF32_LE: "utf-32-le",
        codecs.BOM_UTF32_BE: "utf-32-be",
        codecs.BOM_UTF16_LE: "utf-16-le",
        codecs.BOM_UTF16_BE: "utf-16-be",
    }
    for mark, encoding in marks.items():
        if head.startswith(mark):
            return encoding
    # A letter of Latin script has one zero byte in UTF-16, behind it or before it; in UTF-8 no zeros come so.
    even, odd = head[: len(head) & ~1 : 2].count(0), head[1::2].count(0)
    pairs = len(head) // 2
    if pairs > 3 and max(even, odd) > 0.4 * pairs and min(even, odd) < 0.1 * pairs:
        return "utf-16-le" if odd > even else "utf-16-be"
    return None


def _recoded(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    # A byte that is never valid UTF-8 stands where the decoder stumbles, for the reader to find it.
    decoder = codecs.getincrementaldecoder(encoding)(errors=_STUMBLE)
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "surrogateescape")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogateescape")


_STUMBLE = "dirag-stumble"


def _mark_of_error(error: UnicodeError) -> tuple[str, int]:
    return "\udcff", cast("UnicodeDecodeError", error).end


codecs.register_error(_STUMBLE, _mark_of_error)


class _Decompressor(Protocol):
    """What the libraries of bzip2, xz and zstd have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _unpacked(
    chunks: Iterable[bytes], name: str, unpack: Callable[[Iterable[bytes]], Iterator[bytes]]
) -> Iterator[bytes]:
    try:
        yield from unpack(chunks)
    except EOFError:
        raise BrokenStreamError(f"it is cut off: its {name} data end too early") from None
    except MemoryError:
        raise BrokenStreamError(f"its {name} data need more than {_MEMORY:,} bytes to be unpacked") from None
    except (gzip.BadGzipFile, zlib.error, lzma.LZMAError, ValueError) as error:
        raise BrokenStreamError(f"its {name} data are damaged ({type(error).__name__})") from None


def _gzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=io.BufferedReader(_Chunks(chunks), _CHUNK)) as file:
        while chunk := file.read1(_CHUNK):
            yield chunk


def _bzip2(chunks: Iterable[bytes]) -> Iterator[bytes]:
    return _in_steps(chunks, bz2.BZ2Decompressor)


def _xz(chunks: Iterable[bytes]) -> Iterator[bytes]:
    return _in_steps(chunks, lambda: lzma.LZMADecompressor(memlimit=_MEMORY))


def _in_steps(
    chunks: Iterable[bytes], new: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]
) -> Iterator[bytes]:
    """Yields what several streams behind each other hold, in chunks of bounded size."""
    decompressor, is_begun = new(), False
    for chunk in chunks:
        data = chunk
        while data or (is_begun and not decompressor.eof and not decompressor.needs_input):
            if not is_begun and not (data := data.lstrip(b"\0")):  # streams of xz may be padded with zeros
                break
            is_begun = True
            try:
                yield decompressor.decompress(data, _CHUNK)
            except OSError as error:  # bz2 has no error of its own
                raise ValueError from error
            data = b""
            if decompressor.eof:
                data, decompressor, is_begun = decompressor.unused_data, new(), False
    if is_begun:
        raise EOFError


def _zstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise BrokenStreamError(
            "it is compressed with zstd, which takes a library: pip install 'dirag[formats]'"
        ) from None
    decompressor: _Decompressor | None = None
    for chunk in chunks:
        for at in range(0, len(chunk), _ZSTD_CHUNK):
            data = chunk[at : at + _ZSTD_CHUNK]
            while data:
                decompressor = decompressor or zstandard.ZstdDecompressor().decompressobj()
                try:
                    yield decompressor.decompress(data)
                except zstandard.ZstdError as error:
                    raise ValueError from error
                data = decompressor.unused_data if decompressor.eof else b""
                decompressor = None if decompressor.eof else decompressor
    if decompressor:
        raise EOFError


_UNPACKERS: Mapping[bytes, tuple[str, Callable[[Iterable[bytes]], Iterator[bytes]]]] = {
    b"\x1f\x8b": ("gzip", _gzip),
    b"BZh": ("bzip2", _bzip2),
    b"\xfd7zXZ\0": ("xz", _xz),
    b"\x28\xb5\x2f\xfd": ("zstd", _zstd),
}
