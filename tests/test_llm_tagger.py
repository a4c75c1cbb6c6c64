"""The LLM tagger over an engine whose answers are written by hand: laws, evidence, what goes wrong."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import Scripted

from dirag import answers
from dirag.answers.candidates import CandidateList
from dirag.data import Completion, Concept, Document, Entity, Hit, Issue, Prompt, Segment, Tagging, Usage
from dirag.prompting.augmentation import CHUNK, Augmenter
from dirag.prompting.builder import PromptBuilder, load_template
from dirag.prompting.concept_lines import Retriever
from dirag.taggers.known_names import NameStatistics
from dirag.taggers.llm import LlmTagger
from dirag.taggers.scores import add_scores
from dirag.taggers.voting import SINGLE, Sampling, elect
from dirag.taggers.weighing import Thresholds, Weigher
from dirag.text.align import place
from dirag.text.language import english

TYPES = ("disease", "gene")
THRESHOLDS = Thresholds(confidence=0.7, backing=0.2, adding=0.6)
BELIEVING = Thresholds(confidence=0.0)
BELIEVER = Weigher(thresholds=BELIEVING)


def builder(engine: Scripted, answer: str = "mentions") -> PromptBuilder:
    made = answers.make(answer, TYPES)
    return PromptBuilder(
        load_template(answer), made, TYPES, context=engine.context, count_tokens=engine.count_tokens
    )


def tag(
    written: Mapping[str, str], *texts: str, pool: Sequence[Document] = (), thresholds: Thresholds = BELIEVING
) -> list[Tagging]:
    engine = Scripted(written)
    statistics = NameStatistics(pool, english()) if pool else None
    tagger = LlmTagger(engine, builder(engine), weigher=Weigher(statistics, thresholds))
    return list(tagger.tag(Segment(0, text) for text in texts))


def found(tagging: Tagging) -> list[tuple[str, str, int]]:
    return [(entity.text, entity.type, entity.start) for entity in tagging.entities]


def pooled(text: str, mention: str = "", kind: str = "disease") -> Document:
    start = text.index(mention)
    spans = (Entity(start, start + len(mention), kind, mention),) if mention else ()
    return Document(text, text, spans)


TEXT = "BRCA1 and colon cancer, not gout."


def test_what_the_model_writes_is_placed() -> None:
    [tagging] = tag({TEXT: "BRCA1 (gene); colon cancer (disease)"}, TEXT)
    assert found(tagging) == [("BRCA1", "gene", 0), ("colon cancer", "disease", 10)]
    assert [entity.score for entity in tagging.entities] == [pytest.approx(0.99), pytest.approx(0.99)]
    assert tagging.issues == ()
    assert tagging.usage.completion > 0


def test_a_score_is_the_geometric_mean_of_the_mentions_tokens() -> None:
    [tagging] = tag({TEXT: "colon? cancer (disease)"}, TEXT)
    assert tagging.entities[0].score == pytest.approx(math.sqrt(0.5 * 0.99))


def test_what_is_not_in_the_text_is_an_issue() -> None:
    [tagging] = tag({TEXT: "asthma (disease); gout (disease); gout (drug)"}, TEXT)
    assert found(tagging) == [("gout", "disease", 28)]
    assert sorted(issue.code for issue in tagging.issues) == ["invented", "unparsed"]
    assert not any("asthma" in issue.detail for issue in tagging.issues)


def test_a_failed_request_is_an_issue_of_its_segment_only() -> None:
    [first, second, third] = tag({TEXT: "gout (disease)"}, TEXT, "unknown", TEXT)
    assert found(first) == found(third) == [("gout", "disease", 28)]
    assert second.entities == ()
    assert [issue.code for issue in second.issues] == ["failed"]


def test_an_answer_that_was_cut_is_told_and_its_whole_mentions_stay() -> None:
    engine = Scripted({TEXT: "BRCA1 (gene); colon cancer (disease)"}, cut=5)
    [tagging] = LlmTagger(engine, builder(engine)).tag([Segment(0, TEXT)])
    assert ("BRCA1", "gene", 0) in found(tagging)
    assert "truncated" in [issue.code for issue in tagging.issues]


def test_a_text_that_does_not_fit_is_an_issue_and_sends_nothing() -> None:
    engine = Scripted({TEXT: "gout (disease)"}, context=60)
    long = "word " * 200
    tagger = LlmTagger(engine, builder(engine))
    [first, second] = tagger.tag([Segment(0, long), Segment(1000, TEXT)])
    assert [issue.code for issue in first.issues] == ["truncated"]
    assert found(second) == [("gout", "disease", 28)]
    assert len(engine.prompts) == 1


def test_closing_closes_the_engine() -> None:
    engine = Scripted({})
    LlmTagger(engine, builder(engine)).close()
    assert engine.closed == 1


def test_evidence_keeps_drops_and_adds() -> None:
    pool = [
        pooled("Gout was seen in two of them.", "Gout"),
        pooled("Three had gout.", "gout"),
        pooled("Colon cancer is frequent.", "Colon cancer"),
        pooled("The colon cancer register is old."),
    ]
    unsure = {TEXT: "colon? cancer? (disease); BRCA1? (gene)"}
    # Half of the pool's "colon cancer" are entities, none of its BRCA1, all of its "gout".
    [tagging] = tag(unsure, TEXT, pool=pool, thresholds=THRESHOLDS)
    assert found(tagging) == [("colon cancer", "disease", 10), ("gout", "disease", 28)]
    [sure] = tag({TEXT: "BRCA1 (gene)"}, TEXT, pool=pool, thresholds=THRESHOLDS)
    assert found(sure) == [("BRCA1", "gene", 0), ("gout", "disease", 28)]
    [believed] = tag(unsure, TEXT)
    assert found(believed) == [("BRCA1", "gene", 0), ("colon cancer", "disease", 10)]
    [doubted] = tag(unsure, TEXT, thresholds=THRESHOLDS)
    assert found(doubted) == []


def test_a_known_name_scores_by_both_evidences() -> None:
    pool = [pooled("Three had ataxia.", "ataxia"), pooled("Ataxia is old."), pooled("Six had flu.", "flu")]
    text = "She has ataxia and flu."
    written = {text: "ataxia? (disease)"}  # with 0.5, and half of the places where it stands in the pool
    [tagging] = tag(written, text, pool=pool)
    assert found(tagging) == [("ataxia", "disease", 8), ("flu", "disease", 19)]
    assert [entity.score for entity in tagging.entities] == [pytest.approx(0.75), 1.0]
    [unwritten] = tag({text: "none"}, text, pool=pool)
    assert [entity.score for entity in unwritten.entities] == [0.5, 1.0]


def test_a_copied_sentence_gives_way_to_a_name_in_it() -> None:
    pool = [pooled("Three had gout.", "gout")]
    text = "She has gout."
    whole = {text: "She has gout (disease)"}
    [believed] = tag(whole, text, thresholds=Thresholds(stretch=4))
    assert found(believed) == [("She has gout", "disease", 0)]
    [weighed] = tag(whole, text, pool=pool, thresholds=Thresholds(stretch=3))
    assert found(weighed) == [("gout", "disease", 8)]
    [short] = tag(whole, text, pool=pool, thresholds=Thresholds(stretch=4))
    assert found(short) == [("She has gout", "disease", 0)]


def test_a_label_and_what_follows_it_are_no_mention() -> None:
    [tagging] = tag({"Dx: gout, GFR: 30": "Dx: gout (disease); GFR (gene)"}, "Dx: gout, GFR: 30")
    assert found(tagging) == [("GFR", "gene", 10)]


class Fixed:
    """A selector of the same examples for every text, and an index that knows the name "gout"."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def select(self, texts: Sequence[str], *, k: int) -> list[list[Document]]:
        self.asked.append(list(texts))
        return [[pooled("Three had asthma.", "asthma"), pooled("None had it.")][:k] for _ in texts]

    def lookup(self, queries: Sequence[str], *, k: int = 5, text: str | None = None) -> list[list[Hit]]:
        concept = Concept("C1", "gout", semantic_types=("joint disease",))
        return [[Hit(concept, q, "exact", 1.0, 0, len(q))] if q == "gout" else [] for q in queries]

    def scan(self, text: str) -> list[Hit]:
        concept = Concept("C1", "gout", semantic_types=("joint disease",))
        starts = [i for i in range(len(text)) if text.startswith("gout", i)]
        return [Hit(concept, "gout", "exact", 1.0, start, start + 4) for start in starts]


