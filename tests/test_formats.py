"""Finding documents: files, folders, globs, standard input; what is passed over and what is refused."""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.data import Document
from dirag.errors import InputError, UsageError
from dirag.formats import FORMATS, read, text


def _write(folder: Path, **files: bytes) -> None:
    for name, data in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _codes(document: Document) -> list[str]:
    return [issue.code for issue in document.issues]


@given(st.text())
def test_a_text_is_read_as_it_stands(content: str) -> None:
    lines = io.BytesIO(content.encode())
    (document,) = text.read(lines, name="n.txt", stem="n")
    assert (document.id, document.text) == ("n", content)
    assert _codes(document) == ([] if content.strip() else ["empty"])


def test_an_invalid_byte_costs_the_text_and_tells_its_line(tmp_path: Path) -> None:
    _write(tmp_path, a_txt=b"one\r\ntwo\nthr\xffee", b_txt=b"good")
    bad, good = read([str(tmp_path)])
    assert (bad.id, bad.text, dict(bad.meta)) == ("a", "", {"line": 3})
    assert bad.issues[0].where == f"{tmp_path}/a.txt:3"
    assert bad.issues[0].detail == "byte 12 of the file is not valid UTF-8; --encoding names another encoding"
    assert good.text == "good"


def test_a_folder_is_read_in_order_and_hidden_files_are_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _write(tmp_path, b_txt=b"b", a_jsonl=b'{"text": "a"}', sub__c_txt=b"c", _hidden_txt=b"x", sub__x_pdf=b"%")
    _write(tmp_path / ".git", d_txt=b"x")
    (tmp_path / "LICENSE").write_bytes(b"x")
    with caplog.at_level(logging.WARNING):
        documents = list(read([str(tmp_path)]))
    assert [(d.id, d.text) for d in documents] == [("a:1", "a"), ("b", "b"), ("c", "c")]
    assert caplog.messages == [f"{tmp_path}: passed over 2 files of other formats (.pdf, LICENSE)"]


def test_ids_are_paths_where_stems_are_not_unique(tmp_path: Path) -> None:
    _write(tmp_path, a__n_txt=b"1", b__n_txt=b"2", b__m_txt=b"3")
    assert [d.id for d in read([str(tmp_path)])] == [f"{tmp_path}/a/n", "m", f"{tmp_path}/b/n"]


@pytest.mark.parametrize("pattern, found", [("*.txt", ["a", "b"]), ("**", ["a", "b", "c"]), ("[b]*", ["b"])])
def test_a_glob_that_the_shell_left(tmp_path: Path, pattern: str, found: list[str]) -> None:
    _write(tmp_path, a_txt=b"a", b_txt=b"b", sub__c_txt=b"c")
    assert [d.text for d in read([f"{tmp_path}/{pattern}"])] == found


def test_a_name_with_a_glob_character_is_a_name_first(tmp_path: Path) -> None:
    (tmp_path / "a[1].txt").write_bytes(b"one")
    assert [d.text for d in read([f"{tmp_path}/a[1].txt"])] == ["one"]


@pytest.mark.parametrize(
    "path, message", [("none.txt", "no such file or folder: "), ("*.none", "no file matches ")]
)
def test_a_path_to_nothing_is_refused_before_anything_is_read(
    tmp_path: Path, path: str, message: str
) -> None:
    _write(tmp_path, a_txt=b"a")
    with pytest.raises(InputError) as error:
        read([str(tmp_path), f"{tmp_path}/{path}"])
    assert error.value.message == f"{message}{tmp_path}/{path}"


def test_a_folder_without_documents_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, a_pdf=b"x")
    with pytest.raises(InputError, match="no file to read in folder"):
        read([str(tmp_path)])


def test_wrong_options_are_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'jsonl'"):
        read(["-"], format="jsnl")
    with pytest.raises(UsageError, match="named twice"):
        read(["-", "-"])
    with pytest.raises(UsageError, match="brat cannot be read from standard input"):
        read(["-"], format="brat")


def test_a_file_that_cannot_be_opened_costs_that_file(tmp_path: Path) -> None:
    _write(tmp_path, a_txt=b"a", c_txt=b"c")
    (tmp_path / "b.txt").symlink_to(tmp_path / "gone")
    first, bad, last = read([str(tmp_path)])
    assert (first.text, last.text) == ("a", "c")
    assert (bad.id, _codes(bad), bad.issues[0].where) == ("b", ["unreadable"], f"{tmp_path}/b.txt")
    assert bad.issues[0].detail == "No such file or directory"


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    _write(tmp_path, b_txt=b"b")
    os.mkfifo(tmp_path / "a.txt")
    assert [d.text for d in read([str(tmp_path)])] == ["b"]


def test_a_file_name_need_not_be_unicode(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/n\xff.txt")).write_bytes(b"")
    (document,) = read([str(tmp_path)])
    assert document.id == "n\ufffd"
    assert document.issues[0].where == f"{tmp_path}/n\ufffd.txt"


@pytest.mark.parametrize("name", ["a_jsonl", "a_txt", "a_tsv", "a_pubtator", "a"])
def test_an_empty_file_is_one_empty_document(tmp_path: Path, name: str) -> None:
    _write(tmp_path, **{name: b""})
    (document,) = read([str(tmp_path / name.replace("_", "."))])
    assert (document.id, document.text, _codes(document)) == ("a", "", ["empty"])


@pytest.mark.parametrize(
    "data, texts",
    [
        (b'\n  {"text": "a"}\n{"text": "b"}', ["a", "b"]),
        (b'\xef\xbb\xbf{"text": "a"}', ["a"]),
        (b"\n [a]\r\nb\n", ["\n [a]\r\nb\n"]),
        (b"", [""]),
    ],
)
def test_input_without_a_format_is_known_by_its_first_byte(
    tmp_path: Path, data: bytes, texts: list[str]
) -> None:
    assert [d.text for d in read(["-"], stdin=io.BytesIO(data))] == texts
    (tmp_path / "notes").write_bytes(data)
    assert [d.text for d in read([str(tmp_path / "notes")])] == texts


def test_standard_input_is_read_no_further_than_needed() -> None:
    """Each line of a pipe gives its document before the next is written."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as stream, os.fdopen(writer, "wb", buffering=0) as pipe:
        pipe.write(b'{"text": "a"}\n')
        documents = read(["-"], stdin=stream)
        assert next(documents).id == "stdin:1"
        pipe.write(b'{"text": "b"}\n')
        assert next(documents).text == "b"
        pipe.close()
        assert not list(documents)


def test_a_single_line_of_five_megabytes(tmp_path: Path) -> None:
    long = "x" * 5_000_000
    (tmp_path / "a.jsonl").write_text(f'{{"text": "{long}"}}\n{{"text": "b"}}')
    assert [len(d.text) for d in read([str(tmp_path)])] == [5_000_000, 1]


def test_the_page_of_formats_names_each_with_its_endings() -> None:
    page = (Path(__file__).parents[1] / "docs" / "formats.md").read_text(encoding="utf-8")
    for name, endings in FORMATS.items():
        (row,) = [
            line for line in page.splitlines() if line.startswith("| `") and f"`{name}`" in line.split("|")[1]
        ]
        for ending in endings:
            assert f"`{ending}`" in row or ending in (".pubtator.txt", ".bioc.xml")
