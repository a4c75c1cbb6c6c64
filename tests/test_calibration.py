"""Whether scores can be trusted: figures by hand, and that the curve is what --min-score gives."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from command import output
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import Scripted

from dirag import formats
from dirag.assembly import engines, tagging
from dirag.backends.cached.replay import Recorder
from dirag.config import Config
from dirag.data import Completion, Document, Entity, Prompt
from dirag.evaluate.calibration import EDGES, calibration
from dirag.evaluate.scoring.score import score
from dirag.pipeline import scoring, tag

TEXT = "abcdefghij"
SPANS = st.lists(
    st.builds(
        lambda start, kind, score: Entity(start, start + 2, kind, TEXT[start : start + 2], score),
        st.integers(0, 8),
        st.sampled_from(["disease", "gene", "odd"]),
        st.none() | st.sampled_from(EDGES) | st.floats(0, 1),
    ),
    max_size=6,
)
DOCUMENTS = st.lists(st.tuples(SPANS, SPANS), min_size=1, max_size=4)


def annotated(sides: Sequence[Sequence[Entity]]) -> list[Document]:
    return [Document(str(i), TEXT, tuple(spans)) for i, spans in enumerate(sides)]


@settings(deadline=None, max_examples=50)
@given(DOCUMENTS)
def test_the_curve_counts_what_is_left_at_each_least_score(pairs: list[tuple[list[Entity], ...]]) -> None:
    gold, predicted = annotated([wanted for wanted, _ in pairs]), annotated([found for _, found in pairs])
    made = calibration(score(gold, predicted, types=["disease", "gene"]))
    for low, counts in zip(EDGES, made.curve, strict=True):
        left = [replace(each, entities=tuple(scoring(each.entities, low))) for each in predicted]
        assert counts.json() == score(gold, left, types=["disease", "gene"]).micro.json()


@settings(deadline=None, max_examples=50)
@given(DOCUMENTS)
def test_the_bins_hold_every_scored_entity_once(pairs: list[tuple[list[Entity], ...]]) -> None:
    gold, predicted = annotated([wanted for wanted, _ in pairs]), annotated([found for _, found in pairs])
    scored = score(gold, predicted)
    made = calibration(scored)
    assert sum(each.predicted for each in made.bins) + made.unscored == scored.micro.predicted
    right = sum(each.predicted * each.right for each in made.bins)
    assert right == pytest.approx(
        sum(is_right for s, is_right in scored.judged.tolist() if not math.isnan(s))
    )
    for each in made.bins:
        assert not each.predicted or each.low <= each.score + 1e-9 <= each.low + 0.1 + 2e-9
    assert 0 <= made.ece <= 1
    assert 0 <= made.brier <= 1
    # The mean of a bin is a forecast too; a Brier score is never less than what that one loses (Murphy).
    number = max(1, scored.micro.predicted - made.unscored)
    assert made.brier >= sum(b.predicted * (b.score - b.right) ** 2 for b in made.bins) / number - 1e-9


def test_figures_by_hand() -> None:
    spans = [(0, 0.95), (2, 0.9), (4, 0.25), (6, None)]
    found = [Entity(start, start + 2, "gene", TEXT[start : start + 2], given) for start, given in spans]
    again = replace(found[0], score=0.1)  # listed twice: the better score counts
    made = calibration(score(annotated([[found[0], found[2], found[3]]]), annotated([[*found, again]])))
    assert [(b.low, b.predicted, b.right) for b in made.bins if b.predicted] == [(0.2, 1, 1.0), (0.9, 2, 0.5)]
    assert made.brier == pytest.approx((0.05**2 + 0.9**2 + 0.75**2) / 3)
    assert made.ece == pytest.approx((2 * 0.425 + 0.75) / 3)
    assert made.unscored == 1
    assert [(c.predicted, c.correct) for c in made.curve] == [(4, 3)] * 3 + [(3, 2)] * 7
    told = made.json()
    assert isinstance(told["min_score"], list)
    assert [at["at"] for at in told["min_score"]] == list(EDGES)  # type: ignore[index, call-overload]


# -- through the process, on replayed answers ------------------------------------------------------------

NAMES = ("gout", "asthma", "colon cancer", "ataxia", "lung cancer", "cancer", "flu")
SENTENCES = [
    f"Case {n}: {a} and {b} were seen, without {c}."
    for n, (a, b, c) in enumerate(zip(NAMES * 4, NAMES[2:] * 5, NAMES[3:] * 6, strict=False))
]


class Unsure(Scripted):
    """Writes each token with a probability of its own, and other answers for other seeds."""

    def _complete(self, prompt: Prompt) -> Completion:
        completion = super()._complete(prompt)
        chance = (len(prompt.text) * 31 + prompt.seed) % 97 / 97
        tokens = [
            replace(token, logprob=math.log(max(0.01, (chance + n * 0.37) % 1)))
            for n, token in enumerate(completion.tokens)
        ]
        if prompt.temperature:
            tokens = tokens[: 2 + prompt.seed % len(tokens)]
        return replace(completion, text="".join(token.text for token in tokens), tokens=tuple(tokens))


def spans(text: str, names: Sequence[str]) -> list[dict[str, object]]:
    found = [(text.find(name), name) for name in names]
    return [{"start": at, "end": at + len(name), "type": "disease"} for at, name in found if at >= 0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A gold standard, and sentences of which each known name is an entity in some only."""
    gold = [{"text": text, "entities": spans(text, NAMES[n % 2 :: 2])} for n, text in enumerate(SENTENCES)]
    pool = [
        {"text": f"In {n} of them {name} was found.", "entities": spans(f"In {n} of them {name}", [name])}
        for n, name in enumerate(NAMES)
    ]
    pool += [{"text": f"We asked {n} about {name}.", "entities": []} for n, name in enumerate(NAMES[:4])]
    for name, records in (("gold", gold), ("pool", pool)):
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in records))
    return tmp_path


