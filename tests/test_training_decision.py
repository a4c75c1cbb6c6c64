"""Fitting what the ensemble decides by: folds that share no text, weights that beat each witness, figures."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from command import dirag
from test_decision import DECISION

from dirag.config import MODEL
from dirag.data import Document, Entity, Result
from dirag.errors import DatasetError
from dirag.examples import builtin
from dirag.files import paths
from dirag.formats import jsonl
from dirag.taggers.decision import Decision, features, gather, with_answer
from dirag.taggers.known_names import KnownName
from dirag.training.decision import fitting
from dirag.training.decision.fitting import JudgedSentence
from dirag.training.decision.training import _record


def judged(corpus: str, number: int, *, seed: int, asked: bool = True) -> list[JudgedSentence]:
    """Makes sentences of ten letters of which each is a mention or not; each witness errs by chance."""
    rng = random.Random(f"{corpus} {seed}")
    result = []
    for place in range(number):
        text = f"a b c d e f g h i j {corpus} {place}"
        gold, classifier, names, answer = [], [], [], []
        for at in range(0, 20, 2):
            entity = Entity(at, at + 1, "disease", text[at])
            right = rng.random() < 0.3
            if right:
                gold.append(entity)
            classifier.append(
                replace(entity, score=rng.betavariate(4, 2) if right else rng.betavariate(2, 4))
            )
            if rng.random() < (0.6 if right else 0.1):
                names.append(KnownName(at, at + 1, "disease", 0.6))
            if rng.random() < (0.8 if right else 0.1):
                answer.append(replace(entity, score=0.9))
        evidence = gather(classifier, names)
        sentence = Document(f"{corpus} {place}", text, tuple(gold))
        result.append(
            JudgedSentence(corpus, sentence, evidence, with_answer(evidence, answer) if asked else None)
        )
    return result


def test_a_text_is_in_one_fold_and_every_corpus_is_in_all() -> None:
    twice = judged("one", 20, seed=1)
    sentences = [*twice, *judged("two", 7, seed=2), *twice]
    folds = fitting._folds(sentences)
    assert folds[:20] == folds[27:]
    assert folds[:20] == sorted(folds[:20])
    assert set(folds[:20]) == set(folds[20:27]) == set(range(fitting.FOLDS))


def test_all_witnesses_together_are_better_than_one() -> None:
    together = fitting.fit([*judged("one", 150, seed=1), *judged("two", 80, seed=1)], DECISION)
    alone = fitting.fit([*judged("one", 150, seed=1, asked=False), *judged("two", 4, seed=1)], DECISION)
    assert together.scores["one"].micro.f1 > alone.scores["one"].micro.f1 + 0.05
    assert together.shares == {"one": 1.0, "two": 1.0}
    assert alone.shares == {"one": 0.0, "two": 1.0}
    lines = list(together.lines())
    assert [line.split()[0] for line in lines] == ["corpus", "one", "two"]
    assert f"{together.scores['one'].micro.f1:6.3f}" in lines[1]


def test_doubt_is_where_a_probability_lies_between() -> None:
    sentences = judged("one", 60, seed=3)
    _, all_of_them = fitting.doubted(sentences, (0.0, 1.0))
    weights, some = fitting.doubted(sentences, (0.4, 0.6))
    _, none = fitting.doubted(sentences, (1.0, 1.0))
    assert all(all_of_them)
    assert 0 < sum(some) < 60
    assert not any(none)
    assert "llm" not in weights.weights


def test_a_large_corpus_weighs_no_more_than_a_small_one() -> None:
    """Weights fitted to a corpus that comes ten times judge as those do to which it came once."""
    small, large = judged("small", 60, seed=4), judged("large", 60, seed=5)
    once = fitting.fit([*small, *large], DECISION).decision
    often = fitting.fit([*small, *large * 10], DECISION).decision
    only = fitting.fit(large, DECISION).decision

    def probabilities(decision: Decision) -> list[float]:
        rows = [row for s in small for row in features(s.sentence.text, s.llm or {})]
        return decision.with_llm.probabilities(rows)

    def apart(one: Decision, other: Decision) -> float:
        return max(abs(a - b) for a, b in zip(probabilities(one), probabilities(other), strict=True))

    assert apart(once, often) < apart(only, often) / 2


def test_without_doubt_the_llm_has_no_weights_of_its_own() -> None:
    result = fitting.fit(judged("one", 60, seed=7, asked=False), DECISION)
    assert result.decision.with_llm == DECISION.without_llm
    assert result.shares == {"one": 0.0}


def test_sentences_that_teach_nothing_are_refused() -> None:
    wrong = [replace(s, sentence=replace(s.sentence, entities=())) for s in judged("one", 20, seed=8)]
    with pytest.raises(DatasetError, match=r"of \d+ spans to fit to 0 are right"):
        fitting.doubted(wrong, (0.2, 0.8))


@pytest.mark.weights
def test_the_command_makes_weights_that_serve(tmp_path: Path, weights: Callable[[str], Path]) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    pool = [jsonl.dumps(Result(document, document.entities)) for document in builtin.documents()]
    (corpus / "devel.jsonl").write_bytes(b"".join(pool[::9]))
    (corpus / "train.jsonl").write_bytes(b"".join(line for n, line in enumerate(pool) if n % 9))
    adapter = shutil.copytree(paths.adapter(MODEL), tmp_path / "adapter")
    (adapter / "decision.json").unlink()
    options = ["--model", str(weights(MODEL)), "--adapter", "adapter", "--kb", "none", "--threads", "1"]
    fit = ["train", "decision", "--dataset", "corpus", "--sentences", "20", "-o", "adapter/decision.json"]
    done = dirag(tmp_path, *fit, *options)
    assert done.returncode == 0, done.stderr
    [_, row] = done.stdout.splitlines()
    record = json.loads((adapter / "decision.json").read_bytes())
    assert record["made_of"]["corpora"] == {"corpus": 20}
    name, *figures = row.split()[:4]
    of_corpus = record["development"]["corpus"]
    assert name == "corpus"
    assert [*map(float, figures)] == pytest.approx([of_corpus[n] for n in FIGURES], abs=1e-3)
    assert record["made_of"]["knowledge base"] == "none"
    (tmp_path / "note.txt").write_text("Lisinopril was started for hypertension.")
    tagged = dirag(tmp_path, "tag", "note.txt", *options)
    assert "ensemble finds" in tagged.stderr
    found = [(e["text"], e["type"]) for e in json.loads(tagged.stdout)["entities"]]
    assert ("Lisinopril", "chemical") in found


FIGURES = ("precision", "recall", "f1")


def test_what_is_written_is_read_again_with_its_figures(tmp_path: Path) -> None:
    result = fitting.fit(judged("one", 60, seed=6), DECISION)
    path = tmp_path / "decision.json"
    path.write_text(json.dumps(_record(result, {"command": "dirag train decision"})))
    assert Decision.read(path) == result.decision
    record = json.loads(path.read_text())
    of_corpus = record["development"]["one"]
    assert of_corpus["f1"] == pytest.approx(result.scores["one"].micro.f1, abs=1e-4)
    assert sum(number for _, number, *_ in of_corpus["reliability"]) == of_corpus["predicted"]
    assert record["made_of"] == {"command": "dirag train decision"}
