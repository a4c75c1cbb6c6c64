"""The laws of ``dirag.protocols``, run over every implementation that a table names.

What is hard for one implementation only (an encoder's arithmetic, an engine's cache) is in its own tests.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from pkgutil import resolve_name
from typing import get_type_hints

import backend_laws
import pytest
from answer_laws import is_admissible
from embedder_laws import check_embedder
from hypothesis import given, settings
from hypothesis import strategies as st
from index_laws import check_index
from scripted import Scripted
from selector_laws import check_selector

from dirag import answers, config
from dirag.backends.cached.cache import Cached
from dirag.backends.cached.cache_store import CacheStore
from dirag.backends.cached.replay import Recorder, Replay
from dirag.backends.llamacpp.engine import LlamaCpp
from dirag.data import Concept, Document, Entity, Segment
from dirag.encoders.hashing import HashEmbedder
from dirag.encoders.sentence import SentenceEncoder
from dirag.encoders.token_model import open_model
from dirag.examples import builtin, selection
from dirag.examples.pool import Pool
from dirag.knowledge.base import KnowledgeBase
from dirag.knowledge.store import writer
from dirag.prompting.builder import PromptBuilder, load_template
from dirag.protocols import Embedder, Tagger
from dirag.taggers.by_type import ByTypeTagger
from dirag.taggers.decision import Decision, Regression
from dirag.taggers.dictionary import DictionaryTagger
from dirag.taggers.ensemble import EnsembleTagger
from dirag.taggers.llm import LlmTagger
from dirag.taggers.token_classifier import TokenClassifier
from dirag.text.align import place
from dirag.text.language import english

TYPES = ("disease", "chemical")
TEXTS = [
    "She has asthma and takes salbutamol; no colon cancer (CC).",
    "Colon cancer, asthma.\r\nASTHMA (severe) – naïve\u0301 😀",
    "",
    "  ",
    "nothing to find, no CC",
]
CONCEPTS = [
    Concept("D1", "asthma", ("bronchial asthma",), ("disease",)),
    Concept("D2", "colon cancer", ("cancer of the colon",), ("neoplasm",)),
    Concept("C1", "salbutamol", ("albuterol",), ("chemical",)),
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIRAG_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeBase]:
    folder = tmp_path_factory.mktemp("kb") / "kb"
    writer.write(CONCEPTS, folder)
    base = KnowledgeBase(folder)
    yield base
    base.close()


def test_index(knowledge: KnowledgeBase) -> None:
    check_index(knowledge.index, CONCEPTS, TEXTS)
    check_index(knowledge.index_for(["disease"]), CONCEPTS[:2], TEXTS)


@pytest.mark.parametrize("name", ["hash", "all-minilm-l6-v2"])
def test_embedder(name: str, weights: Callable[[str], Path]) -> None:
    embedder: Embedder = HashEmbedder() if name == "hash" else SentenceEncoder(weights(name))
    check_embedder(embedder, TEXTS)


@pytest.mark.parametrize("name", sorted(config.SELECTORS))
def test_example_selector(name: str) -> None:
    embedder = HashEmbedder(dimension=64)
    pool = Pool.from_documents(builtin.documents()[:60], as_sentences=True).embedded(embedder, cache=False)
    selector = selection.make(name, pool, embedder=embedder, seed=1)
    own = [example.text for example in pool.examples[:2]]
    for k in (0, 1, 8, 100):
        check_selector(selector, pool.examples, [*TEXTS, *own], k=k)


# -- answer formats --------------------------------------------------------------------------------------


@st.composite
def annotated(draw: st.DrawFn) -> Document:
    """A text of odd pieces, some of which are entities that do not overlap."""
    text, entities = "", []
    for _ in range(draw(st.integers(1, 7))):
        piece = draw(
            st.sampled_from(["a", "a b", "none", "2;4", "[x]", "p|q", "b.", "#1", "é\u0301", "\\", "(a)"])
        )
        kind = draw(st.sampled_from([None, *TYPES]))
        if kind:
            entities.append(Entity(len(text), len(text) + len(piece), kind, piece))
        text += piece + draw(st.sampled_from([" ", "", "\r\n", "-", ", "]))
    return Document("", text, tuple(entities))


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(sorted(config.ANSWERS)), annotated(), st.text("a b[]|;#1\\none(disease)", max_size=25))
def test_answer_format(name: str, document: Document, other: str) -> None:
    made = answers.make(name, TYPES)
    assert made.name == name
    assert made.stop
    answer = made.render(document.text, document.entities)
    assert not any(stop in answer for stop in made.stop)
    if is_admissible(name, document.text, document.entities):
        assert made.constrain(document.text).accepts(answer)
    mentions, issues = made.parse(document.text, answer)
    assert issues == []
    assert place(document.text, mentions) == (list(document.entities), [])
    mentions, _ = made.parse(document.text, other)
    assert {mention.type for mention in mentions} <= set(TYPES)


# -- taggers ---------------------------------------------------------------------------------------------


def llm() -> LlmTagger:
    engine = Scripted({TEXTS[0]: "asthma (disease); flu (disease); salbutamol (chemical)", TEXTS[4]: "none"})
    made = answers.make("mentions", TYPES)
    template = load_template("mentions")
    count = engine.count_tokens
    builder = PromptBuilder(template, made, TYPES, context=engine.context, count_tokens=count)
    return LlmTagger(engine, builder)


def classifier(folder: Path) -> TokenClassifier:
    tiny_encoders = pytest.importorskip("tiny_encoders", reason="torch is not installed")
    words = {"asthma": "B-Disease", "flu": "B-Disease", "salbutamol": "B-Chemical"}
    model = open_model(tiny_encoders.write_gazetteer(folder, words), threads=1)
    return TokenClassifier(model, {"Disease": "disease", "Chemical": "chemical"})


#: Asks the LLM of every segment with a candidate, and believes either.
UNDECIDED = Decision(
    types=tuple(TYPES),
    threshold=0.5,
    least=0.03,
    doubt=(0.0, 1.0),
    without_llm=Regression(0.0, {"classifier": 1.0}),
    with_llm=Regression(0.0, {"classifier": 1.0, "llm": 9.0}),
)


@pytest.mark.parametrize("name", sorted(config.TAGGERS))
def test_tagger(name: str, knowledge: KnowledgeBase, tmp_path: Path) -> None:
    makers: dict[str, Callable[[], Tagger]] = {
        "by-type": lambda: ByTypeTagger([llm(), classifier(tmp_path)]),
        "dictionary": lambda: DictionaryTagger(knowledge.index, TYPES, english()),
        "ensemble": lambda: EnsembleTagger(classifier(tmp_path), None, llm(), UNDECIDED),
        "llm": llm,
        "token-classifier": lambda: classifier(tmp_path),
    }
    tagger = makers[name]()
    segments = [Segment(10 * i, text, i) for i, text in enumerate(TEXTS)]
    taggings = list(tagger.tag(segments))
    assert len(taggings) == len(segments)
    assert len(taggings[0].entities) >= 2
    for segment, tagging in zip(segments, taggings, strict=True):
        for entity in tagging.entities:
            assert segment.text[entity.start : entity.end] == entity.text
            assert entity.type in TYPES
    assert list(tagger.tag(segments)) == taggings
    assert list(tagger.tag(reversed(segments))) == taggings[::-1]
    assert list(tagger.tag([])) == []
    assert [tagging for segment in segments for tagging in tagger.tag([segment])] == taggings
    assert is_lazy(tagger)
    tagger.close()


def is_lazy(tagger: Tagger) -> bool:
    """Whether an endless stream of segments gives its first tagging."""

    def endless() -> Iterator[Segment]:
        while True:
            yield Segment(0, TEXTS[0])

    return bool(next(iter(tagger.tag(endless()))).entities)


# -- engines ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recording(weights: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every law passed through a recorder around the real engine; what it answered is in the file."""
    path = tmp_path_factory.mktemp("recording") / "answers.jsonl"
    recorder = Recorder(LlamaCpp(weights("smollm2-135m-instruct"), context=512, threads=1, top=3), path)
    for law in backend_laws.every():
        law(recorder)
    recorder.close()
    return path


