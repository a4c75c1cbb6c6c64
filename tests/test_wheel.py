"""The wheel holds everything, and the tool runs from it in an environment that knows no checkout."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from command import environment

from dirag.files import known

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints; no setting of this process or of the user reaches it."""
    variables = environment(cwd / "home")
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env={name: value for name, value in variables.items() if not name.startswith("PYTHON")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation")
    run(*pip, "--wheel-dir", folder, ROOT, cwd=folder)
    return next(folder.glob("dirag-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of a fresh environment: the wheel, and the dependencies of this process."""
    folder = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps")
    run(*pip, wheel, cwd=folder)
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    # A path in a .pth file comes after the environment's own packages, and .pth files in it are not read:
    # an editable install of the checkout stays unseen.
    outside = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    (Path(site) / "dependencies.pth").write_text("\n".join(outside) + "\n", encoding="utf-8")
    return python.parent


def test_holds_every_data_file_as_it_is(wheel: Path) -> None:
    files = [path for name in ("kb", "prompts") for path in (ROOT / name).rglob("*") if path.is_file()]
    assert len(files) > 4
    with zipfile.ZipFile(wheel) as archive:
        for path in files:
            assert archive.read(f"dirag/_data/{path.relative_to(ROOT).as_posix()}") == path.read_bytes()


def test_holds_the_package_its_types_and_its_licence_and_no_more(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    code = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "dirag").rglob("*")
        if path.suffix in (".py", ".css", ".js", ".html")
    }
    assert {*code, "dirag/py.typed"} <= names
    rest = {name for name in names if not name.startswith("dirag/")}
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in rest)
    assert all(name.split("/")[0].endswith(".dist-info") for name in rest)


def test_the_package_is_that_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    where = run(installed / "python", "-c", "import dirag; print(dirag.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)


def test_tells_its_version(installed: Path, wheel: Path, tmp_path: Path) -> None:
    version = wheel.name.split("-")[1]
    assert version in run(installed / "dirag", "--version", cwd=tmp_path)
    assert version in run(installed / "python", "-m", "dirag", "--version", cwd=tmp_path)


def test_knows_the_weights_and_vocabularies(installed: Path, tmp_path: Path) -> None:
    shown = run(installed / "dirag", "models", "list", cwd=tmp_path)
    assert all(name in shown for name in known.every())


def test_makes_a_prompt_from_its_own_templates_and_examples(installed: Path, tmp_path: Path) -> None:
    text = "She has asthma."
    options = ("--types", "disease", "--shots", "2", "--selector", "bm25")
    shown = run(installed / "dirag", "prompt", text, *options, cwd=tmp_path)
    assert shown.count("Sentence: ") == 3
    assert f"Sentence: {text}" in shown
