"""The tables of taggers and selectors: each name opens what it says, and a new row is all that is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pytest
from scripted import Scripted

from dirag.assembly import engines, sources, tagging
from dirag.assembly.provenance import provenance
from dirag.config import SELECTORS, TAGGERS, Config, TaggerKind
from dirag.data import Concept, Entity, Hit, Segment, Tagging
from dirag.encoders.sentence import HashEmbedder
from dirag.errors import UsageError
from dirag.examples.coverage_selector import CoverageSelector
from dirag.examples.lexical_selector import LexicalSelector, bm25, tfidf
from dirag.examples.nearest_selector import MmrSelector, NearestSelector
from dirag.examples.random_selector import RandomSelector
from dirag.knowledge.base import KnowledgeBase
from dirag.knowledge.store import writer
from dirag.protocols import ExampleSelector

TEXTS = [
    "She has asthma and takes salbutamol.",
    "Fever and cough for three days; chest X-ray was clear.",
    "Mutations in BRCA1 cause breast cancer, and breast cancer is frequent.",
]


class Names:
    """An index of one name, "breast cancer"."""

    def scan(self, text: str) -> list[Hit]:
        at = text.find("breast cancer")
        concept = Concept("C1", "breast cancer")
        return [Hit(concept, "breast cancer", "exact", 1.0, at, at + 13)] if at >= 0 else []

    def lookup(self, queries: Sequence[str], *, k: int = 5, text: str | None = None) -> list[list[Hit]]:
        return [[] for _ in queries]


def test_each_option_of_the_selector_gives_the_examples_of_that_selector() -> None:
    config = Config(encoder="hash", cache="none", shots=5, seed=3)
    pool, index = sources.pool(config), Names()
    embedder = HashEmbedder()
    nearest = NearestSelector(pool.embedded(embedder), embedder)
    expected: dict[str, ExampleSelector] = {
        "random": RandomSelector(pool.examples, seed=3),
        "bm25": LexicalSelector(pool.examples, weigh=bm25),
        "tfidf": LexicalSelector(pool.examples, weigh=tfidf),
        "knn": nearest,
        "mmr": MmrSelector(nearest),
        "coverage": CoverageSelector(nearest, scan=index.scan),
    }
    answers = {name: selector.select(TEXTS, k=5) for name, selector in expected.items()}
    assert expected.keys() == SELECTORS.keys()
    assert all(answers[one] != answers[two] for one in answers for two in answers if one < two)
    for name, examples in answers.items():
        config = Config(encoder="hash", cache="none", shots=5, seed=3, selector=name)
        selector = tagging.selector(config, pool, index)
        assert selector is not None
        assert selector.select(TEXTS, k=5) == examples


@pytest.fixture
def base(tmp_path: Path) -> Iterator[KnowledgeBase]:
    writer.write([Concept("D1", "asthma", (), ("disease",))], tmp_path / "kb")
    base = KnowledgeBase(tmp_path / "kb")
    yield base
    base.close()


def test_each_option_of_the_tagger_gives_the_entities_of_that_tagger(
    base: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's answer is not in the knowledge base, and is believed: each tagger finds another word."""
    engine = Scripted({TEXTS[0]: "salbutamol"})
    monkeypatch.setattr(engines, "backend", lambda config: engine)
    expected = {"llm": ["salbutamol"], "dictionary": ["asthma"]}
    assert expected.keys() == TAGGERS.keys()
    for name, words in expected.items():
        config = Config(tagger=name, selector="random", shots=2, lexicon=False, types=("disease",))
        tagger = tagging.tagger(config, config.types, base=base)
        [found] = tagger.tag([Segment(0, TEXTS[0])])
        assert [entity.text for entity in found.entities] == words


class Capitals:
    """A tagger of another kind: every word in capitals is a gene."""

    def __init__(self, config: Config, types: Sequence[str], *, base: object, examples: object) -> None:
        assert (base, examples) == (None, None)

    def tag(self, segments: Iterable[Segment]) -> Iterator[Tagging]:
        for segment in segments:
            words = [word for word in segment.text.split() if word.isupper()]
            starts = [segment.text.index(word) for word in words]
            pairs = zip(starts, words, strict=True)
            yield Tagging(tuple(Entity(start, start + len(word), "gene", word) for start, word in pairs))

    def notices(self) -> Sequence[str]:
        return ()

    def close(self) -> None:
        pass


def test_a_row_is_all_that_a_new_tagger_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TAGGERS, "capitals", TaggerKind(f"{__name__}:Capitals"))
    config = Config(tagger="capitals")
    assert sources.types_of(config) == sources.DEFAULT_TYPES
    assert not sources.reads_base(config)
    assert not {"examples", "prompt", "weights", "knowledge base"} & provenance(config, None).keys()
    [found] = tagging.tagger(config, ("gene",), base=None).tag([Segment(0, TEXTS[2])])
    assert [entity.text for entity in found.entities] == ["BRCA1"]


@pytest.mark.parametrize("open_it", [sources.types_of, sources.reads_base])
def test_a_tagger_that_is_not_in_the_table_is_refused(open_it: Callable[[Config], object]) -> None:
    with pytest.raises(UsageError, match="tagger 'llmm'"):
        open_it(Config(tagger="llmm"))
