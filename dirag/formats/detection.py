"""What a file is, by its first bytes, where its name leaves that open.

A file that is no text (a PDF, an archive, an image) or holds markup of no known format is refused, with what
it is and what to do. A format that is named is not looked into.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import orjson

from dirag.formats import pubmed, shapes, table
from dirag.formats.bio_tags import ANY_SCHEME

if TYPE_CHECKING:
    from dirag.data import Json

_HEAD = 1 << 16  # bytes that decide, at most


class RefusedError(Exception):
    """Why a file is not read: what it is, and what to do."""


_AS_IT_IS = "; --input-format text reads it with its markup"
_IMAGE = "an image: recognise its text first"
# Where a file begins so, at an offset of 0 mostly, it is no text.
_KINDS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", "a PDF file: take out its text first, for example with pdftotext"),
    (0, b"PK\x03\x04", "a zip archive or an Office document: unpack it, or save it as plain text"),
    (0, b"{\\rtf", "an RTF document: save it as plain text"),
    (0, b"\xd0\xcf\x11\xe0", "a document of an old Office: save it as plain text"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it"),
    (0, b"Rar!", "a RAR archive: unpack it"),
    (257, b"ustar", "a tar archive: unpack it"),
    (0, b"\x89PNG", _IMAGE),
    (0, b"\xff\xd8\xff", _IMAGE),
    (0, b"GIF8", _IMAGE),
    (0, b"II*\0", _IMAGE),
    (0, b"MM\0*", _IMAGE),
    (128, b"DICM", "a DICOM file: take out its report first"),
    (0, b"SQLite format 3", "an SQLite database: export its texts as CSV or JSONL"),
    (0, b"ARROW1", "an Arrow file: write it as CSV or JSONL"),
    (0, b"#FORMAT=WebAnno TSV", "WebAnno TSV: export it as UIMA CAS (XMI or JSON)"),
)
#: The formats of XML by the name of the root, without its namespace.
ROOTS: Mapping[str, str] = {
    "collection": "bioc-xml",
    "PubmedArticleSet": "pubmed-xml",
    "PubmedBookArticleSet": "pubmed-xml",
    "MedlineCitationSet": "pubmed-xml",
    "XMI": "cas-xmi",
    **dict.fromkeys(pubmed.ARTICLES, "pubmed-xml"),
}
_PROLOG = re.compile(
    rb"(?:\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>)*", re.DOTALL | re.IGNORECASE
)
_TAG = re.compile(rb"<([A-Za-z_][\w:.-]{0,60})(?:\s[^<>]*)?/?>")
_HTML = re.compile(
    rb"<!DOCTYPE\s+html|<(?:html|head|body|div|p|table|meta|title|section|h[1-6]|ul|ol)[\s>]", re.IGNORECASE
)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_PUBTATOR = re.compile(rb"[^|\t\s][^|\t]{0,60}\|t\|")
_JSON = re.compile(rb"""\{(?:\s*["'}]|\s*[A-Za-z_]+\s*:)|\[\s*[\[{"\]]|[\[{]\s*\Z""")


def is_enough(head: bytes) -> bool:
    """Tells whether a beginning decides: all that is asked for, or a first line that is JSON by itself."""
    if len(head) >= _HEAD:
        return True
    line, end, _ = _content(head).partition(b"\n")
    return bool(end) and _is_record(line)


def format_of(head: bytes, candidates: Collection[str], *, text_field: str) -> str:
    """Returns the format of a file; ``candidates`` are those that its ending fits, the likeliest first.

    Raises RefusedError.
    """
    if head.startswith(b"PAR1"):
        return "parquet"
    _refuse_binary(head)
    content = _content(head)

    def may_be(*formats: str) -> bool:
        return not candidates or any(form in candidates for form in formats)

    if content.startswith(b"<") and may_be("text", *ROOTS.values()) and (form := _markup(content)):
        return form
    if {"json", "jsonl"} & set(candidates) or (not candidates and _JSON.match(content)):
        return _json(content, text_field)
    if may_be("text", "pubtator") and _PUBTATOR.match(content):
        return "pubtator"
    if may_be("conll") and (content.startswith(b"-DOCSTART-") or _are_tagged(content)):
        return "conll"
    if may_be("table") and table.delimiter_of(content.partition(b"\n")[0], text_field):
        return "table"
    return next(iter(candidates), "text")


def _content(head: bytes) -> bytes:
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()


def _refuse_binary(head: bytes) -> None:
    for offset, magic, what in _KINDS:
        if head[offset : offset + len(magic)] == magic:
            raise RefusedError(f"it is {what}")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the last letter may be cut
    except UnicodeDecodeError:
        # Texts in other encodings have letters that are not UTF-8, but no control characters.
        if len(_CONTROLS.findall(head)) > 0.03 * len(head):
            raise RefusedError("it is binary data, not text") from None


def _markup(content: bytes) -> str | None:
    """Returns the format of XML, None of a text that only begins with ``<``."""
    root = content[_PROLOG.match(content).end() :]  # type: ignore[union-attr]  # it matches nothing, too
    tag = _TAG.match(root)
    if tag and (form := ROOTS.get(tag[1].rpartition(b":")[2].decode())):
        return form
    if _HTML.search(content[: len(content) - len(root) + 20]):
        raise RefusedError(f"it is HTML: save it as plain text{_AS_IT_IS}")
    is_xml = content[:5].lower() == b"<?xml" or content[:9].upper() == b"<!DOCTYPE"
    if tag and (is_xml or b"</%b>" % tag[1] in root or root[tag.end() :].lstrip().startswith(b"<")):
        name = tag[1].decode("ascii", "replace")
        raise RefusedError(f"it is XML of no known format (<{name}>): take out its text{_AS_IT_IS}")
    if is_xml:
        raise RefusedError(f"it is broken XML{_AS_IT_IS}")
    return None


def _json(content: bytes, text_field: str) -> str:
    """Tells one record a line from other JSON."""
    if content.startswith(b"{") and any(key in content for key in (b'"%TYPES"', b'"%FEATURE_STRUCTURES"')):
        return "cas-json"
    if _is_record(first := content.partition(b"\n")[0]) and _holds_records(orjson.loads(first), text_field):
        return "json"
    if content.startswith(b"["):
        return "jsonl" if _is_record(content.partition(b"\n")[0]) else "json"
    lines = [line for line in content.split(b"\n", 8)[:8] if line.strip()]
    # A first line that is broken costs that line, if the next is a record.
    return "jsonl" if any(map(_is_record, lines[:2])) or len(lines) < 2 else "json"


def _holds_records(value: Json, text_field: str) -> bool:
    return next(shapes.records(value, text_field), value) is not value


def _is_record(line: bytes) -> bool:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], str))


def _are_tagged(content: bytes) -> bool:
    """Tells whether every line is a token and a tag, at least three of them."""
    whole = content[: content.rfind(b"\n") + 1].decode("utf-8", "replace")
    rows = [line.split() for line in whole.split("\n") if line.strip() and not line.startswith("-DOCSTART-")]
    return len(rows) > 2 and all(len(row) > 1 and ANY_SCHEME.has(row[-1]) for row in rows)