def test_examples_and_concepts_stand_in_the_prompt() -> None:
    engine, fixed = Scripted({TEXT: "none"}), Fixed()
    retriever = Retriever(fixed, english(), limit=1, matches=["exact"])
    tagger = LlmTagger(engine, builder(engine), augmenter=Augmenter(fixed, 1, retriever))
    list(tagger.tag([Segment(0, TEXT)]))
    [prompt] = engine.prompts
    assert "Sentence: Three had asthma.\nEntities: asthma (disease)\n" in prompt.text
    assert "None had it" not in prompt.text
    assert f"gout semantic type is joint disease.\nSentence: {TEXT}\nEntities:" in prompt.text
    assert fixed.asked == [[TEXT]]


class Asking(Scripted):
    """Answers questions for candidates from a table of their own, and reads ``ahead`` prompts.

    ``flying`` tells at each answer how many prompts were read and not answered.
    """

    def __init__(
        self,
        candidates: Mapping[str, str],
        written: Mapping[str, str],
        *,
        ahead: int = 1,
        context: int = 4096,
    ) -> None:
        super().__init__(written, context=context)
        self._first, self._ahead = Scripted(candidates), ahead
        self.flying: list[int] = []

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Completion]:
        source = iter(prompts)
        waiting = deque(islice(source, self._ahead))
        while waiting:
            self.flying.append(len(waiting))
            prompt = waiting.popleft()
            self.prompts.append(prompt)
            yield (self._first if asks_for_candidates(prompt) else self)._complete(prompt)
            waiting.extend(islice(source, self._ahead - len(waiting)))


