"""The tool runs from a checkout that is not installed, where no metadata say its version."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command import environment

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """A function that runs dirag in a copy of the checkout, beside all installed libraries but dirag."""
    checkout, libraries = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("libraries")
    for name in ("dirag", "kb", "prompts"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in map(Path, sys.path):
        if any(folder.glob("*.dist-info")):
            for entry in folder.iterdir():
                if not entry.name.startswith("dirag") and not (libraries / entry.name).exists():
                    (libraries / entry.name).symlink_to(entry)
    variables = environment(checkout / "home") | {"PYTHONPATH": str(libraries)}

    def dirag(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-S", "-m", "dirag", *arguments],  # -S: no site-packages of its own
            cwd=checkout,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    (checkout / "vocabulary.tsv").write_text("id\tname\ttypes\nD1\tasthma\tdisease\n")
    gold = {"text": "Has asthma.", "entities": [{"start": 4, "end": 10, "type": "disease", "text": "asthma"}]}
    (checkout / "gold.jsonl").write_text(json.dumps(gold) + "\n")
    return dirag


def test_says_that_it_has_no_version(run: Callable[..., str]) -> None:
    assert run("--version") == "dirag, version none\n"


def test_builds_a_knowledge_base_and_scores_with_it(run: Callable[..., str]) -> None:
    run("kb", "build", "vocabulary.tsv", "-o", "base", "--encoder", "hash")
    assert "dirag none" in run("kb", "info", "base")
    report = run(
        "eval", "--dataset", "gold.jsonl", "--tagger", "dictionary", "--kb", "base", "--out", "run", "--json"
    )
    assert json.loads(report)["f1"] == 1.0


def test_builds_a_pool(run: Callable[..., str]) -> None:
    run("examples", "build", "gold.jsonl", "-o", "pool", "--encoder", "hash")
    assert "Has asthma." in run("examples", "search", "pool", "Asthma?", "--encoder", "hash")