EVAL = ("eval", "--dataset", "gold.jsonl")


@pytest.mark.parametrize("samples", [1, 3])
def test_the_curve_is_what_min_score_gives(
    folder: Path, monkeypatch: pytest.MonkeyPatch, samples: int
) -> None:
    config = Config(
        types=("disease",),
        tagger="llm",
        pool=str(folder / "pool.jsonl"),
        shots=0,
        kb="none",
        samples=samples,
        seed=4,
    )
    written = {text: "; ".join(name for name in NAMES[::-1] if name in text) for text in SENTENCES}
    recording = folder / "answers.jsonl"
    monkeypatch.setattr(engines, "backend", lambda config: Recorder(Unsure(written), recording))
    with closing(tagging.tagger(config, config.types, base=None)) as tagger:
        expected = list(tag(formats.read([str(folder / "gold.jsonl")]), tagger))
    asked = ["--backend", "replay", "--model", "answers.jsonl", "--pool", "pool.jsonl", "--shots", "0"]
    asked += ["--kb", "none", "--samples", str(samples), "--seed", "4"]
    whole = json.loads(output(folder, *EVAL, *asked, "--out", "run", "--json"))
    assert whole["predicted"] == sum(len(result.entities) for result in expected)
    assert whole["issues"]["failed"] == 0
    curve = whole["calibration"]["min_score"]
    assert len({(at["predicted"], at["correct"]) for at in curve}) >= 5
    tried = curve if samples == 1 else curve[3::3]
    for at in tried:
        given = json.loads(output(folder, *EVAL, *asked, "--min-score", str(at["at"]), "--json"))
        assert {key: given[key] for key in at if key != "at"} == {key: at[key] for key in at if key != "at"}
    recorded = ["--predictions", "run/predictions.jsonl"]
    given = json.loads(output(folder, *EVAL, *recorded, "--min-score", "0.5", "--json"))
    assert (given["predicted"], given["correct"]) == (curve[5]["predicted"], curve[5]["correct"])
    shown = output(folder, *EVAL, *recorded, "--calibration")
    rows = [line.split() for line in shown.splitlines()]
    for at in curve:
        ratios = [f"{at[key]:.3f}" for key in ("precision", "recall", "f1")]
        [row] = [row for row in rows if row[:1] == row[-4:-3] == [str(at["at"])]]
        assert [float(x) for x in row[-3:]] == pytest.approx([float(x) for x in ratios], abs=0.0011)