def asks_for_candidates(prompt: Prompt) -> bool:
    return prompt.text.endswith("Candidates:")


def asking(engine: Asking, selector: Fixed | None = None, sampling: Sampling = SINGLE) -> LlmTagger:
    made = builder(engine)
    first = replace(made, template=load_template("candidates"), answer=CandidateList(english()))
    retriever = Retriever(Fixed(), english(), limit=8, matches=["exact"])
    return LlmTagger(
        engine,
        made,
        augmenter=Augmenter(selector, 1, retriever),
        candidates=first,
        weigher=BELIEVER,
        sampling=sampling,
    )


def test_candidates_that_are_names_stand_in_the_second_prompt() -> None:
    engine = Asking({TEXT: "BRCA1; gout"}, {TEXT: "gout (disease)"})
    [tagging] = asking(engine, Fixed()).tag([Segment(0, TEXT)])
    first, second = engine.prompts
    assert first.text == (
        "List every word or phrase of each sentence that could name one of its diseases and genes.\n\n"
        "Sentence: Three had asthma.\nCandidates: asthma\n\n"
        f"Sentence: {TEXT}\nCandidates:"
    )
    assert first.constraint is not None
    assert first.constraint.accepts("BRCA1; gout")
    assert not first.constraint.accepts("BRCA1 (gene)")
    assert "Sentence: Three had asthma.\nEntities: asthma (disease)\n" in second.text
    assert second.text.endswith(f"\n\ngout semantic type is joint disease.\nSentence: {TEXT}\nEntities:")
    assert found(tagging) == [("gout", "disease", 28)]
    assert (tagging.issues, tagging.usage.requests) == ((), 2)
    assert tagging.usage.prompt == sum(engine.count_tokens(prompt.text) for prompt in engine.prompts)


def test_candidates_are_not_sampled() -> None:
    texts = [f"{TEXT} {number}" for number in range(9)]
    engine = Asking(dict.fromkeys(texts, "gout"), dict.fromkeys(texts, "gout (disease)"), ahead=5)
    taggings = list(asking(engine, sampling=Sampling(3)).tag(Segment(0, text) for text in texts))
    assert [found(tagging) for tagging in taggings] == [[("gout", "disease", 28)]] * 9
    assert [tagging.usage.requests for tagging in taggings] == [4] * 9
    assert all(asks_for_candidates(prompt) == (prompt.temperature == 0) for prompt in engine.prompts)


