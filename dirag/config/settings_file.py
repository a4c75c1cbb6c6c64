"""Reads TOML files of settings: the user's ``dirag.toml``, and what an adapter was trained for."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from dirag.errors import InputError, UsageError, unknown

FILE_NAME = "dirag.toml"


def find_file(folder: Path) -> Path | None:
    """Finds the nearest ``dirag.toml`` in the folder or above it."""
    for place in (folder, *folder.parents):
        if (place / FILE_NAME).is_file():
            return place / FILE_NAME
    return None


def read_file(path: Path, *, known: Sequence[str]) -> Mapping[str, object]:
    """Reads the settings of a TOML file, keys with underscores, a list of names as one string with commas.

    Raises InputError where it cannot be read, UsageError for a key that is not ``known`` or a value of a kind
    that no option has.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot read the settings in {path}: {error}") from error
    settings: dict[str, object] = {}
    for key, value in raw.items():
        name = key.replace("-", "_")
        if name not in known:
            refused = unknown("setting", key, [k.replace("_", "-") for k in known])
            raise UsageError(f"{path}: {refused.message}", hint=refused.hint)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            value = ",".join(value)
        if not isinstance(value, str | int | float | bool):
            raise UsageError(f"{path}: setting {key!r} is a {type(value).__name__}", hint="give one value")
        settings[name] = value
    return settings
