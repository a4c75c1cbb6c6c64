"""The public names: a list that is kept on purpose, and that costs nothing to import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dirag

#: To change this list is to change the library's interface.
PUBLIC = {
    "Concept",
    "Config",
    "DiragError",
    "Document",
    "Entity",
    "EntityRecogniser",
    "Hit",
    "Issue",
    "Result",
    "Segment",
    "configure",
    "open",
    "read",
    "segments",
    "tag",
}


def test_the_list_is_kept() -> None:
    assert set(dirag.__all__) == PUBLIC
    assert sorted(dirag.__all__) == dirag.__all__
    assert set(dir(dirag)) >= PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_each_name_is_there_and_documented(name: str) -> None:
    found = getattr(dirag, name)
    assert found.__name__ == name
    assert found.__module__.startswith("dirag.")
    assert found.__doc__


def test_what_type_checkers_see_is_what_there_is() -> None:
    tree = ast.parse(Path(dirag.__file__).read_text(encoding="utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    shown = {
        (alias.name, node.module)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert {name for name, _ in shown} == PUBLIC
    for name, module in shown:
        assert module is not None
        __import__(module)
        assert getattr(sys.modules[module], name) is getattr(dirag, name)


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'tags'"):
        dirag.tags  # noqa: B018


def test_the_package_imports_none_of_its_modules() -> None:
    code = "import sys, dirag; print([m for m in sys.modules if m.startswith('dirag.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
