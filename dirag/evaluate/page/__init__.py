"""One HTML page of one or more runs over the same gold standard: it needs no other file and asks for none.

In: analyses and gold documents. Out: the page. Figures, tables and charts are in it as they are shown; the
texts are data, which the page's own script shows a few at a time. All text is escaped, and a content
security policy lets nothing run and nothing be fetched but that one script and style sheet, by their digests.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby

import orjson

from dirag.data import Document, Json
from dirag.evaluate.analysis import Analysis, Figures
from dirag.evaluate.kinds import KINDS
from dirag.evaluate.page.charts import RATIO, Axis, Series, around, bar, lines, meter

_RATIOS = ("P", "R", "F1", "95% interval", "")
_COUNTED = ("gold", "found", "right")
_ABSENT = "–"


def page(
    runs: Sequence[Analysis],
    gold: Sequence[Document],
    *,
    types: Sequence[str],
    operation: Collection[str] = (),
    notes: Sequence[str] = (),
) -> str:
    """The page of runs over these gold documents.

    ``operation`` names the settings that do not change what a run says, ``notes`` is what the reader should
    know.
    """
    style, script = (
        files("dirag.evaluate.page").joinpath(name).read_text("utf-8") for name in ("page.css", "page.js")
    )
    about = runs[0].report
    title = " ".join(str(about[key]) for key in ("dataset", "split") if about.get(key))
    policy = f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    head = f"{title}: {runs[0].name if len(runs) == 1 else f'{len(runs)} runs'}"
    body = "".join(
        (_opening(title, runs, len(gold), notes), *_sections(runs, operation), _texts(runs, types))
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}; base-uri \'none\'; '
        "form-action 'none'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f"<title>{escape(head)} - dirag report</title>\n<style>{style}</style></head>\n<body>{body}\n"
        f'<script type="application/json" id="data">{embedded(_data(runs, gold, types))}</script>\n'
        f"<script>{script}</script></body></html>\n"
    )


def embedded(value: Json) -> str:
    """JSON that may stand in a script element: no character of it means anything to HTML or ends a line."""
    text = orjson.dumps(value).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, labels: int = 1) -> str:
    """A table of cells that are HTML; the first ``labels`` cells of a row are its headings.

    Of several labels the first is that of all the rows in sequence that share it.
    """
    made = []
    for label, group in groupby(rows, key=lambda row: row[0]):
        listed = list(group)
        of_group = f'<th scope="rowgroup" rowspan="{len(listed)}">{label}</th>' if labels > 1 else ""
        for number, row in enumerate(listed):
            cells = [of_group if number == 0 else ""] if labels > 1 else []
            cells += [f'<th scope="row">{cell}</th>' for cell in row[labels > 1 : labels]]
            made.append(f"<tr>{''.join(cells)}{''.join(f'<td>{cell}</td>' for cell in row[labels:])}</tr>")
        if labels > 1:
            made.append("</tbody><tbody>")
    columns = "".join(
        f"<th scope=col{' class=name' if i < labels else ''}>{escape(name)}</th>" if name else "<td></td>"
        for i, name in enumerate(head)
    )
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{columns}</tr></thead>"
        f"<tbody>{''.join(made).removesuffix('</tbody><tbody>')}</tbody></table></div>"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _opening(title: str, runs: Sequence[Analysis], documents: int, notes: Sequence[str]) -> str:
    about = runs[0].report
    data = about.get("data")
    licence = data.get("licence") if isinstance(data, dict) else None
    said = [f"{documents:,} texts", f"{runs[0].whole.counts.gold:,} gold entities"]
    said += [f"licence of the corpus: {licence}"] if licence else []
    names = ", ".join(f"<code>{escape(run.name)}</code>" for run in runs[:4])
    more = f" and {len(runs) - 4} more" if len(runs) > 4 else ""
    sections = ("scores", "curves", "errors", "texts")
    links = "".join(f'<li><a href="#{name}">{name.capitalize()}</a></li>' for name in sections)
    told = "".join(f"<p class=note>{escape(note)}</p>" for note in notes)
    return (
        f'<a class="skip" href="#texts">Skip to the texts</a><header><h1>{escape(title)}</h1>'
        f"<p>{names}{more}. {escape('; '.join(said))}.</p>{told}"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header><main>'
    )


def _sections(runs: Sequence[Analysis], operation: Collection[str]) -> Iterator[str]:
    yield _section("scores", "Scores", _scores(runs, operation))
    yield _section("curves", "Curves", _curves(runs, operation))
    yield _section("errors", "Errors", _errors(runs))


def _section(name: str, heading: str, parts: Iterable[str]) -> str:
    return (
        f'<section id="{name}" aria-labelledby="{name}-h"><h2 id="{name}-h">{heading}</h2>'
        f"{''.join(parts)}</section>"
    )


# -- scores ----------------------------------------------------------------------------------------------


def _scores(runs: Sequence[Analysis], operation: Collection[str]) -> Iterator[str]:
    if len(runs) > 1:
        varied = _varied(runs, operation)
        yield table(
            "All types",
            ("run", *_COUNTED, *_RATIOS, "ECE", "Brier", "tokens", "seconds", *varied),
            (
                (
                    escape(run.name),
                    *_cells(run.whole),
                    *_trust(run),
                    *_cost(run),
                    *(escape(_told(_settings(run)[name])) for name in varied),
                )
                for run in runs
            ),
        )
    else:
        whole, (low, high) = runs[0].whole.counts, runs[0].whole.ci95
        tokens, seconds = _cost(runs[0])
        figures = (
            ("F1", f"{whole.f1:.3f}", f"95% interval {low:.3f} to {high:.3f}"),
            ("Precision", f"{whole.precision:.3f}", f"{whole.correct:,} of {whole.predicted:,} found"),
            ("Recall", f"{whole.recall:.3f}", f"{whole.correct:,} of {whole.gold:,} gold"),
            ("Cost", f"{seconds} s", f"{tokens} tokens"),
        )
        boxes = (f"<div><dt>{a}</dt><dd><b>{b}</b> {c}</dd></div>" for a, b, c in figures)
        yield f'<dl class="boxes">{"".join(boxes)}</dl>'
    yield "<p>Strict: both ends and the type are right. Intervals are bootstraps over texts.</p>"
    yield _grouped("By type", "type", runs, lambda run: {"all": run.whole, **run.types})
    names = dict.fromkeys(name for run in runs for name in _settings(run))
    rows = ((escape(name), *(escape(_told(_settings(run).get(name))) for run in runs)) for name in names)
    heads = [run.name for run in runs] if len(runs) > 1 else ["value"]
    yield (
        f'<details class="settings"><summary>Settings</summary>'
        f"{table('Settings', ('setting', *heads), rows)}</details>"
    )


def _grouped(
    caption: str, what: str, runs: Sequence[Analysis], groups: Callable[[Analysis], Mapping[str, Figures]]
) -> str:
    """A table with a row a group and, where there are several, a run."""
    several = len(runs) > 1
    names = dict.fromkeys(name for run in runs for name in groups(run))
    rows = (
        (escape(name), *([escape(run.name)] if several else []), *_cells(groups(run).get(name)))
        for name in names
        for run in runs
    )
    head = (what, *(["run"] if several else []), *_COUNTED, *_RATIOS)
    return table(caption, head, rows, labels=1 + several)


def _cells(figures: Figures | None) -> tuple[str, ...]:
    if figures is None:
        return (_ABSENT,) * (len(_COUNTED) + len(_RATIOS) - 1) + ("",)
    c, (low, high) = figures.counts, figures.ci95
    counted = (f"{number:,}" for number in (c.gold, c.predicted, c.correct))
    ratios = (f"{ratio:.3f}" for ratio in (c.precision, c.recall, c.f1))
    return (*counted, *ratios, f"{low:.3f}–{high:.3f}", meter(c.f1, low, high))


def _cost(run: Analysis) -> tuple[str, str]:
    tokens = run.report.get("tokens")
    used = (tokens.get(name) for name in ("prompt", "completion")) if isinstance(tokens, dict) else ()
    seconds = run.report.get("seconds")
    total = sum(number for number in used if isinstance(number, int))
    return f"{total:,}", f"{seconds:,.1f}" if isinstance(seconds, int | float) else _ABSENT


def _settings(run: Analysis) -> Mapping[str, Json]:
    config = run.report.get("config")
    return config if isinstance(config, dict) else {}


def _varied(runs: Sequence[Analysis], operation: Collection[str]) -> list[str]:
    """The settings that all runs have and in which they differ, in their own order, less ``operation``."""
    shared = [name for name in _settings(runs[0]) if all(name in _settings(run) for run in runs)]
    return [
        name
        for name in shared
        if name not in operation and len({_told(_settings(run)[name]) for run in runs}) > 1
    ]


def _told(value: Json) -> str:
    if value is None or value == "":
        return _ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(_told, value)) if isinstance(value, list) else str(value)


# -- curves ----------------------------------------------------------------------------------------------


def _curves(runs: Sequence[Analysis], operation: Collection[str]) -> Iterator[str]:
    yield '<div class="charts">'
    varied = _varied(runs, operation)
    for name in varied:
        values = [_settings(run)[name] for run in runs]
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        if name != "seed" and len(numbers) == len(runs):
            yield _against(name, numbers, runs, [other for other in varied if other != name])
    yield lines(
        "Precision and recall over score",
        [Series(run.name, [(p.recall, p.precision) for p in run.curve], dots=False) for run in runs],
        x=Axis("recall", RATIO),
        y=Axis("precision", RATIO),
    )
    yield lines(
        "Calibration: how often entities of a score are right",
        [Series(run.name, [(b.score, b.right) for b in run.calibration.bins if b.predicted]) for run in runs],
        x=Axis("mean score", RATIO),
        y=Axis("share that is right", RATIO),
        diagonal=True,
    )
    yield "</div>"
    if len(runs) == 1:
        told = "Expected calibration error {}, Brier score {}.".format(*_trust(runs[0]))
        yield f"<p>{escape(told)}{_unscored(runs[0])}</p>"
    yield "<details><summary>Figures of the curves</summary>"
    rows = (
        (escape(run.name), f"{b.low:g}", f"{b.predicted:,}", *_bin(b.predicted, b.score, b.right), *ratios)
        for run in runs
        for b, c in zip(run.calibration.bins, run.calibration.curve, strict=True)
        for ratios in [[f"{ratio:.3f}" for ratio in (c.precision, c.recall, c.f1)]]
    )
    head = ("run", "score from", "found", "mean score", "right", "P from here up", "R", "F1")
    yield f"{table('Scores by tenths', head, rows, labels=2)}</details>"


def _bin(predicted: int, score: float, right: float) -> tuple[str, str]:
    return (f"{score:.3f}", f"{right:.3f}") if predicted else (_ABSENT, _ABSENT)


def _trust(run: Analysis) -> tuple[str, str]:
    """Expected calibration error and Brier score, where there are scores."""
    made = run.calibration
    return _bin(sum(b.predicted for b in made.bins), made.ece, made.brier)


def _unscored(run: Analysis) -> str:
    number = run.calibration.unscored
    return f" {number:,} of {run.whole.counts.predicted:,} found entities have no score." if number else ""


def _against(name: str, values: Sequence[float], runs: Sequence[Analysis], others: Sequence[str]) -> str:
    """F1 against an option: a line for each choice of the other settings in which the runs differ."""
    groups: dict[str, list[tuple[float, Figures]]] = {}
    for value, run in zip(values, runs, strict=True):
        label = ", ".join(f"{other} {_told(_settings(run)[other])}" for other in others)
        groups.setdefault(label, []).append((value, run.whole))
    series = [
        Series(
            label,
            [(value, figures.counts.f1) for value, figures in sorted(group, key=lambda each: each[0])],
            [figures.ci95 for _, figures in sorted(group, key=lambda each: each[0])],
        )
        for label, group in groups.items()
    ]
    reached = [bound for run in runs for bound in run.whole.ci95]
    return lines(
        f"F1 against {name}, with 95% intervals",
        series,
        x=Axis(name, sorted(set(values))),
        y=Axis("F1", around(reached)),
    )


# -- errors ----------------------------------------------------------------------------------------------


def _errors(runs: Sequence[Analysis]) -> Iterator[str]:
    several = len(runs) > 1
    rows = (
        (
            *([kind] if several else []),
            f'<button type="button" data-kind="{kind}" data-run="{number}" '
            f'aria-label="{escape(f"{kind}: {run.name}" if several else kind)}">'
            f"{escape(run.name) if several else kind}</button>",
            *_sides(kind, run),
            *([] if several else [f'<span class="rule">{escape(rule)}</span>']),
        )
        for kind, rule in KINDS.items()
        for number, run in enumerate(runs)
    )
    columns = ("gold", "share", "", "found", "share", "")
    head = ("kind", *(["run"] if several else []), *columns, *([] if several else ["rule"]))
    yield (
        "<p>Each gold and each predicted entity is of one kind. “Overlaps” is said of a gold and a predicted "
        "entity neither of which is correct. A button shows the texts.</p>"
    )
    yield table("Entities by kind of error", head, rows, labels=1 + several)
    if several:
        rules = "".join(f"<dt>{kind}</dt><dd>{escape(rule)}</dd>" for kind, rule in KINDS.items())
        yield f"<details><summary>Rules of the kinds</summary><dl>{rules}</dl></details>"
    yield _grouped("By length of the mention", "length", runs, lambda run: run.lengths)
    if any(run.novelty for run in runs):
        yield _grouped("By novelty: where the mention was seen", "seen in", runs, lambda run: run.novelty)
        yield (
            "<p>Seen: the same words, after case, plurals and spelling, are a mention of the pool of "
            "examples or a name in the knowledge base.</p>"
        )


def _sides(kind: str, run: Analysis) -> Iterator[str]:
    whole = run.whole.counts
    for number, total, never in zip(
        run.kinds[kind], (whole.gold, whole.predicted), ("spurious", "missed"), strict=True
    ):
        if kind == never:
            yield from (_ABSENT, _ABSENT, "")
        else:
            share = number / total if total else 0.0
            yield from (f"{number:,}", f"{100 * share:.1f}%", bar(share))


# -- texts -----------------------------------------------------------------------------------------------


def _texts(runs: Sequence[Analysis], types: Sequence[str]) -> str:
    kinds = [("error", "with an error"), ("any", "all")]
    kinds += [(kind, f"with: {kind}") for kind in KINDS]
    kinds += [("differ", "where two runs differ")] if len(runs) > 1 else []
    names = [(str(number), run.name) for number, run in enumerate(runs)]
    controls = [
        '<div><label for="search">Search in texts and ids</label><input id="search" type="search" '
        'autocomplete="off" spellcheck="false"></div>',
        _select("kind", "Texts", kinds),
        _select("type", "Type", [("", "any"), *((kind, kind) for kind in types)]),
    ]
    if len(runs) > 1:
        controls.append(_select("run", "Run", names))
        controls.append(_select("beside", "Beside it", [("", "none"), *names]))
    parts = (
        f'<form id="filter" role="search" aria-label="Texts">{"".join(controls)}</form>',
        '<p id="status" role="status"></p><ol id="list"></ol>',
        '<button type="button" id="more" hidden>Show more</button>',
        "<noscript><p>The texts are shown by a script, which is switched off here.</p></noscript>",
    )
    return f"{_section('texts', 'Texts', parts)}</main>"


def _select(name: str, label: str, choices: Iterable[tuple[str, str]]) -> str:
    options = "".join(f'<option value="{escape(value)}">{escape(shown)}</option>' for value, shown in choices)
    return f'<div><label for="{name}">{label}</label><select id="{name}">{options}</select></div>'


def _data(runs: Sequence[Analysis], gold: Sequence[Document], types: Sequence[str]) -> Json:
    """What the script shows: types and kinds by number, offsets in code points."""
    kind = {name: number for number, name in enumerate(KINDS)}
    type_ = {name: number for number, name in enumerate(types)}
    documents: list[Json] = [[document.id, document.text] for document in gold]
    marked: list[Json] = []
    for run in runs:
        wanted: list[Json] = []
        found: list[Json] = []
        for each, scores in zip(run.judged, run.scores, strict=True):
            wanted.append([[s, e, type_[t], kind[k]] for (s, e, t), k in each.gold.items()])
            found.append(
                [[s, e, type_[t], kind[k], scores[s, e, t]] for (s, e, t), k in each.predicted.items()]
            )
        marked.append({"name": run.name, "gold": wanted, "found": found})
    return {"types": list(types), "kinds": list(KINDS), "documents": documents, "runs": marked}