@pytest.mark.weights
@pytest.mark.parametrize("law", backend_laws.every(), ids=lambda law: law.__name__)
def test_recorder_and_replay(recording: Path, law: Callable[[Replay], None]) -> None:
    replay = Replay(recording)
    law(replay)
    replay.close()


@pytest.mark.weights
def test_a_replay_is_deterministic(recording: Path) -> None:
    backend_laws.is_deterministic(Replay(recording), lambda: Replay(recording))


@pytest.mark.weights
@pytest.mark.parametrize("law", backend_laws.every(), ids=lambda law: law.__name__)
def test_cache(recording: Path, tmp_path: Path, law: Callable[[Cached], None]) -> None:
    """Once over an empty cache, once over a full one."""
    for _ in range(2):
        backend = Cached(Replay(recording), CacheStore(tmp_path / "cache", limit=1 << 24), {})
        law(backend)
        backend.close()


@pytest.mark.weights
def test_a_cache_is_deterministic(recording: Path, tmp_path: Path) -> None:
    def reopen() -> Cached:
        return Cached(Replay(recording), CacheStore(tmp_path / "cache", limit=1 << 24), {})

    backend_laws.is_deterministic(reopen(), reopen)


def law_abiding() -> set[type]:
    """The engines of the tests that are parametrized over every law, and are reopened by one more."""
    classes = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        homes = {
            alias.name: node.module or ""
            for node in tree.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        if "laws.is_deterministic(" in ast.unparse(tree):
            for test in filter(is_parametrized_over_laws, tree.body):
                [name] = re.findall(r"law: Callable\[\[(\w+)\], None\]", ast.unparse(test))
                assert re.search(r"^ +law\(", ast.unparse(test), re.MULTILINE), f"{path.name} applies no law"
                classes.add(getattr(importlib.import_module(homes[name]), name))
    return classes


def is_parametrized_over_laws(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        re.match(r"pytest\.mark\.parametrize\('law', (backend_)?laws\.every\(", ast.unparse(decorator))
        for decorator in node.decorator_list
    )


@pytest.mark.parametrize("name", config.ENGINES)
def test_every_engine_is_under_the_laws(name: str) -> None:
    engine = get_type_hints(resolve_name(config.ENGINES[name].open))["return"]
    assert engine in law_abiding()
    assert len({law.__name__ for law in backend_laws.every()}) >= 12
