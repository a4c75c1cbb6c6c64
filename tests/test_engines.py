"""The table of engines: each row opens an engine, and one more is a file and a row."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from pkgutil import resolve_name
from typing import get_type_hints

import pytest
from command import DIRAG, environment

from dirag.assembly import engines
from dirag.config import ENGINES, Config, adapter_of, engine_kind
from dirag.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]
ROW = '    "ghost": EngineKind("dirag.backends.ghost:open_engine", model="any file"),\n'
OPENER = """

def open_engine(config: object) -> Scripted:
    return Scripted({"Has asthma.": "asthma (disease)"})
"""


@pytest.mark.parametrize("name", ENGINES)
def test_each_row_opens_an_engine(name: str) -> None:
    opener = resolve_name(ENGINES[name].open)
    assert list(inspect.signature(opener).parameters) == ["config"]
    hints = get_type_hints(opener)
    assert hints["config"] is Config
    assert f'self.name = f"{name}:' in inspect.getsource(hints["return"])


@pytest.mark.parametrize("name", ENGINES)
def test_versions_of_its_libraries_decide_where_it_computes_here(name: str) -> None:
    """One of them, at least, is what pip installs with dirag or with the extra of the engine's name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"].get(name, ())]
    declared = {re.split(r"[^\w-]", line)[0] for line in lines}
    assert bool(declared & set(ENGINES[name].libraries)) == (ENGINES[name].source == "weights")


def test_an_engine_is_added_by_a_file_and_a_row(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__", "adapters")
    shutil.copytree(ROOT / "dirag", checkout / "dirag", ignore=ignored)
    for name in ("kb", "prompts"):
        (checkout / name).symlink_to(ROOT / name)
    scripted = (ROOT / "tests" / "scripted.py").read_text(encoding="utf-8")
    (checkout / "dirag" / "backends" / "ghost.py").write_text(scripted + OPENER, encoding="utf-8")
    table = checkout / "dirag" / "config" / "kinds.py"
    rows = table.read_text(encoding="utf-8").replace("\nENGINES = {\n", f"\nENGINES = {{\n{ROW}")
    table.write_text(rows, encoding="utf-8")

    def dirag(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*DIRAG, "tag", *arguments],
            cwd=checkout,
            env=environment(tmp_path / "home"),
            input="Has asthma.",
            capture_output=True,
            encoding="utf-8",
            timeout=300,
        )

    ghost = ("--backend", "ghost", "--types", "disease,chemical", "--kb", "none", "--selector", "bm25")
    done = dirag(*ghost, "--model", str(ROOT / "LICENSE"), "-o", str(tmp_path / "out.jsonl"))
    assert done.returncode == 0, done.stderr
    [record] = map(json.loads, (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines())
    assert [(e["text"], e["type"]) for e in record["entities"]] == [("asthma", "disease")]
    assert "--backend ghost takes no --adapter" in dirag(*ghost, "--adapter", "x", "--model", "y").stderr
    unnamed = dirag(*ghost)
    assert "--backend ghost needs --model, which has no default" in unnamed.stderr
    assert "name any file" in unnamed.stderr


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown backend 'openvin'") as caught:
        engine_kind(Config(backend="openvin"))
    assert "did you mean 'openvino'?" in caught.value.hint


def test_no_path_reads_as_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter in a folder called "none" is an adapter."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none").mkdir()
    (tmp_path / "weights.gguf").write_bytes(b"GGUF")
    config = Config(backend="vllm", model="weights.gguf", adapter="./none")
    assert adapter_of(engines.with_paths(config)) == tmp_path / "none"
    assert adapter_of(engines.with_paths(Config(backend="vllm", model="weights.gguf"))) is None
