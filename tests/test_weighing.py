"""What evidence keeps, drops and adds: laws over any names and any answer."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.data import Document, Entity
from dirag.taggers.known_names import NameStatistics
from dirag.taggers.weighing import Thresholds, Weigher
from dirag.text.align import longest
from dirag.text.language import english

TEXT = "gout or renal failure in renal cell cancer of two"
WORDS = [(at, at + len(word)) for word in set(TEXT.split()) for at in [TEXT.index(word)]]
SPANS = st.tuples(st.sampled_from(WORDS), st.sampled_from(WORDS)).map(lambda p: (min(p)[0], max(p)[1]))
SCORES = st.none() | st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9])


@st.composite
def answers(draw: st.DrawFn) -> list[Entity]:
    """Entities that do not overlap, with and without scores."""
    entities: list[Entity] = []
    for start, end in sorted(draw(st.lists(SPANS, max_size=4))):
        if not entities or entities[-1].end <= start:
            kind = draw(st.sampled_from(["disease", "gene"]))
            entities.append(Entity(start, end, kind, TEXT[start:end], draw(SCORES)))
    return entities


@st.composite
def pools(draw: st.DrawFn) -> list[Document]:
    """Sentences of names of the text, annotated or not."""
    names = draw(st.lists(st.tuples(SPANS, st.booleans()), max_size=8))
    documents = []
    for number, ((start, end), annotated) in enumerate(names):
        name = TEXT[start:end]
        entities = (Entity(0, len(name), "disease", name),) if annotated else ()
        documents.append(Document(f"{number}", f"{name} was seen {number}", entities))
    return documents


@settings(deadline=None, max_examples=200)
@given(pools(), answers(), st.sampled_from([0.1, 0.6, 1.0]), st.sampled_from([0.05, 0.5]), st.integers(1, 4))
def test_what_stays_and_what_comes(
    pool: list[Document], entities: list[Entity], adding: float, backing: float, stretch: int
) -> None:
    statistics = NameStatistics(pool, english())
    limits = Thresholds(confidence=0.2, backing=backing, adding=adding, stretch=stretch)
    weighed = Weigher(statistics, limits).weigh(TEXT, entities)
    assert all(one.end <= other.start for one, other in pairwise(weighed))
    shares = {(name.start, name.end): name.share for name in statistics.find(TEXT)}
    written = {(entity.start, entity.end): entity for entity in entities}
    for entity in weighed:
        span = entity.start, entity.end
        score = written[span].score if span in written else 0.0
        needed = min(adding, backing) if span in written else adding
        assert TEXT[slice(*span)] == entity.text
        assert score is None or score >= 0.2 or shares.get(span, 0.0) >= needed
    # Of known names that overlap the longest comes; where a mention takes its place, the shorter stay out.
    for name in longest(name for name in statistics.find(TEXT) if name.share >= adding):
        rivals = [e for e in weighed if e.start < name.end and name.start < e.end]
        assert max((e.end - e.start for e in rivals), default=0) >= name.end - name.start


@settings(deadline=None)
@given(answers())
def test_without_statistics_confidence_decides(entities: list[Entity]) -> None:
    weighed = Weigher(thresholds=Thresholds(confidence=0.2)).weigh(TEXT, entities)
    assert weighed == [entity for entity in entities if entity.score is None or entity.score >= 0.2]