def test_a_loss_among_candidates_is_told_and_the_entities_stay() -> None:
    texts = [f"{TEXT} {number}" for number in range(3)]
    engine = Asking({texts[0]: "gout", texts[2]: "asthma"}, dict.fromkeys(texts, "gout (disease)"))
    taggings = list(asking(engine).tag(Segment(0, text) for text in texts))
    assert [found(tagging) for tagging in taggings] == [[("gout", "disease", 28)]] * 3
    issues = [[(issue.code, issue.detail.partition(": ")[0]) for issue in t.issues] for t in taggings]
    assert issues == [[], [("failed", "candidates")], [("invented", "candidates")]]


def test_a_text_without_a_question_for_candidates_keeps_its_place() -> None:
    engine = Asking({TEXT: "gout"}, {TEXT: "gout (disease)"}, ahead=3, context=60)
    huge = "word " * 100
    taggings = list(asking(engine).tag(Segment(0, text) for text in (huge, TEXT, huge, huge, TEXT)))
    assert [len(tagging.entities) for tagging in taggings] == [0, 1, 0, 0, 1]
    assert [tagging.usage.requests for tagging in taggings] == [0, 2, 0, 0, 2]
    assert {issue.code for tagging in taggings for issue in tagging.issues} == {"truncated"}


def test_two_questions_a_segment_keep_the_engine_full_and_the_memory_bounded() -> None:
    texts = [f"{TEXT} {number}" for number in range(200)]
    read = 0

    def segments() -> Iterator[Segment]:
        nonlocal read
        for text in texts:
            read += 1
            yield Segment(0, text)

    written = {text: ("gout (disease)" if i % 2 else "none") for i, text in enumerate(texts)}
    engine = Asking(dict.fromkeys(texts, "gout"), written, ahead=16)
    done = []
    for tagging in asking(engine).tag(segments()):
        done.append(len(tagging.entities))
        assert read <= len(done) + 2 * 16 + CHUNK
    assert done == [i % 2 for i in range(200)]
    # Full from the first to the last, but where the last candidates are waited for, and at the end.
    assert len(engine.flying) == 400
    assert engine.flying[: 400 - 2 * 16] == [16] * (400 - 2 * 16)


def test_segments_are_read_and_examples_chosen_by_the_chunk() -> None:
    read = 0

    def endless() -> Iterator[Segment]:
        nonlocal read
        while True:
            read += 1
            yield Segment(0, TEXT)

    engine, fixed = Scripted({TEXT: "none"}), Fixed()
    tagger = LlmTagger(engine, builder(engine), augmenter=Augmenter(fixed, 1))
    assert len(list(islice(tagger.tag(endless()), CHUNK + 1))) == CHUNK + 1
    assert read == 2 * CHUNK
    assert [len(asked) for asked in fixed.asked] == [CHUNK, CHUNK]


def test_segments_without_a_prompt_keep_their_places() -> None:
    engine = Scripted({TEXT: "gout (disease)"}, context=60)
    tagger = LlmTagger(engine, builder(engine))
    huge = "word " * 100
    taggings = list(tagger.tag(Segment(0, text) for text in (huge, huge, TEXT, huge, TEXT, huge)))
    assert [[issue.code for issue in tagging.issues] for tagging in taggings] == [
        ["truncated"],
        ["truncated"],
        [],
        ["truncated"],
        [],
        ["truncated"],
    ]
    assert [len(tagging.entities) for tagging in taggings] == [0, 0, 1, 0, 1, 0]
    assert len(engine.prompts) == 2


def test_an_answer_that_ignored_its_constraint_is_read_and_told() -> None:
    class Ignoring(Scripted):
        def _complete(self, prompt: Prompt) -> Completion:
            return replace(super()._complete(prompt), detail="did not obey")

    engine = Ignoring({TEXT: "gout (disease); asthma (disease)"})
    [tagging] = LlmTagger(engine, builder(engine)).tag([Segment(0, TEXT)])
    assert found(tagging) == [("gout", "disease", 28)]
    assert [issue.code for issue in tagging.issues] == ["unconstrained", "invented"]


