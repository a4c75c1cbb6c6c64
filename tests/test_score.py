from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2

from dirag.data import Document, Entity
from dirag.errors import InputError
from dirag.evaluate.bio import from_bio
from dirag.evaluate.score import Counts, Score, count, score

Tags: TypeAlias = Sequence[Sequence[str]]

TAGS = st.sampled_from(["O", "B-disease", "I-disease", "B-gene", "I-gene", "B-drug"])
SENTENCES = st.lists(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=10), min_size=1, max_size=6)
SPANS = st.lists(st.tuples(st.integers(0, 4), st.integers(5, 8), st.sampled_from("xyz")), max_size=8)


def documents(sentences: Tags) -> list[Document]:
    """Sentences of made-up tokens with the entities that their tags say."""
    made = []
    for i, tags in enumerate(sentences):
        text, entities, _ = from_bio(["t" * (1 + j % 3) for j in range(len(tags))], tags)
        made.append(Document(str(i), text, entities))
    return made


def agree(gold: Tags, predicted: Tags) -> Score:
    """Scores both ways and compares every figure that seqeval gives."""
    ours = score(documents(gold), documents(predicted))
    # A row a type, then the averages; without any entity seqeval cannot lay out a table, so one is added.
    extra = [["B-~"]]
    theirs = classification_report(
        [*gold, *extra], [*predicted, *extra], output_dict=True, mode="strict", scheme=IOB2, zero_division=0
    )
    rows = {"~": Counts(1, 1, 1), **ours.per_type}
    micro = ours.micro + rows["~"]
    assert set(theirs) == {*rows, "micro avg", "macro avg", "weighted avg"}
    for name, counts in [*rows.items(), ("micro avg", micro)]:
        figures = (theirs[name][key] for key in ("precision", "recall", "f1-score", "support"))
        assert (counts.precision, counts.recall, counts.f1, counts.gold) == pytest.approx(tuple(figures))
    macro = (ours.macro_f1 * len(ours.per_type) + 1) / len(rows)
    assert macro == pytest.approx(theirs["macro avg"]["f1-score"])
    return ours


def noisy(tags: Sequence[str], dice: random.Random) -> list[str]:
    """A system's output for a sentence: some tags changed to any other, most often into malformed ones."""
    kinds = sorted({tag[2:] for tag in tags if tag != "O"} | {"disease"})
    others = ["O", *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI")]
    return [dice.choice(others) if dice.random() < 0.08 else tag for tag in tags]


@given(SENTENCES)
@settings(deadline=None)
def test_random_tags_score_as_in_seqeval(sentences: list[list[tuple[str, str]]]) -> None:
    agree(
        [[gold for gold, _ in pairs] for pairs in sentences],
        [[tag for _, tag in pairs] for pairs in sentences],
    )


@pytest.mark.parametrize("name", ["ncbi-disease-bio", "bc5cdr-bio", "bc2gm-bio", "jnlpba-bio"])
def test_corpora_with_noise_score_as_in_seqeval(shared_data: Path, name: str) -> None:
    source = (shared_data / "corpora" / name / "test.tsv").read_text(encoding="utf-8")
    blocks = [block.splitlines() for block in source.strip().split("\n\n")]
    gold = [[line.split("\t")[1] for line in block] for block in blocks[:1500]]
    dice = random.Random(0)
    found = agree(gold, [noisy(tags, dice) for tags in gold])
    assert 0.5 < found.micro.f1 < 0.95
    assert agree(gold, gold).micro.f1 == 1.0


@given(SPANS, SPANS)
def test_counts_are_those_of_comparing_every_pair(
    gold: list[tuple[int, int, str]], other: list[tuple[int, int, str]]
) -> None:
    wanted = [Entity(start, end, kind, "?") for start, end, kind in gold]
    found = [Entity(start, end, kind, "?") for start, end, kind in other]
    for kind, counts in count(wanted, found).items():
        of_gold = [span for i, span in enumerate(gold) if span[2] == kind and span not in gold[:i]]
        of_found = [span for i, span in enumerate(other) if span[2] == kind and span not in other[:i]]
        correct = sum(a == b for a in of_gold for b in of_found)
        assert counts == Counts(len(of_gold), len(of_found), correct)


def test_a_ratio_over_nothing_is_zero() -> None:
    nothing, missed, wrong = Counts(), Counts(gold=2), Counts(predicted=2)
    for counts in (nothing, missed, wrong):
        assert (counts.precision, counts.recall, counts.f1) == (0.0, 0.0, 0.0)
    assert (missed + wrong + Counts(1, 1, 1)) == Counts(3, 3, 1)
    assert score([], []).macro_f1 == 0.0


def document(id: str, text: str = "a gene", *spans: tuple[int, int, str]) -> Document:
    return Document(id, text, tuple(Entity(s, e, kind, text[s:e]) for s, e, kind in spans))


def test_a_prediction_inside_a_token_is_wrong() -> None:
    found = score([document("1", "a gene", (2, 6, "gene"))], [document("1", "a gene", (2, 5, "gene"))])
    assert found.micro == Counts(1, 1, 0)


def test_documents_are_matched_by_id_whatever_their_order() -> None:
    gold = [document(str(i), "ab" * (i + 1), (0, i + 1, "x")) for i in range(5)]
    found = score(gold, reversed(gold))
    assert found.micro == Counts(5, 5, 5)
    assert (found.missing, found.extra) == ((), ())
    assert [c.gold for c in found.per_document] == [1] * 5


def test_what_is_missing_counts_as_not_found_and_is_told() -> None:
    gold = [document("1", "a gene", (2, 6, "gene")), document("2", "a gene", (2, 6, "gene"))]
    found = score(gold, [gold[1], document("3", "a gene", (0, 1, "gene"))])
    assert found.per_document == (Counts(1, 0, 0), Counts(1, 1, 1))
    assert (found.missing, found.extra) == (("1",), ("3",))


def test_documents_that_share_an_id_are_matched_by_their_text() -> None:
    gold = [document("1", "a gene", (2, 6, "gene")), document("1", "b", (0, 1, "gene"))]
    assert score(gold, [gold[1], gold[0]]).micro == Counts(2, 2, 2)
    assert score([gold[0]], [gold[0], gold[0]]).extra == ("1",)


def test_predictions_on_another_text_are_refused_without_showing_it() -> None:
    with pytest.raises(InputError, match=r"document 'n1'.*12 characters, not 11") as caught:
        score([document("n1", "secret text")], [document("n1", "secret  text")])
    assert "secret" not in str(caught.value)


def test_types_not_asked_for_are_left_out_on_both_sides_and_counted() -> None:
    gold = [document("1", "a gene", (2, 6, "gene"), (0, 1, "drug"))]
    predicted = [document("1", "a gene", (2, 6, "gene"), (0, 6, "drug"), (0, 6, "cell"))]
    found = score(gold, predicted, types=("gene",))
    assert (found.per_type, found.ignored) == ({"gene": Counts(1, 1, 1)}, 2)
    everything = score(gold, predicted)
    assert list(everything.per_type) == ["cell", "drug", "gene"]
    assert (everything.micro, everything.ignored) == (Counts(2, 3, 1), 0)
    assert everything.macro_f1 == pytest.approx(1 / 3)
