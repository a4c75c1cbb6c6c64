"""One HTML page of one or more runs over the same gold standard: it needs no other file and asks for none.

In: analyses and gold documents. Out: the page. Figures, tables and charts are in it as they are shown; the
texts are data, which the page's own script shows a few at a time. All text is escaped, and a content
security policy lets nothing run and nothing be fetched but that one script and style sheet, by their digests.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Iterable, Sequence

from dirag.data import Document
from dirag.evaluate.analysis import Analysis
from dirag.evaluate.page.curves import curves
from dirag.evaluate.page.errors import errors
from dirag.evaluate.page.markup import Fragments, Html, embedded, joined, source
from dirag.evaluate.page.scores import scores
from dirag.evaluate.page.texts import data, texts

_HTML = Fragments("page.html")
_NAMED = 4  # runs that the opening names; of more it says how many


def page(
    runs: Sequence[Analysis],
    gold: Sequence[Document],
    *,
    types: Sequence[str],
    operation: Collection[str] = (),
    notes: Sequence[str] = (),
) -> str:
    """Returns the page of runs over these gold documents.

    ``operation`` names the settings that do not change what a run predicts, ``notes`` is what the reader
    should know.
    """
    style, script = source("page.css"), source("page.js")
    about = runs[0].report
    title = " ".join(str(about[key]) for key in ("dataset", "split") if about.get(key))
    sections = (
        _section("scores", "Scores", scores(runs, operation)),
        _section("curves", "Curves", curves(runs, operation)),
        _section("errors", "Errors", errors(runs)),
        _section("texts", "Texts", [texts(runs, types)]),
    )
    document = _HTML.fill(
        "page",
        # The digests are of the text between the tags: whoever changes it, if only a blank, stops the script.
        policy=f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'",
        title=f"{title}: {runs[0].name if len(runs) == 1 else f'{len(runs)} runs'}",
        style=style,
        opening=_opening(title, runs, len(gold), notes),
        sections=joined(sections),
        data=embedded(data(runs, gold, types)),
        script=script,
    )
    return f"{document}\n"


def _opening(title: str, runs: Sequence[Analysis], documents: int, notes: Sequence[str]) -> Html:
    corpus = runs[0].report.get("data")
    licence = corpus.get("licence") if isinstance(corpus, dict) else None
    facts = [f"{documents:,} texts", f"{runs[0].whole.counts.gold:,} gold entities"]
    facts += [f"licence of the corpus: {licence}"] if licence else []
    names = [_HTML.fill("name", name=run.name) for run in runs[:_NAMED]]
    return _HTML.fill(
        "opening",
        title=title,
        names=joined(names, between=Html(", ")),
        more=f" and {len(runs) - _NAMED} more" if len(runs) > _NAMED else "",
        facts="; ".join(facts),
        notes=joined(_HTML.fill("note", note=note) for note in notes),
    )


def _section(id: str, heading: str, parts: Iterable[Html]) -> Html:
    return _HTML.fill("section", id=id, heading=heading, content=joined(parts))


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
