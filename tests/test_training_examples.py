"""Training text: that of inference, drawn by place, in batches that lose and double nothing."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import Scripted

from dirag.assembly import tagging
from dirag.config import Config
from dirag.corpora.datasets import Dataset
from dirag.data import Concept, Document, Entity, Result, Segment
from dirag.errors import DatasetError, UsageError
from dirag.examples.pool import Pool
from dirag.examples.selection import comparison_form
from dirag.formats import jsonl
from dirag.knowledge.base import KnowledgeBase
from dirag.knowledge.store import writer
from dirag.prompting.augmentation import Augmenter
from dirag.taggers.llm import LlmTagger
from dirag.training import batches
from dirag.training.adapter.model import padded
from dirag.training.adapter.training_examples import TokenRow, TrainingExample, TrainingExamples
from dirag.training.batches import Position
from dirag.training.corpora import Corpus, forms_in_tests

NAMES = {"disease": ("gout", "severe asthma", "CKD"), "chemical": ("aspirin", "NaCl"), "gene": ("APC",)}
WORDS = ("the", "patient", "had", "no", "sign", "of", "after", "old", "and", "in", "rats", "treated", "with")


def documents(seed: int, *, number: int) -> Iterator[Document]:
    """Sentences of words with names in them, no two near copies of each other."""
    chance = random.Random(seed)
    for n in range(number):
        text, entities = f"Case {chance.randrange(10**9)}:", []
        for _ in range(chance.randrange(6, 14)):
            kind = chance.choice([*NAMES, "", "", ""])
            word = chance.choice(NAMES.get(kind, WORDS))
            if kind:
                entities.append(Entity(len(text) + 1, len(text) + 1 + len(word), kind, word))
            text += f" {word}"
        yield Document(str(n), text, tuple(entities))


def corpus(types: tuple[str, ...], *, seed: int = 0, number: int = 40) -> Corpus:
    made = tuple(documents(seed, number=number))
    dataset = Dataset(f"made-{seed}", "train", made, types, {}, "", "", as_sentences=True)
    return Corpus(dataset, Pool.from_documents(made, as_sentences=True), types)


CONFIG = Config(selector="random", shots=3, concepts=4, context=1024)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeBase]:
    folder = tmp_path_factory.mktemp("names") / "base"
    named = [(kind, name) for kind, names in NAMES.items() for name in names]
    writer.write([Concept(f"X:{n}", name, (), (kind,)) for n, (kind, name) in enumerate(named)], folder)
    opened = KnowledgeBase(folder)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def corpora() -> list[Corpus]:
    return [corpus(("disease",), seed=1), corpus(("disease", "chemical", "gene"), seed=2)]


@pytest.fixture(scope="module")
def examples(corpora: list[Corpus], base: KnowledgeBase) -> TrainingExamples:
    return TrainingExamples(corpora, CONFIG, base, count_tokens=len)


def upper(document: Document) -> Document:
    entities = (replace(entity, text=entity.text.upper()) for entity in document.entities)
    return replace(document, text=document.text.upper(), entities=tuple(entities))


def everything(examples: TrainingExamples, epochs: int = 3) -> list[tuple[int, int]]:
    return [(epoch, place) for epoch in range(epochs) for place in range(len(examples))]


def test_a_prompt_is_the_one_that_the_tagger_sends(
    examples: TrainingExamples, corpora: list[Corpus], base: KnowledgeBase
) -> None:
    """The tagger is put together as for a run that asks for the types, the shots and the concepts drawn."""
    drawn = everything(examples)
    for at, example in zip(drawn, examples.draw(drawn), strict=True):
        plan = examples.plan(*at)
        config = replace(CONFIG, shots=plan.shots, concepts=CONFIG.concepts if plan.concept_lines else 0)
        pool = corpora[plan.corpus].pool.restricted(plan.types)
        engine = Scripted({}, context=CONFIG.context)
        tagger = LlmTagger(
            engine,
            tagging.builder(config, plan.types, context=engine.context, count=len),
            augmenter=Augmenter(
                tagging.selector(config, pool), config.shots, tagging.retriever(config, plan.types, base)
            ),
        )
        list(tagger.tag([Segment(0, plan.document.text)]))
        [prompt] = engine.prompts
        assert prompt.text == example.prompt
        assert example.answer.endswith(prompt.stop)


def test_an_answer_holds_the_gold_entities_of_the_types_asked_for(examples: TrainingExamples) -> None:
    drawn = everything(examples)
    for at, example in zip(drawn, examples.draw(drawn), strict=True):
        plan = examples.plan(*at)
        answer = examples.builder(plan.types).answer
        mentions, issues = answer.parse(plan.document.text, example.answer.removesuffix("\n"))
        wanted = {(e.text, e.type) for e in plan.document.entities if e.type in plan.types}
        assert ({(m.text, m.type) for m in mentions}, issues) == (wanted, [])


def test_everything_is_drawn_with_and_without(examples: TrainingExamples) -> None:
    plans = [examples.plan(*at) for at in everything(examples, epochs=9)]
    assert {plan.shots for plan in plans} == {0, 1, 2, 3}
    assert {plan.concept_lines for plan in plans} == {True, False}
    asked = Counter(plan.types for plan in plans if plan.corpus == 1)
    assert len(asked) == 15  # every subset, in every order
    assert asked["disease", "chemical", "gene"] > sum(asked.values()) / 2
    assert {plan.types for plan in plans if plan.corpus == 0} == {("disease",)}


def test_no_sentence_is_its_own_example(examples: TrainingExamples) -> None:
    drawn = everything(examples)
    for at, example in zip(drawn, examples.draw(drawn), strict=True):
        assert example.prompt.count(examples.plan(*at).document.text) == 1


def test_an_example_does_not_depend_on_others(examples: TrainingExamples) -> None:
    drawn = everything(examples, epochs=2)
    together = examples.draw(drawn)
    assert together == [example for at in drawn for example in examples.draw([at])]
    assert together != examples.draw([(epoch + 2, place) for epoch, place in drawn])


def test_what_fits_no_prompt_is_left_out_and_counted() -> None:
    made = corpus(("disease",))
    long = Document("long", "gout " * 400)
    pool = Pool.from_documents([*made.pool.examples, long], as_sentences=True)
    examples = TrainingExamples([replace(made, pool=pool)], CONFIG, None, count_tokens=len)
    assert (examples.left_out, len(examples)) == (1, len(made.pool.examples))
    alone = replace(made, pool=Pool.from_documents([long], as_sentences=True))
    with pytest.raises(
        DatasetError,
        match=r"none of 1 training examples of made-0 fits a context of 1024 tokens; give a longer --context",
    ):
        TrainingExamples([alone], CONFIG, None, count_tokens=len)


def test_sentences_of_a_test_split_are_not_learnt(tmp_path: Path) -> None:
    """However they are spelled there; a file without splits is one only where it is named."""
    learnt = corpus(("disease",)).dataset
    sentences = list(learnt.documents)
    in_test = [upper(each) for each in sentences[:7]]
    for split, documents in (("train", sentences), ("test", in_test)):
        written = b"".join(jsonl.dumps(Result(each, each.entities)) for each in documents)
        (tmp_path / f"{split}.jsonl").write_bytes(written)
    loaded = [Corpus.load(str(path), Config()) for path in (tmp_path, tmp_path / "train.jsonl")]
    named = str(tmp_path / "test.jsonl")
    cases = [(loaded[0], 7, ()), (loaded[1], 0, ()), (loaded[1], 7, (named,))]
    for times, (found, expected, others) in enumerate(cases, start=2):
        tests = forms_in_tests([found], others, data_dir=None, offline=True)
        examples = TrainingExamples(
            [replace(found, times=times)], Config(shots=0), None, count_tokens=len, tests=tests
        )
        assert examples.tested == expected * times
        assert len(examples) + examples.tested == len(sentences) * times
        asked = {example.prompt for example in examples.draw([(0, place) for place in range(len(examples))])}
        assert not any(each.text in prompt for prompt in asked for each in sentences[:expected])
    with pytest.raises(UsageError, match="nowhere"):
        forms_in_tests([], ["nowhere"], data_dir=None, offline=True)


def test_that_nothing_remains_is_told_with_its_reason() -> None:
    """All of a corpus in test splits is another fault than a context that is too short."""
    made = corpus(("disease",))
    forms = [comparison_form(sentence.text) for sentence in made.pool.examples]
    with pytest.raises(DatasetError, match="every sentence of made-0 stands in a test split") as caught:
        TrainingExamples([made], CONFIG, None, count_tokens=len, tests=frozenset(forms))
    assert caught.value.hint == "give --dataset a corpus that shares no sentence with the test splits"
    with pytest.raises(DatasetError, match=r"none of 33 .* of made-0 fits .*; 7 more stand in a test split"):
        TrainingExamples(
            [made], replace(CONFIG, context=8), None, count_tokens=len, tests=frozenset(forms[:7])
        )


def test_a_corpus_is_asked_for_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "made.tsv"
    path.write_text("He O\nhad O\ngout B-disease\n\nAspirin B-chemical\n".replace(" ", "\t"), "utf-8")
    assert Corpus.load(str(path), Config()).types == ("chemical", "disease")
    assert Corpus.load(str(path), Config(types=("gene", "disease"))).types == ("disease",)
    with pytest.raises(DatasetError, match=r"has no entities of type gene; its types: chemical, disease"):
        Corpus.load(str(path), Config(types=("gene",)))


rows = st.builds(
    TokenRow,
    st.lists(st.integers(1, 99), min_size=1, max_size=9),
    st.lists(st.integers(1, 99), min_size=1, max_size=5),
)


@given(st.lists(rows, min_size=1, max_size=6))
def test_the_loss_is_that_of_the_answers_and_of_nothing_else(batch: list[TokenRow]) -> None:
    tokens, places, answers = padded(batch)
    width = len(tokens[0])
    foretold: list[list[int]] = [[] for _ in batch]
    for place, answer in zip(places, answers, strict=True):
        number, at = divmod(place, width)
        assert tokens[number][: at + 1] == [*batch[number].prompt, *foretold[number]]
        foretold[number].append(answer)
    assert foretold == [list(row.answer) for row in batch]
    assert {len(row) for row in tokens} == {max(len(row) for row in batch)}


@pytest.fixture(scope="module")
def small_chunks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "CHUNK", 32)
        yield


def spell(example: TrainingExample) -> TokenRow:
    return TokenRow([*example.prompt.encode()], [*example.answer.encode()])


def batched(
    examples: TrainingExamples, total: int, tokens: int, seed: int, start: Position
) -> Iterator[tuple[list[TokenRow], Position]]:
    def draw(places: Iterable[tuple[int, int]]) -> list[TokenRow]:
        return [spell(example) for example in examples.draw(places)]

    return batches.batches(draw, len(examples), total=total, tokens=tokens, seed=seed, start=start)


@settings(deadline=None, max_examples=10)
@given(st.floats(0.1, 2.5), st.integers(200, 3000), st.integers(0, 2))
def test_batches_hold_every_example_once_an_epoch(
    examples: TrainingExamples, small_chunks: None, epochs: float, tokens: int, seed: int
) -> None:
    total = round(epochs * len(examples))
    made = list(batched(examples, total, tokens, seed, Position()))
    seen = Counter(tuple(row.prompt) for batch, _ in made for row in batch)
    whole, part = divmod(total, len(examples))
    every = [(epoch, place) for epoch in range(whole) for place in range(len(examples))]
    least = Counter(tuple(spell(example).prompt) for example in examples.draw(every))
    assert least <= seen
    assert (seen - least).total() == part
    for batch, _ in made:
        assert len(batch) == 1 or len(batch) * max(map(len, batch)) <= tokens
    assert made[-1][1].seen == total
    for number, (_, position) in enumerate(made[:-1]):
        following = batched(examples, total, tokens, seed, position)
        assert next(following) == made[number + 1]


def test_another_seed_is_another_order(examples: TrainingExamples) -> None:
    one, other = (next(batched(examples, 40, 2000, seed, Position())) for seed in (0, 1))
    assert one != other


def test_a_corpus_may_be_learnt_several_times_an_epoch(tmp_path: Path) -> None:
    made = corpus(("disease", "gene"))
    once = TrainingExamples([made], CONFIG, None, count_tokens=len)
    examples = TrainingExamples([made, replace(made, times=3)], CONFIG, None, count_tokens=len)
    assert len(examples) == 4 * len(once)
    path = tmp_path / "a:3.jsonl"
    path.write_bytes(b"".join(jsonl.dumps(Result(d, d.entities)) for d in made.dataset.documents))
    loaded = [Corpus.load(name, Config()) for name in (str(path), f"{path}:2")]
    assert [(c.dataset.name, c.times) for c in loaded] == [(str(path), 1), (str(path), 2)]
