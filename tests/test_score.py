from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2

from dirag.data import Document, Entity
from dirag.errors import InputError
from dirag.evaluate.scoring.counts import Counts
from dirag.evaluate.scoring.score import SCHEMES, Score, score
from dirag.formats import read
from dirag.formats.bio_tags import from_bio, to_bio

Tags: TypeAlias = Sequence[Sequence[str]]

TAGS = st.sampled_from(["O", "B-disease", "I-disease", "B-gene", "I-gene", "B-drug"])
SENTENCES = st.lists(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=10), min_size=1, max_size=6)


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
    macro = (ours.of("strict").macro_f1 * len(ours.per_type) + 1) / len(rows)
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


def test_ten_thousand_random_sequences_score_as_in_seqeval() -> None:
    dice = random.Random(0)
    tags = ["O", "O", *(f"{prefix}-{kind}" for kind in ("disease", "gene", "drug") for prefix in "BI")]
    gold = [[dice.choice(tags) for _ in range(dice.randint(1, 20))] for _ in range(10_000)]
    agree(gold, [noisy(sentence, dice) for sentence in gold])


#: Every corpus of spans or tags that is read here, with the files of one split and their format.
CORPORA = {
    "ncbi-disease": ("NCBItestset_corpus.txt", "pubtator"),
    "ncbi-disease-bio": ("test.tsv", "conll"),
    "bc5cdr-pubtator": ("CDR_TestSet.PubTator.txt", "pubtator"),
    "bc5cdr-bio": ("test.tsv", "conll"),
    "bc2gm-bio": ("test.tsv", "conll"),
    "jnlpba-bio": ("test.tsv", "conll"),
    "jnlpba-standoff": ("train", "brat"),
    "bionlp13cg-bio": ("test.tsv", "conll"),
    "tmvar3-pubtator": ("tmvar_v3.txt", "pubtator"),
    "maccrobat2020-half-a": (".", "brat"),
    "quaero-fr": (".", "brat"),
    "medprocner-es": (".", "brat"),
    "pharmaconer-es-bio": ("test.txt", "conll"),
}


@pytest.mark.parametrize("name", CORPORA)
def test_corpora_with_noise_score_as_in_seqeval(shared_data: Path, name: str) -> None:
    """On what tags can say of the first 250 documents: flat entities of whole tokens between white space."""
    file, format = CORPORA[name]
    documents = islice(read([str(shared_data / "corpora" / name / file)], format=format), 250)
    gold = [to_bio(document.text, document.entities)[1] for document in documents if document.text.strip()]
    dice = random.Random(0)
    found = agree(gold, [noisy(tags, dice) for tags in gold])
    assert found.micro.gold > 50
    assert 0.3 < found.micro.f1 < 0.95
    assert agree(gold, gold).micro.f1 == 1.0


def test_a_ratio_over_nothing_is_zero() -> None:
    nothing, missed, wrong = Counts(), Counts(gold=2), Counts(predicted=2)
    for counts in (nothing, missed, wrong):
        assert (counts.precision, counts.recall, counts.f1) == (0.0, 0.0, 0.0)
    assert (missed + wrong + Counts(1, 1, 1)) == Counts(3, 3, 1)
    for scheme in SCHEMES:
        empty = score([], []).of(scheme)
        assert (empty.micro, empty.macro_f1, empty.document_f1) == (Counts(), 0.0, 0.0)


def document(id: str, text: str = "a gene", *spans: tuple[int, int, str]) -> Document:
    return Document(id, text, tuple(Entity(s, e, kind, text[s:e]) for s, e, kind in spans))


def test_a_prediction_inside_a_token_is_wrong() -> None:
    found = score([document("1", "a gene", (2, 6, "gene"))], [document("1", "a gene", (2, 5, "gene"))])
    assert found.micro == Counts(1, 1, 0, incorrect=1)
    assert found.of("partial").micro == Counts(1, 1, 0, partial=1)
    assert found.of("token").micro == Counts(1, 1, 1)


def test_documents_are_matched_by_id_whatever_their_order() -> None:
    gold = [document(str(i), "ab" * (i + 1), (0, i + 1, "x")) for i in range(5)]
    found = score(gold, reversed(gold))
    assert found.micro == Counts(5, 5, 5)
    assert (found.missing, found.extra) == ((), ())
    assert found.of("strict").per_document[:, 0].tolist() == [1] * 5


def test_what_is_missing_counts_as_not_found_and_is_told() -> None:
    gold = [document("1", "a gene", (2, 6, "gene")), document("2", "a gene", (2, 6, "gene"))]
    found = score(gold, [gold[1], document("3", "a gene", (0, 1, "gene"))])
    assert found.of("strict").per_document[:, :3].tolist() == [[1, 0, 0], [1, 1, 1]]
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
    assert (everything.micro, everything.ignored) == (Counts(2, 3, 1, incorrect=1), 0)
    assert everything.of("strict").macro_f1 == pytest.approx(1 / 3)


def test_the_mean_over_documents_leaves_out_those_without_entities() -> None:
    gold = [document("1", "a gene", (2, 6, "gene")), document("2"), document("3", "a gene", (2, 6, "gene"))]
    found = score(gold, [gold[0], document("2"), document("3", "a gene", (0, 6, "gene"))])
    assert found.of("strict").document_f1 == 0.5
    assert found.of("partial").document_f1 == 0.75


def test_gold_documents_that_share_id_and_text_take_predictions_in_order() -> None:
    gold = [document("1", "a gene", (2, 6, "gene")), document("1", "a gene")]
    assert score(gold, gold).micro == Counts(1, 1, 1)
    found = score(gold, gold[::-1])
    assert found.of("strict").per_document[:, :3].tolist() == [[1, 0, 0], [0, 1, 0]]


def test_no_document_is_kept_that_is_done() -> None:
    """The peak of memory over 2,000 documents of 5,000 characters, 10 MB a side, is that of a batch."""
    entities = tuple(Entity(i, i + 2, "x", "ab") for i in range(0, 200, 4))

    def made() -> Iterator[Document]:
        for number in range(2000):
            yield Document(str(number), "ab  " * 1250 + str(number), entities)

    score(islice(made(), 2), islice(made(), 2))  # numpy is imported here
    tracemalloc.start()
    try:
        found = score(made(), made())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.micro == Counts(100_000, 100_000, 100_000)
    assert peak < 5 << 20
