"""The ranking model: recorded probabilities that touch every weight, and laws of the competition."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.data import Concept
from dirag.knowledge import base
from dirag.knowledge.index.lookup import NameMatch
from dirag.knowledge.index.ranking import DENSE, LEXICAL, Features, Model

CONCEPTS = [
    Concept("X:1", "Becker muscular dystrophy", ("BMD type 2", "Benign muscular dystrophy"), ("disease",)),
    Concept("X:2", "Bone mineral density", ("BMD",), ("disease",)),
    Concept("X:3", "Cholera, unspecified", ("Cholera morbus",), ("disease",)),
    Concept("X:4", "Diabetes mellitus type 2", ("Type 2 diabetes",), ("disease",)),
    Concept("X:5", "Diabetes mellitus type 1", ("Juvenile diabetes",), ("disease",)),
    Concept("X:6", "Wiskott-Aldrich syndrome", ("WAS", "WAS 1"), ("disease",)),
    Concept("X:7", "Gout, unspecified", (), ("disease",)),
    Concept("X:8", "Podagra", ("Gout",), ("disease",)),
    Concept("X:9", "Waste", ("Was a",), ("disease",)),
]
DOCUMENT = "Becker muscular dystrophy was found beside diabetes mellitus type 1. BMD was low."
CASES = [
    (mention, text)
    for mention in (
        "BMD",
        "becker dystrophy",
        "cholera",
        "was 1",
        "was",
        "gout NOS",
        "bone density 3",
        "gout",
        "diabetes type 2",
        "diabetes mellitus",
    )
    for text in (None, DOCUMENT)
]
#: First hits as (mention, whether with the document, concept, probability), recorded from the fitted weights.
SPELLING: list[tuple[str, bool, str, float]] = [
    ("BMD", False, "X:2", 0.7066),
    ("BMD", False, "X:1", 0.2596),
    ("BMD", True, "X:1", 0.8911),
    ("BMD", True, "X:2", 0.1039),
    ("becker dystrophy", False, "X:1", 0.8386),
    ("becker dystrophy", True, "X:1", 0.9333),
    ("cholera", False, "X:3", 0.9819),
    ("cholera", True, "X:3", 0.9819),
    ("was 1", False, "X:6", 0.9827),
    ("was 1", False, "X:5", 0.001082),
    ("was 1", True, "X:6", 0.9809),
    ("was 1", True, "X:5", 0.002908),
    ("was", False, "X:6", 0.9707),
    ("was", False, "X:9", 0.00291),
    ("was", True, "X:6", 0.9707),
    ("was", True, "X:9", 0.00291),
    ("gout NOS", False, "X:7", 0.5113),
    ("gout NOS", False, "X:8", 0.4392),
    ("gout NOS", True, "X:7", 0.5113),
    ("gout NOS", True, "X:8", 0.4392),
    ("bone density 3", False, "X:2", 0.4786),
    ("bone density 3", True, "X:2", 0.4786),
    ("gout", False, "X:8", 0.5914),
    ("gout", False, "X:7", 0.3984),
    ("gout", True, "X:8", 0.5914),
    ("gout", True, "X:7", 0.3984),
    ("diabetes type 2", False, "X:4", 0.9568),
    ("diabetes type 2", False, "X:1", 0.013),
    ("diabetes type 2", True, "X:4", 0.9345),
    ("diabetes type 2", True, "X:1", 0.03418),
    ("diabetes mellitus", False, "X:4", 0.2341),
    ("diabetes mellitus", False, "X:5", 0.186),
    ("diabetes mellitus", True, "X:5", 0.3808),
    ("diabetes mellitus", True, "X:4", 0.1781),
]
MEANING: list[tuple[str, bool, str, float]] = [
    ("BMD", False, "X:2", 0.8605),
    ("BMD", False, "X:1", 0.1081),
    ("BMD", True, "X:1", 0.82),
    ("BMD", True, "X:2", 0.1731),
    ("becker dystrophy", False, "X:1", 0.8352),
    ("becker dystrophy", False, "X:5", 0.0007684),
    ("becker dystrophy", True, "X:1", 0.9349),
    ("becker dystrophy", True, "X:5", 0.0008601),
    ("cholera", False, "X:3", 0.9887),
    ("cholera", False, "X:8", 0.0001227),
    ("cholera", True, "X:3", 0.9885),
    ("cholera", True, "X:8", 0.0001227),
    ("was 1", False, "X:6", 0.9896),
    ("was 1", False, "X:9", 0.0001711),
    ("was 1", True, "X:6", 0.9893),
    ("was 1", True, "X:5", 0.0004681),
    ("was", False, "X:6", 0.986),
    ("was", False, "X:9", 0.001428),
    ("was", True, "X:6", 0.9859),
    ("was", True, "X:9", 0.001428),
    ("gout NOS", False, "X:8", 0.5137),
    ("gout NOS", False, "X:7", 0.3617),
    ("gout NOS", True, "X:8", 0.513),
    ("gout NOS", True, "X:7", 0.3612),
    ("bone density 3", False, "X:2", 0.3657),
    ("bone density 3", False, "X:6", 0.001153),
    ("bone density 3", True, "X:2", 0.3646),
    ("bone density 3", True, "X:1", 0.002353),
    ("gout", False, "X:8", 0.6084),
    ("gout", False, "X:7", 0.3848),
    ("gout", True, "X:8", 0.6084),
    ("gout", True, "X:7", 0.3848),
    ("diabetes type 2", False, "X:4", 0.9527),
    ("diabetes type 2", False, "X:1", 0.007989),
    ("diabetes type 2", True, "X:4", 0.934),
    ("diabetes type 2", True, "X:1", 0.02238),
    ("diabetes mellitus", False, "X:5", 0.2927),
    ("diabetes mellitus", False, "X:4", 0.2745),
    ("diabetes mellitus", True, "X:5", 0.5406),
    ("diabetes mellitus", True, "X:4", 0.1774),
]


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[base.KnowledgeBase]:
    folder = tmp_path_factory.mktemp("ranking")
    rows = [f"{c.id}\t{c.name}\t{'|'.join(c.synonyms)}\t{'|'.join(c.semantic_types)}" for c in CONCEPTS]
    (folder / "t.tsv").write_text("\n".join(["id\tname\tsynonyms\ttypes", *rows]) + "\n", encoding="utf-8")
    base.build(
        [base.VocabularySource(folder / "t.tsv", "t")], folder / "kb", base.BuildOptions(encoder="hash")
    )
    opened = base.KnowledgeBase(folder / "kb")
    yield opened
    opened.close()


def name_matches(kb: base.KnowledgeBase, meaning: bool) -> list[NameMatch]:
    named = kb.index.concepts_in(DOCUMENT)
    return [
        name
        for inside in (frozenset[int](), named)
        for _, names in kb.index.match_names([m for m, _ in CASES], named=inside, meaning=meaning)
        for name in names
    ]


def recorded(kb: base.KnowledgeBase, model: Model, meaning: bool) -> list[tuple[str, bool, str, float]]:
    """Two best concepts of each case, by every name that the searches return."""
    rows = []
    for mention, text in CASES:
        named = kb.index.concepts_in(text) if text else frozenset[int]()
        ((_, names),) = kb.index.match_names([mention], named=named, meaning=meaning)
        scores: dict[int, float] = {}
        for name in names:
            scores[name.concept] = max(scores.get(name.concept, -99.0), model.score(name.features))
        probable = model.probabilities(scores, lambda _: "")
        best = sorted(probable, key=lambda concept: -probable[concept])[:2]
        rows += [(mention, text is not None, CONCEPTS[c].id, float(f"{probable[c]:.4g}")) for c in best]
    return rows


@pytest.mark.parametrize("model, meaning, golden", [(LEXICAL, False, SPELLING), (DENSE, True, MEANING)])
def test_probabilities_are_those_recorded(
    model: Model, meaning: bool, golden: list[tuple[str, bool, str, float]], kb: base.KnowledgeBase
) -> None:
    rows = recorded(kb, model, meaning)
    assert [row[:3] for row in rows] == [row[:3] for row in golden]
    assert [row[3] for row in rows] == pytest.approx([row[3] for row in golden], rel=2e-3)


def changed(model: Model, field: str, weight: float) -> Model:
    groups = [g._replace(**{field: weight}) if field in g._fields else g for g in model.weights]
    return Model(Features(*groups), model.none)  # type: ignore[arg-type]


FIELDS = [
    (model, meaning, field)
    for model, meaning in ((LEXICAL, False), (DENSE, True))
    for field in chain.from_iterable(group._fields for group in model.weights)
    if meaning or "cosine" not in field
]


@pytest.mark.parametrize("model, meaning, field", FIELDS)
def test_no_weight_can_change_its_sign_unseen(
    model: Model, meaning: bool, field: str, kb: base.KnowledgeBase
) -> None:
    weight = next(getattr(group, field) for group in model.weights if field in group._fields)
    before = recorded(kb, model, meaning)
    after = recorded(kb, changed(model, field, -weight), meaning)
    assert [row[:3] for row in after] != [row[:3] for row in before] or [row[3] for row in after] != (
        pytest.approx([row[3] for row in before], rel=2e-2)
    )


@pytest.mark.parametrize("model, meaning, field", FIELDS)
def test_the_score_follows_the_sign_of_each_weight(
    model: Model, meaning: bool, field: str, kb: base.KnowledgeBase
) -> None:
    features = name_matches(kb, meaning)[0].features
    weight = next(getattr(group, field) for group in model.weights if field in group._fields)
    groups = [g._replace(**{field: getattr(g, field) + 1}) if field in g._fields else g for g in features]
    more = model.score(Features(*groups))  # type: ignore[arg-type]
    assert more - model.score(features) == pytest.approx(weight)


@given(st.dictionaries(st.integers(0, 9), st.floats(-50, 50), max_size=6), st.sampled_from([1, 2]))
def test_concepts_of_a_group_compete_and_leave_a_share_for_none(
    scores: dict[int, float], groups: int
) -> None:
    probable = LEXICAL.probabilities(scores, lambda concept: str(concept % groups))
    assert probable.keys() == scores.keys()
    for group in range(groups):
        assert 0 <= sum(p for concept, p in probable.items() if concept % groups == group) <= 1 + 1e-9
    for one in scores:
        for other in scores:
            if one % groups == other % groups and scores[one] < scores[other]:
                assert probable[one] <= probable[other]