class Drawing(Scripted):
    """Gives the answers of a list in turn, and fails where there is none; a single one is the greedy one."""

    def __init__(self, *answers: str) -> None:
        super().__init__({})
        self._drawn = list(answers)

    def _complete(self, prompt: Prompt) -> Completion:
        self._answers = {TEXT: answer} if (answer := self._drawn.pop(0)) else {}
        return super()._complete(prompt)


def test_samples_vote() -> None:
    engine = Drawing(
        "gout (disease)", "gout? (disease); BRCA1 (gene)", "", "colon cancer (gene); asthma (gene)"
    )
    sampling = Sampling(4, 0.8, seed=3)
    tagger = LlmTagger(engine, builder(engine), weigher=BELIEVER, sampling=sampling)
    [tagging] = tagger.tag([Segment(0, TEXT)])
    assert found(tagging) == [("gout", "disease", 28)]
    assert tagging.entities[0].score == pytest.approx((0.99 + 0.5) / 3)
    assert [issue.code for issue in tagging.issues] == ["failed", "invented"]
    assert tagging.usage.prompt == 3 * engine.count_tokens(engine.prompts[0].text)
    assert engine.prompts == list(sampling.prompts(replace(engine.prompts[0], temperature=0.0, seed=0)))


def test_samples_stay_with_their_segments() -> None:
    """Also beside segments that are never asked for, and whatever the order of segments."""
    engine = Drawing(*["gout (disease)"] * 3, *["BRCA1 (gene)"] * 3)
    sampling = Sampling(3)
    tagger = LlmTagger(engine, builder(engine), weigher=BELIEVER, sampling=sampling)
    huge = "word " * 5000
    taggings = list(tagger.tag(Segment(0, text) for text in (huge, TEXT, huge, TEXT, huge)))
    assert [len(tagging.issues) for tagging in taggings] == [1, 0, 1, 0, 1]
    assert found(taggings[1]) == [("gout", "disease", 28)]
    assert found(taggings[3]) == [("BRCA1", "gene", 0)]


WRITTEN = st.text("ab;() \\#1.disease?", max_size=20) | st.sampled_from(
    ["none", "a b (disease)", "b (gene); a"]
)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.text("ab c.", max_size=15), WRITTEN), max_size=5), st.booleans())
def test_the_laws_of_a_tagger_whatever_the_engine_writes(pairs: list[tuple[str, str]], weighed: bool) -> None:
    texts = [text for text, _ in pairs]
    written = {text.strip(): answer for text, answer in pairs}
    pool = [pooled("a b is one", "a b"), pooled("c or a", "a", "gene"), pooled("of a . b")] * weighed
    taggings = tag(written, *texts, pool=pool, thresholds=THRESHOLDS)
    assert len(taggings) == len(texts)
    for text, tagging in zip(texts, taggings, strict=True):
        end = 0
        for entity in tagging.entities:
            assert text[entity.start : entity.end] == entity.text
            assert entity.type in TYPES
            assert entity.score is None or 0 <= entity.score <= 1
            assert end <= entity.start < entity.end
            end = entity.end
    assert tag(written, *texts, pool=pool, thresholds=THRESHOLDS) == taggings
    twice = list(asking(Asking(written, written, ahead=2)).tag(Segment(0, text) for text in texts))
    believed = [tagging.entities for tagging in tag(written, *texts)]
    assert [tagging.entities for tagging in twice] == believed  # whatever the candidates were


# -- the whole against one that takes a segment at a time ------------------------------------------------


class Varying(Scripted):
    """Reads ``ahead`` prompts; which answer it gives, cut where and failing when, follows from the prompt."""

    def __init__(self, answers: Sequence[str], *, ahead: int, context: int) -> None:
        super().__init__({}, context=context)
        self._given, self._ahead = answers, ahead

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Completion]:
        source = iter(prompts)
        flying = deque(islice(source, self._ahead))
        while flying:
            yield self._complete(flying.popleft())
            flying.extend(islice(source, self._ahead - len(flying)))

    def _complete(self, prompt: Prompt) -> Completion:
        chance = random.Random(f"{prompt.text} {prompt.seed}")
        sentence = prompt.text.rpartition("Sentence: ")[2].rpartition("\n")[0]
        self._answers = {sentence: chance.choice(self._given)} if chance.random() < 0.8 else {}
        self._cut = chance.choice([None, None, 1, 2, 4])
        detail = chance.choice(["", "", "did not obey"])
        completion = super()._complete(prompt)
        return completion if completion.finish == "failed" else replace(completion, detail=detail)


