"""Entity types as answers write them: which names can stand in an answer, and which of them was meant."""

from __future__ import annotations

import re

from dirag.errors import UsageError

_UNFIT = re.compile(r"[\[\]()|;:\\\s](?<! )|^ | $|^$")


def check_types(types: tuple[str, ...]) -> tuple[str, ...]:
    """The types, if there are any and each can be told from the rest of an answer; else UsageError."""
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
    """The type that an answer means, case and a plural s aside."""
    known = {name.casefold(): name for name in types}
    form = written.strip().casefold()
    return known.get(form) or known.get(form.removesuffix("s"))
