"""Digests of files and folders: equal exactly where the content is, wherever it lies."""

from __future__ import annotations

import hashlib
import os
import platform
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.errors import ArtifactError
from dirag.files import fingerprint

flags = st.lists(st.sampled_from(["sse4_2", "avx2", "avx512f", "asimd"]), min_size=1, unique=True)
files = st.dictionaries(st.sampled_from(["a", "b", "sub/a", "sub/b c"]), st.binary(max_size=9), max_size=4)


def written(folder: Path, contents: dict[str, bytes]) -> Path:
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@settings(deadline=None)
@given(files, files)
def test_folders_are_equal_where_their_files_are(
    tmp_path_factory: pytest.TempPathFactory, one: dict[str, bytes], other: dict[str, bytes]
) -> None:
    folders = [written(tmp_path_factory.mktemp("x"), contents) for contents in (one, other, one)]
    written(folders[2], {".git/index": b"x", ".receipt.json": b"{}"})
    first, second, third = map(fingerprint.digest, folders)
    assert (first == second) == (one == other)
    assert first == third


def test_a_file_is_known_by_its_sha256(tmp_path: Path) -> None:
    file = tmp_path / "weights.gguf"
    file.write_bytes(b"GGUF")
    assert fingerprint.digest(file) == hashlib.sha256(b"GGUF").hexdigest()


def test_a_large_file_is_read_once_as_long_as_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIRAG_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(fingerprint, "_LARGE", 4)
    read, honest = [], fingerprint.sha256

    def counting(file: Path) -> str:
        read.append(file)
        return honest(file)

    monkeypatch.setattr(fingerprint, "sha256", counting)
    file = tmp_path / "weights.gguf"
    file.write_bytes(b"weights 1")
    for _ in range(3):
        assert fingerprint.digest(file) == hashlib.sha256(b"weights 1").hexdigest()
    assert read == [file]
    file.write_bytes(b"weights 2")
    os.utime(file, ns=(1, 1))
    assert fingerprint.digest(file) == hashlib.sha256(b"weights 2").hexdigest()


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"cannot read .*none\.gguf: No such file"):
        fingerprint.digest(tmp_path / "none.gguf")


def test_versions_of_what_is_there_and_what_is_not() -> None:
    assert fingerprint.versions("numpy", "no-such-library") == {
        "numpy": version("numpy"),
        "no-such-library": "none",
    }


@given(flags, flags, st.integers(1, 4), st.sampled_from(["flags\t\t", "Features\t"]))
def test_processors_are_the_same_where_their_instructions_are(
    tmp_path_factory: pytest.TempPathFactory, one: list[str], other: list[str], cores: int, key: str
) -> None:
    """Whatever else the system says of them, as the clock of the moment, and however many there are."""
    with pytest.MonkeyPatch.context() as patch:
        folder, seen = tmp_path_factory.mktemp("cpu"), []
        for number, names in enumerate((one, other, one)):
            core = f"processor\t: 0\nMHz\t: {2000 + number}\n{key}: {' '.join(names)}\nbugs\t: none\n\n"
            (folder / str(number)).write_text(core * cores)
            patch.setattr(fingerprint, "_CPUINFO", folder / str(number))
            seen.append(fingerprint.processor())
    assert (seen[0] == seen[1]) == (one == other)
    assert seen[0] == seen[2] == f"{platform.machine()} {' '.join(one)}"


def test_without_a_list_of_instructions_it_is_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "_CPUINFO", tmp_path / "absent")
    monkeypatch.setattr(platform, "processor", lambda: "GenuineIntel Family 6")
    assert fingerprint.processor() == f"{platform.machine()} GenuineIntel Family 6"
