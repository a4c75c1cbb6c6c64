"""Scores for eyes: runs as rows of a table, every scheme of one in a table, concepts in a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dirag.evaluate.report import EvaluationReport


def head(*, priced: bool = False) -> str:
    """Returns the head of ``row``: strict micro scores, tokens of prompts and answers, seconds, the cost."""
    cost = f" {'cost':>9}" if priced else ""
    return f"{'P':>6} {'R':>6} {'F1':>6}  {'95% interval':14}  {'tokens':>11} {'seconds':>8}{cost}"


def row(report: Mapping[str, Any]) -> str:
    """Returns a run in one line, from its report as ``eval --json`` gives it."""
    low, high = report["ci95"]
    tokens = report["tokens"]["prompt"] + report["tokens"]["completion"]
    ratios = f"{report['precision']:6.3f} {report['recall']:6.3f} {report['f1']:6.3f}"
    cost = f" {report['cost']:9.4f}" if report.get("cost") is not None else ""
    return f"{ratios}  {low:.3f} to {high:.3f}  {tokens:11,} {report['seconds']:8.1f}{cost}"


def concepts_line(report: EvaluationReport) -> str:
    """Returns the scores of ids by document, and how many of the entities found have the right one."""
    c, linked = (report.score.concepts[name].micro for name in ("concept", "linking"))
    (low, high), (least, most) = (report.ci95[name] for name in ("concept", "linking"))
    ratios = f"P {c.precision:.3f} R {c.recall:.3f} F1 {c.f1:.3f}"
    return (
        f"concepts: {ratios}, 95% interval {low:.3f} to {high:.3f}; "
        f"right id: {linked.f1:.3f} ({least:.3f} to {most:.3f}) of {linked.gold:,} found"
    )


def status_line(report: EvaluationReport) -> str:
    """Returns the F1 of each label of status, of the entities found."""
    scores = (f"{label} {c.f1:.3f} ({c.gold:,})" for label, c in report.score.status.items())
    return f"status of those found, F1 (gold): {', '.join(scores)}"


def schemes_table(report: EvaluationReport) -> str:
    """Returns a row a scheme and type, in the terms of SemEval-2013, with intervals and means of schemes."""
    schemes = report.schemes()
    width = max(len(kind) for each in schemes.values() for kind in (*each.per_type, "all"))
    lines = [
        f"{'scheme':8} {'type':{width}}  {'correct':>9} {'incorrect':>9} {'partial':>9} {'missed':>9} "
        f"{'spurious':>9}  {'P':>6} {'R':>6} {'F1':>6}  95% interval, mean F1 of types, of documents"
    ]
    for name, each in schemes.items():
        low, high = report.ci95[name]
        means = f"  {low:.3f} to {high:.3f}, {each.macro_f1:.3f}, {each.document_f1:.3f}"
        for kind, c in [("all", each.micro), *each.per_type.items()]:
            counts = " ".join(f"{n:9,}" for n in (c.correct, c.incorrect, c.partial, c.missed, c.spurious))
            lines.append(
                f"{name:8} {kind:{width}}  {counts}  {c.precision:6.3f} {c.recall:6.3f} {c.f1:6.3f}{means}"
            )
            means = ""
    return "\n".join(lines)
