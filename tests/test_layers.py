"""The shape of the package: imports point one way, nothing heavy comes early, names clash with nothing."""

from __future__ import annotations

import ast
import graphlib
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

#: From the ground up. A module imports from its own package and from those of the ranks before; packages of
#: one rank know nothing of each other.
RANKS = (
    ("errors", "constraint"),
    ("data",),
    ("protocols",),
    ("files",),
    ("text", "formats", "config"),
    ("pipeline", "encoders", "backends", "corpora", "answers", "status"),
    ("knowledge", "examples"),
    ("prompting",),
    ("taggers",),
    ("assembly",),
    ("evaluate",),
    ("training",),
    ("cli",),
    ("__main__", ""),  # "" is dirag/__init__.py, the door for users of the library
)
RANK = {part: rank for rank, parts in enumerate(RANKS) for part in parts}
#: Packages that bear an engine's or a protocol's name because they hold what speaks to it.
NAMED_AFTER = {f"dirag.backends.{name}" for name in ("http", "llamacpp", "openvino", "vllm")}
HEAVY = {
    "torch",
    "faiss",
    "sentence_transformers",
    "transformers",
    "xllamacpp",
    "openvino",
    "openvino_genai",
    "gguf",
    "tokenizers",
    "numpy",
    "rapidfuzz",
    "huggingface_hub",
    "filelock",
    "tqdm",
    "peft",
    "vllm",
    "sklearn",
}


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package, by its dotted name."""
    found = {}
    for path in sorted((ROOT / "dirag").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


def statements(
    node: ast.AST, *, functions: bool, typing: bool = False
) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yields the imports that can run; with ``functions`` those inside them, with ``typing`` all."""
    inside: list[ast.AST] = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node
    elif not typing and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        inside = list(node.orelse)
    elif not functions and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        inside = []
    for child in inside:
        yield from statements(child, functions=functions, typing=typing)


def targets(statement: ast.Import | ast.ImportFrom) -> list[str]:
    """The dotted names of the modules that a statement imports."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    base = statement.module or ""
    inner = [f"{base}.{alias.name}" for alias in statement.names]
    return [name if name in modules() else base for name in inner]


def imports(name: str, *, functions: bool, typing: bool = False) -> set[str]:
    found = statements(modules()[name], functions=functions, typing=typing)
    return {target for statement in found for target in targets(statement)}


def part_of(name: str) -> str:
    """The package or module at the top of ``dirag`` to which a module belongs."""
    part = name.split(".")[1] if "." in name else ""
    assert part in RANK, f"{name} has no rank; give it its place in {Path(__file__).name}"
    return part


def every_import(name: str) -> list[str]:
    """The modules of the package that a module names anywhere, also for the type checker alone."""
    targets = imports(name, functions=True, typing=True)
    return sorted(target for target in targets if target.split(".")[0] == "dirag")


def may_import(name: str, target: str) -> bool:
    return part_of(name) == part_of(target) or RANK[part_of(target)] < RANK[part_of(name)]


@pytest.mark.parametrize("name", modules())
def test_imports_point_one_way(name: str) -> None:
    refused = [target for target in every_import(name) if not may_import(name, target)]
    assert not refused, f"{name} imports from a later rank, or across its own"


@pytest.mark.parametrize("name", modules())
def test_nothing_heavy_is_imported_with_a_module(name: str) -> None:
    early = {target.split(".")[0] for target in imports(name, functions=False)}
    assert not early & HEAVY


@pytest.mark.parametrize("name", modules())
def test_imports_are_absolute_and_name_what_they_take(name: str) -> None:
    for statement in statements(modules()[name], functions=True):
        assert not (
            isinstance(statement, ast.ImportFrom) and (statement.level or statement.names[0].name == "*")
        )


def test_versions_are_asked_for_in_one_place() -> None:
    """Others would not know of a checkout that is not installed."""
    asking = [name for name in modules() if "importlib.metadata" in imported(name)]
    assert asking == ["dirag.files.fingerprint"]


def imported(name: str) -> set[str]:
    """The dotted names that a module imports, modules or what is in them."""
    return {
        f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
        for node in statements(modules()[name], functions=True)
        for alias in node.names
    } | imports(name, functions=True)


def test_no_module_needs_itself() -> None:
    graph = {name: every_import(name) for name in modules()}
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which shows the cycle


def test_no_module_bears_the_name_of_another_library() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(w for extra in project["optional-dependencies"].values() for w in extra),
    ]
    taken = {re.split(r"[^\w-]", requirement)[0].replace("-", "_") for requirement in wanted}
    taken |= HEAVY | set(sys.stdlib_module_names) | {"vllm", "ray", "gguf"}
    own = {name.rsplit(".", 1)[-1] for name in modules().keys() - NAMED_AFTER} - {"dirag", "__main__"}
    assert "click" in taken
    assert not own & taken


def test_every_rank_is_taken() -> None:
    tops = {name.split(".")[1] for name in modules() if "." in name} | {""}
    assert tops == set(RANK)
    assert {name for name in modules() if name in NAMED_AFTER} == NAMED_AFTER


def test_few_modules_lie_loose() -> None:
    """What is not in a package of its own: the core types, the seams, the options, the flow, the doors."""
    loose = [path for path in (ROOT / "dirag").glob("*.py") if path.name != "__init__.py"]
    assert len(loose) <= 8


def test_the_type_checkers_imports_are_told_from_those_that_run() -> None:
    source = ast.parse(
        "import a\nif TYPE_CHECKING:\n    import b\nelse:\n    import c\n"
        "try:\n    import d\nexcept ImportError:\n    pass\ndef f():\n    import e\nclass K:\n    import g\n"
    )
    assert [targets(s)[0] for s in statements(source, functions=False)] == ["a", "c", "d", "g"]
    assert [targets(s)[0] for s in statements(source, functions=True)] == ["a", "c", "d", "e", "g"]
    everything = statements(source, functions=True, typing=True)
    assert [targets(s)[0] for s in everything] == ["a", "b", "c", "d", "e", "g"]
