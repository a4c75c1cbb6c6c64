"""The section of texts: the choices of what is shown, and the data from which the page's script shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dirag.data import Document, Json
from dirag.evaluate.analysis import Analysis
from dirag.evaluate.kinds import KINDS, Span
from dirag.evaluate.page.markup import Fragments, Html, joined

_HTML = Fragments("texts.html")


def texts(runs: Sequence[Analysis], types: Sequence[str]) -> Html:
    """Returns the section without its texts."""
    kinds = [("error", "with an error"), ("any", "all"), *((kind, f"with: {kind}") for kind in KINDS)]
    of_types = [("", "any"), *((kind, kind) for kind in types)]
    if len(runs) == 1:
        choices = [_choice("kind", "Texts", kinds), _choice("type", "Type", of_types)]
    else:
        names = [(str(number), run.name) for number, run in enumerate(runs)]
        choices = [
            _choice("kind", "Texts", [*kinds, ("differ", "where two runs differ")]),
            _choice("type", "Type", of_types),
            _choice("run", "Run", names),
            _choice("beside", "Beside it", [("", "none"), *names]),
        ]
    return _HTML.fill("texts", choices=joined(choices))


def data(runs: Sequence[Analysis], gold: Sequence[Document], types: Sequence[str]) -> Json:
    """Returns what the script shows: types and kinds by their numbers, offsets in code points."""
    # Numbers for names: each entity of each run has a type and a kind, and a page may hold a whole corpus.
    type_number = {name: number for number, name in enumerate(types)}
    kind_number = {name: number for number, name in enumerate(KINDS)}

    def marks(kinds: Mapping[Span, str], *columns: Mapping[Span, float | None]) -> list[Json]:
        return [
            [*span[:2], type_number[span[2]], kind_number[kind], *(column[span] for column in columns)]
            for span, kind in kinds.items()
        ]

    def of_run(run: Analysis) -> Json:
        judged_and_scores = zip(run.judged, run.scores, strict=True)
        return {
            "name": run.name,
            "gold": [marks(judged.gold) for judged in run.judged],
            "found": [marks(judged.predicted, scores) for judged, scores in judged_and_scores],
        }

    return {
        "types": list(types),
        "kinds": list(KINDS),
        "documents": [[document.id, document.text] for document in gold],
        "runs": [of_run(run) for run in runs],
    }


def _choice(id: str, label: str, choices: Iterable[tuple[str, str]]) -> Html:
    options = (_HTML.fill("option", value=value, shown=shown) for value, shown in choices)
    return _HTML.fill("choice", id=id, label=label, options=joined(options))
