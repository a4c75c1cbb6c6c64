"""The README and the help texts: every command in them is one that the tool takes, and none is missing."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest

from dirag.cli import COMMANDS, cli
from dirag.config import options

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    """The contents of README's code blocks in one language."""
    return [body for name, body in _BLOCK.findall(README) if name == language]


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command of the tool with its name as it is typed, after ``dirag``."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        yield " ".join((*path, name)), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = dict(commands())


def shell_lines() -> list[str]:
    """The lines of README that a user types: sh blocks, and what follows a ``$`` in a console block."""
    typed = [line for block in blocks("sh") for line in block.splitlines()]
    console = (line for block in blocks("console") for line in block.splitlines())
    return typed + [line.removeprefix("$ ") for line in console if line.startswith("$ ")]


def help_lines() -> list[str]:
    """The example lines of every help text."""
    return [
        line.strip()
        for command in ALL.values()
        for line in (command.help or "").splitlines()
        if re.search(r"\bdirag (\w|-)", line) and not line[:1].isupper()
    ]


def script_lines() -> list[str]:
    """The commands in the scripts of ``examples/``, with 1 for a variable and no options passed on."""
    text = "".join(path.read_text("utf-8") for path in sorted((ROOT / "examples").glob("*.sh")))
    lines = (line.strip() for line in text.replace("\\\n", "").splitlines())
    return [re.sub(r"\$\w+", "1", line.replace('"$@"', "")) for line in lines if line.startswith("dirag ")]


def calls(line: str) -> list[list[str]]:
    """The arguments of every call of ``dirag`` in a shell line; redirections are left out."""
    words = shlex.shlex(line.replace('"$(', "| ").replace(')"', ""), posix=True, punctuation_chars="|&;<>")
    words.whitespace_split = True
    found: list[list[str]] = []
    inside = skip = False
    for word in words:
        if skip:
            skip = False
        elif set(word) <= set("<>"):
            skip = True
        elif set(word) <= set("|&;"):
            inside = False
        elif inside:
            found[-1].append(word)
        elif word == "dirag":
            inside = True
            found.append([])
    return found


def refuse_what_is_unknown(arguments: Sequence[str]) -> None:
    """Raises where the tool has no such command or option, or an option takes no such value."""
    command: click.Command = cli
    ctx = click.Context(cli, **cli.context_settings)
    rest = list(arguments)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        inner = command.get_command(ctx, rest.pop(0))
        assert inner is not None, f"no command {' '.join(arguments)!r}"
        command, ctx = inner, click.Context(inner, ctx, **inner.context_settings)
    values, left, _ = command.make_parser(ctx).parse_args(rest)
    assert not left, f"too many arguments: {left}"
    for option in command.params:
        # A flag takes no value, and a path in an example need not be there.
        free = not isinstance(option, click.Option) or option.is_flag or isinstance(option.type, click.Path)
        if option.name in values and not free:
            option.type_cast_value(ctx, values[option.name])


@pytest.mark.parametrize("line", [*shell_lines(), *help_lines(), *script_lines()])
def test_every_command_that_is_shown_is_one_that_the_tool_takes(line: str) -> None:
    for arguments in calls(line):
        refuse_what_is_unknown(arguments)


@pytest.mark.parametrize(
    "line", ["dirag tagg x", "dirag tag x --shot-count 3", "dirag tag --selector best", "a | dirag kb list"]
)
def test_an_outdated_command_would_be_seen(line: str) -> None:
    (arguments,) = calls(line)
    with pytest.raises((AssertionError, click.UsageError)):
        refuse_what_is_unknown(arguments)


def test_calls_are_found_in_a_shell_line() -> None:
    assert calls("pip install . && dirag tag a.txt | grep x > y") == [["tag", "a.txt"]]
    assert calls('dirag prompt - < a.txt; ls "$(dirag models path x)"') == [
        ["prompt", "-"],
        ["models", "path", "x"],
    ]
    assert calls("echo 'dirag tag' | dirag tag -") == [["tag", "-"]]


def test_readme_opens_with_two_lines_that_install() -> None:
    first, second = [line for line in shell_lines() if line.startswith("pip install ")]
    assert first == shell_lines()[0] == "pip install -c constraints.txt . && dirag tag examples/notes.txt"
    assert second == "pip install -c constraints.txt -e '.[dev]' && python -m pytest -q"


def test_readme_names_every_command() -> None:
    assert [name for name in COMMANDS if f"dirag {name}" not in README] == []


def test_readme_names_only_options_that_exist() -> None:
    known = {name for command in (cli, *ALL.values()) for p in command.params for name in p.opts}
    known |= {name for command in ALL.values() for p in command.params for name in p.secondary_opts}
    prose = "\n".join(line for line in README.splitlines() if not line.startswith("pip install"))
    assert (
        set(re.findall(r"(?<![\w-])--[a-z][\w-]*", prose)) - known - {"--help", "--extra-index-url"} == set()
    )


def test_readme_names_only_variables_that_exist() -> None:
    known = {f"DIRAG_{name.upper()}" for name in options()} | {"DIRAG_HOME", "DIRAG_DATA", "DIRAG_TEST_DATA"}
    assert set(re.findall(r"DIRAG_\w+", README)) <= known


def test_readme_shows_the_python_example() -> None:
    example = (ROOT / "examples" / "tag.py").read_text(encoding="utf-8")
    assert blocks("python") == [example.split('"""\n\n', 1)[1]]


def test_readme_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#\s]+)\)", README)
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


@pytest.mark.parametrize("name", ALL)
def test_every_command_and_option_has_help(name: str) -> None:
    command = ALL[name]
    assert command.help
    assert [p.opts for p in command.params if isinstance(p, click.Option) and not p.help] == []


@pytest.mark.parametrize("name", ALL)
def test_every_help_text_has_an_example(name: str) -> None:
    command = ALL[name]
    assert re.search(rf"\bdirag {name}\b", command.help or "")
