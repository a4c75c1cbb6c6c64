"""Data folders and the private folder are found, in a checkout and in an installed layout."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from dirag.errors import ArtifactError
from dirag.files import paths


def test_finds_the_data_of_the_checkout() -> None:
    assert paths.path("kb", "artifacts.toml").is_file()
    assert paths.path("kb").is_dir()


def test_an_installed_package_uses_its_own_data_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "dirag"
    (package / "_data" / "kb").mkdir(parents=True)
    (package / "_data" / "kb" / "x.txt").write_text("x")
    (package.parent / "kb").mkdir()  # another distribution's folder of that name
    (package.parent / "kb" / "y.txt").write_text("y")
    monkeypatch.setattr(paths, "_PACKAGE", package)
    assert paths.path("kb", "x.txt").read_text() == "x"
    with pytest.raises(ArtifactError, match=r"kb/y\.txt.*_data"):
        paths.path("kb", "y.txt")


def test_home_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIRAG_HOME", str(tmp_path / "here"))
    assert paths.home() == tmp_path / "here"
    monkeypatch.setenv("DIRAG_HOME", "~/there")
    assert paths.home() == Path.home() / "there"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders for caches")
def test_without_a_home_it_is_the_cache_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for unset in ({}, {"DIRAG_HOME": "", "XDG_CACHE_HOME": ""}):
        for name in ("DIRAG_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in unset.items():
            monkeypatch.setenv(name, value)
        assert paths.home() == tmp_path / ".cache" / "dirag"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert paths.home() == tmp_path / "cache" / "dirag"


def test_private_folders_are_for_the_owner_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIRAG_HOME", str(tmp_path / "home"))
    folder = paths.private_folder("a", "b")
    for path in (folder, folder.parent, tmp_path / "home"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DIRAG_HOME", str(tmp_path / "file"))
    with pytest.raises(ArtifactError, match="DIRAG_HOME"):
        paths.private_folder("a")
