"""The flags of the commands, made from the fields of :class:`dirag.config.Config`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from dirag.config import Config, configured, options
from dirag.config.option import Option, split_names

DEFAULT_ENCODER = Config().encoder

#: The flag ``--data-dir``.
data_dir_option = click.option("--data-dir", metavar="DIR", envvar="DIRAG_DATA", help="Where corpora lie.")

F = TypeVar("F", bound=Callable[..., Any])


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    return "DIRAG_" + name.upper()


class Names(click.ParamType[tuple[str, ...]]):
    """A comma-separated list of names, where there are ``choices`` of one of these at least."""

    name = "names"

    def __init__(self, choices: Sequence[str] = ()) -> None:
        self.choices = choices

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        names = value if isinstance(value, tuple) else split_names(str(value))
        if self.choices and not (names and set(names) <= set(self.choices)):
            self.fail(f"{str(value)!r} is not a list of {', '.join(self.choices)}.", param, ctx)
        return names


class Values(tuple[Any, ...]):
    """Several values of one option."""


class Several(click.ParamType[Any]):
    """One value of another type, or several with commas between them."""

    def __init__(self, kind: click.ParamType[Any]) -> None:
        self._kind, self.name = kind, kind.name

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        return self._kind.get_metavar(param, ctx)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str) or "," not in value:
            return self._kind.convert(value, param, ctx)
        parts = dict.fromkeys(part.strip() for part in value.split(","))
        return Values(self._kind.convert(part, param, ctx) for part in parts)


def kind(default: object, shown: Option) -> click.ParamType[Any]:
    """Returns the click type of a field with this default."""
    if isinstance(default, tuple):
        return Names(shown.choices)
    if shown.choices:
        return click.Choice(shown.choices)
    if isinstance(default, int):  # no bool comes here: these are flags with a --no- of their own
        return click.IntRange(min=None if shown.minimum is None else int(shown.minimum))
    if isinstance(default, float):
        return click.FloatRange(shown.minimum, shown.maximum)
    return click.STRING


def encoder_option(help: str) -> Callable[[F], F]:
    """Adds the flag ``--encoder`` to a command that encodes."""
    return click.option(
        "--encoder",
        default=DEFAULT_ENCODER,
        show_default=True,
        envvar=variable("encoder"),
        metavar="NAME|PATH",
        help=help,
    )


def dataset_options(*, required: bool) -> Callable[[F], F]:
    """Adds the flags that name a gold standard and its folder."""
    added = (
        click.option(
            "--dataset", required=required, metavar="NAME|PATH", help="Known corpus, or any annotated file."
        ),
        click.option("--split", default="test", show_default=True, help="train, devel or test."),
        click.option(
            "--input-format", metavar="NAME", help="Format of a dataset's path [default: by suffix]."
        ),
        data_dir_option,
    )

    def add(command: F) -> F:
        for option in reversed(added):
            command = option(command)
        return command

    return add


def pooling_option() -> Callable[[F], F]:
    """Adds the flag ``--pooling``, which goes with ``--encoder``."""
    shown = options()["pooling"]
    return click.option(
        "--pooling",
        default=Config().pooling,
        show_default=True,
        envvar=variable("pooling"),
        type=click.Choice(shown.choices),
        help=shown.help,
    )


def folder_option(metavar: str) -> Callable[[F], F]:
    """Adds the flag ``--output`` to a command that writes a folder."""
    return click.option(
        "-o",
        "--output",
        required=True,
        type=click.Path(path_type=Path),
        metavar=metavar,
        help="Folder to make.",
    )


def hand_down(ctx: click.Context) -> None:
    """Gives the settings of a group to each of its commands."""
    assert isinstance(ctx.command, click.Group)
    ctx.default_map = dict.fromkeys(ctx.command.commands, ctx.default_map)


def config_options(command: F) -> F:
    """Adds every option of ``Config`` to a command."""
    return _with_options(command, lambda plain: plain)


def training_options(command: F) -> F:
    """Adds the options of ``Config`` that bear on training; the others keep their defaults."""
    others = [name for name, shown in options().items() if not shown.training]
    return _with_options(command, lambda plain: plain, others)


def some_options(*names: str) -> Callable[[F], F]:
    """Adds the options of ``Config`` of these names; the others keep their defaults."""
    others = [name for name in options() if name not in names]
    return lambda command: _with_options(command, lambda plain: plain, others)


def several_config_options(command: F) -> F:
    """Adds every option of ``Config``; all but lists of names may have several values, for a grid."""
    return _with_options(command, lambda plain: plain if isinstance(plain, Names) else Several(plain))


def _with_options(
    command: F,
    wrapped: Callable[[click.ParamType[Any]], click.ParamType[Any]],
    without: Collection[str] = (),
) -> F:
    defaults = {f.name: f.default for f in fields(Config) if f.name not in without}
    # Where no adapter can be named there is none.
    in_force = configured({}, explicitly_set=()) if "adapter" in defaults else Config()
    # From the last to the first: each decorator puts its option before those that are there.
    for name, shown in reversed([(n, o) for n, o in options().items() if n in defaults]):
        default = defaults[name]
        if isinstance(default, bool):
            declaration = f"{flag(name)}/--no-{name.replace('_', '-')}"
            add = click.option(
                declaration,
                name,
                default=default,
                help=shown.help,
                envvar=variable(name),
                show_default=_shown_default(name, default, in_force),
            )
        else:
            add = click.option(
                flag(name),
                name,
                type=wrapped(kind(default, shown)),
                default=default,
                help=shown.help,
                metavar=shown.metavar or None,
                envvar=variable(name),
                show_default=default != () and _shown_default(name, default, in_force),
            )
        command = add(command)
    return command


def _shown_default(name: str, default: object, in_force: Config) -> bool | str:
    """Returns how the default is shown: also the one that the settings of the default adapter make of it."""
    value = getattr(in_force, name)
    return True if value == default else f"{value} with the default adapter, else {default}"


def standard_lines() -> Iterator[str]:
    """Yields the lines of standard input; bytes that are not UTF-8 are replaced, with a warning."""
    for number, line in enumerate(sys.stdin.buffer, start=1):
        text = line.decode("utf-8", errors="replace").rstrip("\r\n")
        if "\ufffd" in text:
            click.echo(f"dirag: line {number} of standard input is not valid UTF-8 throughout", err=True)
        yield text


def config_of(values: dict[str, Any]) -> Config:
    """Takes the options of ``Config`` that a command has out of its values."""
    chosen = {name: values.pop(name) for name in options() if name in values}
    return configured(chosen, explicitly_set=explicitly_set())


def explicitly_set() -> set[str]:
    """Returns the options of the running command that the command line, the environment or a file sets."""
    source = click.get_current_context().get_parameter_source
    return {name for name in options() if source(name) not in (None, ParameterSource.DEFAULT)}
