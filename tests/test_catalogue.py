from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dirag.corpora.catalogue import Known, Split, fetch, find, known
from dirag.corpora.datasets import SPLITS
from dirag.errors import DatasetError, UsageError

CONTENT = b"bad\tB-Bad\nflu\tI-Bad\n"
TEST = Split("test.tsv", hashlib.sha256(CONTENT).hexdigest(), 1, {"disease": 1})
TINY = Known(
    name="tiny",
    folder="tiny-bio",
    url="https://example.invalid/tiny",
    home="https://example.invalid",
    licence="CC0",
    format="conll",
    types={"Bad": "disease"},
    splits={"test": TEST},
)


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No corpora but those of the test, and no way out but to this machine."""
    monkeypatch.setenv("DIRAG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "*")
    for name in ("DIRAG_DATA", "DIRAG_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENT)
    return path


def test_the_record_itself_is_sound() -> None:
    for corpus in known().values():
        assert corpus.url.startswith("https://raw.githubusercontent.com/")
        assert set(corpus.splits) <= set(SPLITS)
        for split in corpus.splits.values():
            assert set(corpus.types.values()) <= set(split.entities)
            assert len(split.sha256) == 64


@pytest.mark.parametrize("place", ["tiny-bio", "corpora/tiny-bio"])
def test_a_file_is_found_in_either_layout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    path = put(tmp_path / place / "test.tsv")
    assert find(TINY, TEST, None) is None
    assert find(TINY, TEST, str(tmp_path)) == path
    monkeypatch.setenv("DIRAG_DATA", str(tmp_path))
    assert find(TINY, TEST, None) == path


def test_places_are_asked_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    flag, variable = put(tmp_path / "flag/tiny-bio/test.tsv"), put(tmp_path / "variable/tiny-bio/test.tsv")
    cache = put(tmp_path / "home/datasets/tiny-bio/test.tsv")
    (tmp_path / "empty").mkdir()
    assert find(TINY, TEST, None) == cache
    assert find(TINY, TEST, str(tmp_path / "empty")) == cache
    monkeypatch.setenv("DIRAG_DATA", str(tmp_path / "variable"))
    assert find(TINY, TEST, None) == variable
    assert find(TINY, TEST, str(tmp_path / "empty")) == variable
    assert find(TINY, TEST, str(tmp_path / "flag")) == flag


def test_a_data_folder_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--data-dir .* is not a folder"):
        find(TINY, TEST, str(tmp_path / "none"))
    monkeypatch.setenv("DIRAG_DATA", str(tmp_path / "none"))
    with pytest.raises(UsageError, match=r"DIRAG_DATA .* is not a folder"):
        find(TINY, TEST, None)


@dataclass
class Server:
    url: str
    content: bytes = CONTENT
    status: int = 200
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(state.content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state = Server(f"http://127.0.0.1:{http.server_port}/tiny")
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        http.shutdown()
        thread.join()


def cached(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "home").rglob("*") if path.is_file()]


def test_a_fetched_file_is_found_from_then_on(tmp_path: Path, server: Server) -> None:
    corpus = replace(TINY, url=server.url)
    path = fetch(corpus, TEST, False)
    assert path == tmp_path / "home/datasets/tiny-bio/test.tsv" == find(corpus, TEST, None)
    assert path.read_bytes() == CONTENT
    assert server.asked == ["/tiny/test.tsv"]
    assert cached(tmp_path) == [path]


@pytest.mark.parametrize(
    "content, status, complaint",
    [
        (CONTENT.upper(), 200, f"expected {TEST.sha256}"),
        (CONTENT[:-1], 200, f"expected {TEST.sha256}"),
        (CONTENT, 404, "HTTP Error 404"),
    ],
    ids=["another file", "cut short", "not there"],
)
def test_what_is_not_the_file_on_record_is_never_kept(
    tmp_path: Path, server: Server, content: bytes, status: int, complaint: str
) -> None:
    server.content, server.status = content, status
    with pytest.raises(DatasetError, match=complaint):
        fetch(replace(TINY, url=server.url), TEST, False)
    assert cached(tmp_path) == []


def test_what_cannot_be_reached_says_which_file_to_put_where(tmp_path: Path) -> None:
    gone = "http://127.0.0.1:9/tiny"  # the discard port: nobody listens
    with pytest.raises(DatasetError, match=f"cannot be fetched from {gone}") as caught:
        fetch(replace(TINY, url=gone), TEST, False)
    for part in (f"{gone}/test.tsv", "CC0", str(tmp_path / "home/datasets/tiny-bio/test.tsv"), "$DIRAG_DATA"):
        assert part in caught.value.hint


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_offline_asks_nobody(monkeypatch: pytest.MonkeyPatch, server: Server, how: str) -> None:
    if how == "variable":
        monkeypatch.setenv("DIRAG_OFFLINE", "1")
    with pytest.raises(DatasetError, match="fetching is switched off") as caught:
        fetch(replace(TINY, url=server.url), TEST, how == "argument")
    assert f"{server.url}/test.tsv" in caught.value.hint
    assert server.asked == []
