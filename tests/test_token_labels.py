"""Decoding of labels against an enumeration of every path: the best one, and what its spans are worth."""

from __future__ import annotations

import itertools
from collections import defaultdict
from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dirag.errors import ArtifactError
from dirag.formats.bio_tags import ANY_SCHEME, WordSpan
from dirag.taggers.token_labels import LabelSet, restrict

SCHEMES = {
    "IO": ("O", "I-a", "I-b"),
    "BIO": ("O", "B-a", "I-a", "B-b", "I-b"),
    "another order": ("I-a", "B-b", "O", "I-b", "B-a"),
    "BIOES": ("B-a", "I-a", "E-a", "S-a", "O"),
    "BILOU": ("O", "B-a", "I-a", "L-a", "U-a"),
    "two schemes": ("O", "B-a", "I-a", "I-b"),
}
#: Which label of a type may stand behind which, in words of the schemes and not of the code.
AFTER = {"B": "IMEL", "I": "IMEL", "M": "IMEL", "E": "", "L": "", "S": "", "U": ""}


def is_valid(names: tuple[str, ...], path: tuple[int, ...]) -> bool:
    """Tells whether a sequence of labels says the same in the scheme's own grammar as to the one decoder."""
    tags = ["O", *(names[label] for label in path), "O"]
    for tag, following in itertools.pairwise(tags):
        kinds = {name[0] for name in names if name[1:] == tag[1:]} if tag != "O" else set()
        goes_on = tag != "O" and tag[1:] == following[1:] and following[0] in AFTER[tag[0]]
        must_go_on = tag[0] in "BI" and tag != "O" and bool(kinds & {"E", "L"})
        orphan = following != "O" and following[0] in "IMEL" and not goes_on
        begins_by_i = following != "O" and not {n[0] for n in names if n[1:] == following[1:]} & set("BSU")
        if (must_go_on and not goes_on) or (orphan and not begins_by_i):
            return False
    return True


def spans_of(names: tuple[str, ...], path: tuple[int, ...]) -> list[WordSpan]:
    return ANY_SCHEME.spans(names[label] for label in path)[0]


def rows(labels: int, seed: int, words: int) -> NDArray[np.float32]:
    shares = np.random.default_rng(seed).dirichlet(np.full(labels, 0.6), size=words)
    return np.log(np.maximum(shares, 1e-9)).astype(np.float32)


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), words=st.integers(1, 5))
def test_spans_are_of_the_best_valid_path_with_their_share_of_all(scheme: str, seed: int, words: int) -> None:
    names = SCHEMES[scheme]
    scores = rows(len(names), seed, words)
    shares: defaultdict[WordSpan, float] = defaultdict(float)
    best: tuple[float, tuple[int, ...]] = (-1.0, ())
    whole = 0.0
    for path in itertools.product(range(len(names)), repeat=words):
        if is_valid(names, path):
            probability = exp(sum(float(scores[word, label]) for word, label in enumerate(path)))
            whole += probability
            best = max(best, (probability, path), key=lambda item: item[0])
            for span in spans_of(names, path):
                shares[span] += probability
    [spans] = LabelSet(names).decode([scores])
    assert [(s.start, s.end, s.type) for s in spans] == [tuple(s) for s in spans_of(names, best[1])]
    for scored in spans:
        assert scored.probability == pytest.approx(shares[WordSpan(*scored[:3])] / whole, abs=1e-6)
    [probable] = LabelSet(names).candidates([scores], least=0.05)
    expected = {span: share / whole for span, share in shares.items() if share / whole >= 0.05}
    probabilities = {WordSpan(*scored[:3]): scored.probability for scored in probable}
    assert probabilities == pytest.approx(expected, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=6), seed=st.integers(0, 1000))
def test_the_spans_of_a_text_are_the_same_in_any_company(lengths: list[int], seed: int) -> None:
    labels = LabelSet(SCHEMES["BIO"])
    texts = [rows(5, seed + number, length) for number, length in enumerate(lengths)]
    assert labels.decode(texts) == [spans for text in texts for spans in labels.decode([text])]
    together = labels.candidates(texts, least=0.1)
    assert together == [spans for text in texts for spans in labels.candidates([text], least=0.1)]


def test_no_texts_and_texts_without_words_have_no_spans() -> None:
    labels = LabelSet(("O", "B-a", "I-a"))
    assert labels.decode([]) == []
    assert labels.decode([np.zeros((0, 3), np.float32)]) == [[]]


@pytest.mark.parametrize("names", [("LABEL_0", "LABEL_1"), ("O", "disease"), ("B-a", "I-a"), ("O", "B-")])
def test_labels_that_say_no_type_are_refused_with_the_cure(names: tuple[str, ...]) -> None:
    with pytest.raises(ArtifactError, match=r"has (no label|a label)") as refusal:
        LabelSet(names)
    assert "id2label" in (refusal.value.hint or "")


def test_types_that_nobody_wants_count_as_outside() -> None:
    labels = LabelSet(("O", "B-a", "I-a", "B-b", "I-b"))
    scores = np.log(np.array([[0.1, 0.3, 0.1, 0.4, 0.1]], np.float32))
    groups = labels.groups({"a": "disease"})
    assert list(groups) == ["O", "B-disease", "I-disease"]
    assert np.exp(restrict(scores, groups.values())) == pytest.approx(np.array([[0.6, 0.3, 0.1]]))
    of_b = labels.groups({"b": "x"})
    assert LabelSet(tuple(of_b)).decode([restrict(scores, of_b.values())]) == [[]]
    assert (restrict(scores, labels.groups({"a": "a", "b": "b"}).values()) == scores).all()


def test_labels_that_mean_one_type_add_up() -> None:
    labels = LabelSet(("O", "B-a", "I-a", "B-a@notes", "I-a@notes"))
    scores = np.log(np.array([[0.4, 0.3, 0.0, 0.3, 0.0], [0.6, 0.0, 0.2, 0.0, 0.2]], np.float32) + 1e-9)
    groups = labels.groups({"a": "a", "a@notes": "a"})
    [[span]] = LabelSet(tuple(groups)).decode([restrict(scores, groups.values())])
    assert tuple(span)[:3] == (0, 1, "a")
    # Of the two words 0.16 is "O" with an "I" behind it, which cannot be.
    assert span.probability == pytest.approx(0.36 / 0.84, abs=1e-6)
