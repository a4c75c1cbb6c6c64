"""``dirag eval --perturb``: how predictions bear edits of the texts, as JSON or as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from dirag.cli.output import Summary
from dirag.errors import unknown
from dirag.evaluate.robustness.perturb import KINDS

if TYPE_CHECKING:
    from dirag.config import Config
    from dirag.evaluate.robustness.robustness import Share
    from dirag.evaluate.robustness.run import RobustnessReport
    from dirag.evaluate.run import GoldSet

_HEADS = {
    "documents": f"{'meaning kept':12} {'copies':>6}  {'documents the same':28} {'entities the same':28}",
    "followed": f"{'and changed':12} {'copies':>6}  {'followed, of those found before':57}",
}


def run(config: Config, gold: GoldSet, kinds: Sequence[str], *, folder: Path | None, as_json: bool) -> None:
    """Perturbs and tags a gold set and prints how the predictions bear it; writes it all to ``folder``."""
    from dirag.evaluate.robustness.run import measure

    summary = Summary()
    with summary.meter:
        report = measure(config, gold, _chosen(kinds), folder=folder, observer=summary)
    click.echo(orjson.dumps(report.json()).decode() if as_json else _table(report))


def _chosen(names: Sequence[str]) -> Sequence[str]:
    for name in names:
        if name not in (*KINDS, "all"):
            raise unknown("kind of edit", name, (*KINDS, "all"))
    return KINDS if "all" in names else names


def _table(report: RobustnessReport) -> str:
    """Returns the shares with their 95% intervals, and strict F1 of the same documents before and after."""
    from dirag.evaluate.report import title

    lines = [f"{title(report.dataset)}: {report.documents:,} documents, 95% intervals"]
    head = ""
    for row in report.rows:
        # Rows in which the meaning is kept have two shares, the others one: each sort has a head of its own.
        if _HEADS[next(iter(row.shares))] != head:
            head = _HEADS[next(iter(row.shares))]
            lines.append(f"{head} {'F1 before':>9} {'after':>6}")
        shares = " ".join(f"{_shown(share):28}" for share in row.shares.values())
        name = "all" if row.kind in ("kept", "changed") else row.kind
        lines.append(f"{name:12} {row.copies:6,}  {shares:57} {row.before.f1:9.3f} {row.after.f1:6.3f}")
    return "\n".join(lines)


def _shown(share: Share) -> str:
    if share.ci95 is None:
        return "of none"
    low, high = share.ci95
    return f"{share.value:.3f} ({low:.3f}-{high:.3f}) of {share.of:,}"
