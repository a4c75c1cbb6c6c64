"""Checks that entity types can be written in answers, and recognises them there."""

from __future__ import annotations

import re

from dirag.errors import UsageError

# What some answer format gives a meaning to, and every blank that is not a single space within the name.
_UNFIT = re.compile(r"[\[\]()|;:\\\s](?<! )|^ | $|^$")


def check_types(types: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the types; raises UsageError for none, or one that an answer would confuse with its syntax."""
    if not types:
        raise UsageError("no entity types", hint="name at least one, as in --types disease")
    for name in types:
        if _UNFIT.search(name):
            raise UsageError(
                f"entity type {name!r} cannot be written in an answer",
                hint="use a name without brackets, |, ;, :, backslashes and line breaks",
            )
    if len({name.casefold() for name in types}) < len(types):
        raise UsageError(f"an entity type is named twice in {', '.join(types)}")
    return types


def find_type(types: tuple[str, ...], written: str) -> str | None:
    """Returns the type that an answer means, whatever its case, also in the plural; None if it is not one."""
    folded = {name.casefold(): name for name in types}
    form = written.strip().casefold()
    return folded.get(form) or folded.get(form.removesuffix("s"))
