"""``dirag config``: the settings in force, and from where."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
from click.core import ParameterSource

from dirag.cli.options import config_of, config_options, flag, variable
from dirag.config import ADAPTER_SETTINGS_FILE, adapter_of, options


@click.command(short_help="Print the settings in force, and from where.")
@config_options
def config(**values: Any) -> None:
    """Print the settings in force, one a line, each with where it comes from.

    The output is a valid dirag.toml. The command line wins over DIRAG_* variables, these over
    the file, the file over what an adapter was trained for, and that over the defaults.

    \b
    dirag config --shots 4
    dirag config > new.toml
    """
    ctx = click.get_current_context()
    chosen = config_of(dict(values))
    settings, adapter = asdict(chosen), adapter_of(chosen)
    origins: dict[ParameterSource | None, str] = {
        ParameterSource.COMMANDLINE: "command line",
        ParameterSource.DEFAULT_MAP: str(ctx.obj),
        ParameterSource.DEFAULT: "default",
    }
    for name in options():
        source = ctx.get_parameter_source(name)
        origin = variable(name) if source is ParameterSource.ENVIRONMENT else origins.get(source, "default")
        if settings[name] != values[name]:  # nothing but an adapter changes what click has read
            origin = f"{adapter}/{ADAPTER_SETTINGS_FILE}"
        click.echo(f"{flag(name)[2:]} = {_toml(settings[name])}  # {origin}")


def _toml(value: object) -> str:
    """Spells a value as TOML: JSON has the same booleans, numbers, strings and lists of strings."""
    import orjson

    return orjson.dumps(list(value) if isinstance(value, tuple) else value).decode()