class Shifting(Fixed):
    """Selects other examples for other texts."""

    def select(self, texts: Sequence[str], *, k: int) -> list[list[Document]]:
        both = [pooled("Three had asthma.", "asthma"), pooled("None had it.")]
        return [both[len(text) % 2 :][:k] for text in texts]


def one_by_one(
    engine: Varying,
    texts: Sequence[str],
    builders: Sequence[PromptBuilder],
    augmenter: Augmenter,
    weigher: Weigher,
    sampling: Sampling,
) -> list[Tagging]:
    """Takes each segment through select, retrieve, build, generate, parse and weigh before the next."""
    taggings = []
    for text in texts:
        assert augmenter.selector is not None
        assert augmenter.retriever is not None
        [examples] = augmenter.selector.select([text], k=augmenter.shots)
        concepts = augmenter.retriever.named(text) if len(builders) == 1 else []
        entities: list[Entity] = []
        issues, usage = [], Usage()
        for number, made in enumerate(builders):
            last = number == len(builders) - 1
            prompt, problems = made.build(text, examples=examples, concepts=concepts)
            ballots = []
            for sample in (sampling if last else SINGLE).prompts(prompt) if prompt else ():
                [completion] = engine.generate([sample])
                usage += replace(completion.usage, requests=1)
                if completion.finish == "failed":
                    problems.append(Issue("failed", "", completion.detail))
                    continue
                mentions, unread = made.answer.parse(text, completion.text)
                problems += unread
                if completion.detail:
                    problems.append(Issue("unconstrained", "", completion.detail))
                if completion.finish == "length":
                    problems.append(Issue("truncated", "", "the answer ended at its token limit"))
                    if mentions and completion.text.endswith(mentions[-1].text):
                        mentions.pop()
                placed, lost = place(text, add_scores(mentions, completion, opening=made.answer.opening))
                problems += lost
                ballots.append(weigher.weigh(text, placed) if last else placed)
            entities = elect(ballots)
            prefix = "" if last else "candidates: "
            issues += [replace(issue, detail=prefix + issue.detail) for issue in problems]
            concepts = augmenter.retriever.candidates(text, [(e.start, e.end) for e in entities])
        taggings.append(Tagging(tuple(entities), tuple(issues), usage))
    return taggings


ANSWER = st.sampled_from(["gout", "none", "gout (disease); asthma (gene)", "a b? (gene)", "a b; a b (gene)"])
PIECE = st.sampled_from(["gout ", "asthma ", "a b ", "c ", "word " * 40])


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.lists(PIECE, min_size=1, max_size=4).map("".join), max_size=6),
    st.lists(ANSWER, min_size=1, max_size=4),
    st.integers(1, 7),
    st.sampled_from([1, 3]),
    st.booleans(),
    st.booleans(),
)
def test_a_tagger_gives_what_one_segment_at_a_time_gives(
    texts: list[str], written: list[str], ahead: int, samples: int, asks: bool, weighed: bool
) -> None:
    engine = Varying(written, ahead=ahead, context=100)
    made = builder(engine)
    first = replace(made, template=load_template("candidates"), answer=CandidateList(english()))
    pool = [pooled("a b is one", "a b", "gene"), pooled("Gout, gout", "gout"), pooled("of gout")]
    weigher = Weigher(NameStatistics(pool, english()) if weighed else None, THRESHOLDS)
    augmenter = Augmenter(Shifting(), 1, Retriever(Fixed(), english(), limit=8, matches=["exact"]))
    sampling = Sampling(samples)
    tagger = LlmTagger(
        engine,
        made,
        augmenter=augmenter,
        candidates=first if asks else None,
        weigher=weigher,
        sampling=sampling,
    )
    taggings = list(tagger.tag(Segment(0, text) for text in texts))
    builders = (first, made) if asks else (made,)
    assert taggings == one_by_one(engine, texts, builders, augmenter, weigher, sampling)
