"""The flags of a filter by the quality of paragraphs, for commands that take sentences out of documents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dirag.cli.options import Names
from dirag.errors import UsageError
from dirag.examples.quality import DOMAINS, KINDS, LEAST, MOST, QualityFilter, open_filter

if TYPE_CHECKING:
    from dirag.protocols import Embedder

F = TypeVar("F", bound=Callable[..., Any])

_MIN_QUALITY = 3.0


def quality_options(command: F) -> F:
    """Adds the flags to a command; :func:`quality_filter` takes their values."""
    for added in (
        click.option(
            "--domains",
            type=Names(DOMAINS),
            metavar="DOMAINS",
            help=f"With --quality, the domains of paragraphs to take: {', '.join(DOMAINS)} [default: all].",
        ),
        click.option(
            "--kinds",
            type=Names(KINDS),
            metavar="KINDS",
            help=f"With --quality, the kinds of text to take: {', '.join(KINDS)} [default: all].",
        ),
        click.option(
            "--min-quality",
            type=click.FloatRange(LEAST, MOST),  # None unless given: without --quality it is refused
            help=f"With --quality, the usefulness that a paragraph has at least [default: {_MIN_QUALITY}].",
        ),
        click.option(
            "--quality",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="Take sentences of good paragraphs only, by a score of `dirag train quality`.",
        ),
    ):
        command = added(command)
    return command


def quality_filter(values: dict[str, Any], embedder: Callable[[], Embedder]) -> QualityFilter | None:
    """Takes the values of these flags out and opens the filter; returns None without ``--quality``."""
    path, least = values.pop("quality"), values.pop("min_quality")
    kinds, domains = values.pop("kinds") or (), values.pop("domains") or ()
    if path is None:
        if least is not None or kinds or domains:
            raise UsageError(
                "--min-quality, --kinds and --domains need a score", hint="name its folder with --quality"
            )
        return None
    return open_filter(
        path, embedder(), min_quality=_MIN_QUALITY if least is None else least, kinds=kinds, domains=domains
    )
