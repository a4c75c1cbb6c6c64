"""Taggers side by side: which finds which types, and what stays of what they find."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.assembly import choice, token_classifier
from dirag.assembly.description import description
from dirag.assembly.provenance import provenance
from dirag.config import configure
from dirag.data import Entity, Issue, Segment, Tagging, Usage
from dirag.taggers.by_type import ByTypeTagger

TEXT = "abcdefghij"


class Told:
    """A tagger that says of each segment what it was told."""

    def __init__(self, entities: Sequence[Entity], notice: str = "") -> None:
        self._tagging = Tagging(tuple(entities), (Issue("failed", "", notice),), Usage(requests=1))
        self._notice = notice
        self.is_open = True

    def tag(self, segments: Iterable[Segment]) -> Iterator[Tagging]:
        return (self._tagging for _ in segments)

    def notices(self) -> Sequence[str]:
        return ("both", self._notice)

    def close(self) -> None:
        self.is_open = False


@st.composite
def entities_of(draw: st.DrawFn, type_: str) -> list[Entity]:
    """Draws entities of one type, none overlapping another, in text order."""
    cuts = sorted(draw(st.sets(st.integers(0, len(TEXT)), max_size=6)))
    scores = st.none() | st.floats(0, 1)
    return [
        Entity(start, end, type_, TEXT[start:end], draw(scores))
        for start, end in zip(cuts[::2], cuts[1::2], strict=False)
    ]


def overlap(one: Entity, other: Entity) -> bool:
    return one.start < other.end and other.start < one.end


@given(entities_of("disease"), entities_of("variant"))
def test_what_overlaps_nothing_stays_and_of_two_the_more_probable(
    diseases: list[Entity], variants: list[Entity]
) -> None:
    tagger = ByTypeTagger([Told(diseases), Told(variants)])
    [tagging] = tagger.tag([Segment(0, TEXT)])
    stay, every = tagging.entities, [*diseases, *variants]
    assert list(stay) == sorted(stay, key=lambda entity: entity.start)
    assert set(stay) <= set(every)
    assert not any(overlap(one, other) for one in stay for other in stay if one is not other)
    for entity in every:
        rivals = [other for other in stay if other is not entity and overlap(entity, other)]
        score = 0.5 if entity.score is None else entity.score
        assert entity in stay or any((0.5 if r.score is None else r.score) >= score for r in rivals)


def test_issues_usage_and_notices_are_those_of_all() -> None:
    parts = [Told([], "one"), Told([], "other")]
    tagger = ByTypeTagger(parts)
    taggings = list(tagger.tag([Segment(0, TEXT), Segment(10, TEXT)]))
    assert len(taggings) == 2
    assert [issue.detail for issue in taggings[0].issues] == ["one", "other"]
    assert taggings[0].usage == Usage(requests=2)
    assert tagger.notices() == ("both", "one", "other")
    tagger.close()
    assert not any(part.is_open for part in parts)


CANCER_GENETICS = ("cancer", "cell", "chemical", "gene", "organ", "organism")


@pytest.mark.parametrize(
    ("types", "shares"),
    [
        (("disease", "gene"), {"ensemble": ("disease", "gene")}),
        (("protein", "DNA", "cell line"), {"token-classifier": ("protein", "DNA", "cell line")}),
        (CANCER_GENETICS, {"token-classifier": CANCER_GENETICS}),
        (("disease", "variant"), {"ensemble": ("disease",), "token-classifier": ("variant",)}),
        (
            ("device", "test", "species"),
            {"ensemble": ("test",), "token-classifier": ("species",), "llm": ("device",)},
        ),
        (("device",), {"llm": ("device",)}),
    ],
)
def test_each_type_is_found_by_the_tagger_that_knows_it(
    types: tuple[str, ...], shares: dict[str, tuple[str, ...]]
) -> None:
    config = configure(types=types)
    assert choice.taggers_by_type(config, types) == shares
    name = next(iter(shares)) if len(shares) == 1 else "by-type"
    assert choice.tagger_name(config) == name
    assert choice.tagger_name(configure(types=types, model="other.gguf")) == "llm"
    assert choice.tagger_name(configure(types=types, pool="mine.jsonl")) in ("ensemble", "llm")


def test_a_type_goes_by_other_names_and_its_own_goes_first() -> None:
    assert token_classifier.missing(["Species", "cell line"]) == []
    assert token_classifier.missing(["organism", "species"]) == ["species"]
    assert token_classifier.missing(["device", "species"]) == ["device"]


def test_what_decides_is_told_of_every_part() -> None:
    parts = provenance(configure(types=("disease", "variant"), kb="none"), None)
    assert parts["ensemble: token classifier"] != parts["token-classifier: token classifier"]
    assert "ensemble: decision" in parts


def test_what_is_in_force_is_told_of_every_tagger() -> None:
    types = ("disease", "variant")
    line = description(configure(types=types, kb="none"), types)
    assert line.startswith("ensemble finds disease; token-classifier finds variant; ")
    assert "mentions from probability" in line
    assert "confidence" not in line
    assert "confidence" in description(configure(types=("device",), kb="none"), ("device",))
