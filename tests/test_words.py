"""Limits on the words and sizes of the package: none is loosened, each follows its figure when it mends."""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "dirag"

#: Participles that say what was done to a thing and leave open which thing it is.
PARTICIPLES = {"found", "told", "kept", "made", "asked", "said"}

LONG_FUNCTIONS = 0
TOP_MODULES = 7
COMMENTS_PER_100_LINES = 3.1  # at least
PARTICIPLE_VARIABLES = 0


@cache
def sources() -> dict[str, str]:
    paths = sorted(PACKAGE.rglob("*.py"))
    assert paths
    return {str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8") for path in paths}


def nodes() -> Iterator[tuple[str, ast.AST]]:
    for path, source in sources().items():
        for node in ast.walk(ast.parse(source)):
            yield path, node


def bound_names(node: ast.AST) -> Iterator[str]:
    """Yields the variable that a node binds, if it binds one: assignments, loops, parameters, captures."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, (ast.MatchAs, ast.MatchStar, ast.ExceptHandler)) and node.name:
        yield node.name


def test_no_class_name_is_used_twice() -> None:
    names = Counter(node.name for _, node in nodes() if isinstance(node, ast.ClassDef))
    assert names
    assert not [name for name, count in names.items() if count > 1]


def test_functions_are_short() -> None:
    functions = [(p, n) for p, n in nodes() if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    assert functions
    over = [f"{p}:{n.lineno} {n.name}" for p, n in functions if (n.end_lineno or 0) - n.lineno + 1 > 40]
    assert len(over) <= LONG_FUNCTIONS, over


def test_few_modules_lie_at_the_top() -> None:
    top = [path for path in sources() if "/" not in path and "\\" not in path]
    assert len(top) <= TOP_MODULES, top


def test_comments_are_not_fewer() -> None:
    comments = sum(
        token.type == tokenize.COMMENT
        for source in sources().values()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
    )
    lines = sum(len(source.splitlines()) for source in sources().values())
    assert 100 * comments / lines >= COMMENTS_PER_100_LINES, f"{comments} comments in {lines} lines"


def test_variables_are_no_participles() -> None:
    places = [
        f"{path}:{getattr(node, 'lineno', 0)} {name}"
        for path, node in nodes()
        for name in bound_names(node)
        if name in PARTICIPLES
    ]
    assert len(places) <= PARTICIPLE_VARIABLES, places
