"""The quality score: what is asked and read, what the small model learns, and what its filter leaves out."""

from __future__ import annotations

import json
import random
import re
import stat
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from command import dirag
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_server import Script, serving

from dirag.backends.http.remote import Remote
from dirag.config import configure
from dirag.data import Document, Entity, Result, Segment
from dirag.encoders.hashing import HashEmbedder
from dirag.errors import DiragError, ExamplesError, InputError, PromptError, UsageError
from dirag.examples import quality as scores
from dirag.examples.pool import Pool
from dirag.examples.quality import DOMAINS, KINDS, Quality, QualityFilter, QualityModel, open_filter
from dirag.formats import jsonl
from dirag.text.segment import paragraphs, segments
from dirag.training.adapter import silver
from dirag.training.quality import labelling
from dirag.training.quality.fitting import fit, spearman, validate
from dirag.training.quality.labelling import Paragraph
from dirag.training.quality.training import QualitySpec, train

EMBEDDER = HashEmbedder(dimension=64)
QUALITIES = st.builds(Quality, st.sampled_from(KINDS), st.sampled_from(DOMAINS), st.integers(1, 5).map(float))
FILLERS = ("on the ward", "after a week", "as before", "in the morning", "with care", "once more")
#: What the scripted engine judges by, from nothing to everything: the word stands in the paragraph.
WORDS = ("weather", "parking", "visitors", "fever", "metformin")
_SHOWN = re.compile(r".*Paragraph: (.*)\nAnswer:\Z", re.DOTALL)


def answer(prompt: str) -> str:
    """Judges the last paragraph of a prompt by the word in it."""
    match = _SHOWN.match(prompt)
    assert match is not None
    [usefulness] = [number for number, word in enumerate(WORDS, start=1) if word in match[1]]
    medical = usefulness > 3
    return f" {'clinical case' if medical else 'other'}, {'clinical' if medical else 'other'}, {usefulness}\n"


def paragraph(chance: random.Random) -> tuple[str, int]:
    """Returns a paragraph of three sentences and its usefulness."""
    usefulness = chance.randint(1, 5)
    word = WORDS[usefulness - 1]
    fillers = (chance.choice(FILLERS) for _ in range(3))
    lines = [f"They spoke of {word} and then of {word} {f} {chance.randint(1, 999)}." for f in fillers]
    return " ".join(lines), usefulness


def documents(number: int, seed: int = 0) -> list[Document]:
    chance = random.Random(seed)
    return [
        Document(f"d{i}", "\n\n".join(paragraph(chance)[0] for _ in range(chance.randint(1, 5))))
        for i in range(number)
    ]


def write(path: Path, docs: list[Document]) -> Path:
    path.write_bytes(b"".join(jsonl.dumps(Result(document, document.entities)) for document in docs))
    return path


def model(seed: int, dimension: int = 64) -> QualityModel:
    """A model whose weights mean nothing."""
    weights = np.random.default_rng(seed).normal(1, 2, (1 + len(KINDS) + len(DOMAINS), dimension + 1))
    return QualityModel(f"hash@ngrams-{dimension}", dimension, KINDS, DOMAINS, weights.astype(np.float32))


@given(QUALITIES, st.sampled_from(["", " "]))
def test_what_is_rendered_is_admitted_and_read_back(quality: Quality, space: str) -> None:
    text = space + labelling.render(quality)
    assert labelling.constraint().accepts(text)
    assert labelling.parse(text) == quality


@given(st.text())
def test_any_answer_is_read_or_refused(text: str) -> None:
    quality = labelling.parse(text)
    assert quality is None or (quality.kind in KINDS and quality.domain in DOMAINS)


@pytest.mark.parametrize(
    "text", ["Study; Biomedical; 4", "**study** | biomedical | 4 - well", "study,biomedical,4\n"]
)
def test_answers_without_a_constraint_are_read(text: str) -> None:
    assert labelling.parse(text) == Quality("study", "biomedical", 4.0)


@pytest.mark.parametrize(
    "text", ["", "study", "study, biomedical", "study, biomedical, 6", "study, biomedical, 45", "4"]
)
def test_other_answers_are_not_guessed_at(text: str) -> None:
    assert labelling.parse(text) is None


def test_the_draw_depends_on_the_seed_alone() -> None:
    docs = documents(60)

    def texts(docs: list[Document], size: int, seed: int) -> list[str]:
        drawn, total = labelling.draw(docs, size, seed=seed, left_out=Counter())
        assert total == sum(len(paragraphs(document.text)) for document in docs)
        assert [drawn_one.text in docs[drawn_one.document].text for drawn_one in drawn] == [True] * len(drawn)
        return [drawn_one.text for drawn_one in drawn]

    some = texts(docs, 20, 3)
    assert len(set(some)) == 20
    assert texts(docs[::-1], 20, 3) == some
    assert texts(docs * 2, 20, 3) == some  # repeats take no place
    assert texts(docs, 20, 4) != some
    assert texts(docs, 5, 3) == some[:5]


def test_what_gets_no_label_is_counted(tmp_path: Path) -> None:
    replies = iter(["study, biomedical, 4", "no idea", "study, biomedical, 5", "review, clinical, 1"] * 9)
    script = Script(lambda prompt: next(replies), context=4096)
    sample = [Paragraph(f"Text number {n}.", n) for n in range(7)]
    sample.insert(2, Paragraph("word " * 4096, 7))
    left_out: Counter[str] = Counter()
    with serving(script) as server:
        engine = Remote(server.url, context=4096, parallel=1)
        labelled = labelling.label(engine, labelling.read_prompt(), sample, left_out)
        engine.close()
    assert left_out == {"paragraphs too long for --context": 1, "answers that cannot be read": 2}
    assert [(one.document, quality.usefulness) for one, quality in labelled] == [
        (0, 4.0),
        (2, 5.0),
        (3, 1.0),
        (4, 4.0),
        (6, 5.0),
    ]


def test_a_failed_request_costs_its_paragraph() -> None:
    left_out: Counter[str] = Counter()
    sample = [Paragraph(f"Text number {n}.", n) for n in range(3)]
    script = Script(lambda prompt: " study, clinical, 2", context=4096)
    with serving(script) as server:
        engine = Remote(server.url, context=4096, parallel=1)
        script.replies.append((400, {}, b"{}"))
        labelled = labelling.label(engine, labelling.read_prompt(), sample, left_out)
        engine.close()
    assert (len(labelled), left_out) == (2, {"requests that failed": 1})


@pytest.mark.parametrize(
    "content",
    [
        'answer = "quality"',
        'answer = "json"\nquery = "$text"',
        "x =",
        'answer = "quality"\nquery = "$text $y"',
    ],
)
def test_a_prompt_that_asks_for_something_else_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(PromptError, match=r"mine\.toml"):
        labelling.read_prompt(str(path))


# -- the small model -------------------------------------------------------------------------------------


@given(st.integers(0, 99), st.lists(st.text(min_size=1), min_size=1, max_size=6))
def test_a_quality_does_not_depend_on_company(seed: int, texts: list[str]) -> None:
    judge = model(seed)
    together = judge.qualities(EMBEDDER.embed(texts))
    assert together == [judge.qualities(EMBEDDER.embed([text]))[0] for text in texts]
    assert all(1 <= quality.usefulness <= 5 for quality in together)


def test_a_model_is_opened_as_it_was_written(tmp_path: Path) -> None:
    model(1).write(tmp_path)
    opened = scores.open(tmp_path)
    assert (opened.weights == model(1).weights).all()
    assert (opened.encoder, opened.kinds, opened.domains) == ("hash@ngrams-64", KINDS, DOMAINS)


@pytest.mark.parametrize("labels", [["a"] * 30, ["a", "b"] * 15, ["a", "b", "c"] * 10])
def test_one_two_and_several_classes(labels: list[str]) -> None:
    """The learnt rows say of the texts that were learnt what scikit-learn's model was told."""
    texts = [f"{label * 20} {n}" for n, label in enumerate(labels)]
    names = dict(zip("abc", KINDS, strict=False))
    told = [Quality(names[label], DOMAINS[0], 1.0 + n % 5) for n, label in enumerate(labels)]
    learnt = fit(EMBEDDER.embed(texts), told, EMBEDDER)
    assert learnt.domains == DOMAINS[:1]
    assert learnt.kinds == tuple(sorted({quality.kind for quality in told}))
    assert [q.kind for q in learnt.qualities(EMBEDDER.embed(texts))] == [q.kind for q in told]


def test_labels_by_chance_are_not_foretold() -> None:
    """What cannot be known has no correlation, and no gain on the majority."""
    chance = random.Random(1)
    texts = [paragraph(chance)[0] for _ in range(200)]
    labels = [Quality(chance.choice(KINDS), "other", float(chance.randint(1, 5))) for _ in texts]
    figures = validate(EMBEDDER.embed(texts), labels, range(200), EMBEDDER, seed=0)
    assert figures.rho is not None
    assert abs(figures.rho) < 0.25
    assert figures.kind.accuracy < figures.kind.majority + 0.1
    assert (figures.domain.accuracy, figures.domain.majority) == (1.0, 1.0)


def test_copies_of_one_document_do_not_help() -> None:
    """Each document's paragraphs are alike and have one label by chance: only its own would tell it."""
    chance = random.Random(2)
    texts, labels, numbers = [], [], []
    for number in range(40):
        name = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=30))
        label = Quality("other", "other", float(chance.randint(1, 5)))
        for n in range(5):
            texts.append(f"{name} {n}")
            labels.append(label)
            numbers.append(number)
    vectors = EMBEDDER.embed(texts)
    apart = validate(vectors, labels, numbers, EMBEDDER, seed=0)
    mixed = validate(vectors, labels, [0] * 200, EMBEDDER, seed=0)
    assert (apart.unit, mixed.unit) == ("documents", "paragraphs")
    assert mixed.rho is not None
    assert apart.rho is not None
    assert mixed.rho > 0.8
    assert apart.rho < 0.5


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30))
def test_spearman_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    from scipy.stats import spearmanr  # type: ignore[import-untyped]

    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    rho = spearman(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert rho is None
    else:
        assert rho == pytest.approx(spearmanr(first, second).statistic, abs=1e-9)


# -- the filter ------------------------------------------------------------------------------------------


@given(st.integers(0, 50), st.integers(0, 50), st.floats(1, 5), st.sampled_from([(), KINDS[:2]]))
@settings(deadline=None)
def test_exactly_what_scores_less_is_left_out(
    seed: int, weights: int, least: float, kinds: tuple[str, ...]
) -> None:
    docs = documents(3, seed)
    chosen = QualityFilter(model(weights), EMBEDDER, least, kinds)
    pool = Pool.from_documents(docs, quality=chosen)
    expected = []
    for document in docs:
        for block in paragraphs(document.text):
            [quality] = chosen.model.qualities(EMBEDDER.embed([block.text]))
            if quality.usefulness >= least and (not kinds or quality.kind in kinds):
                inside = segments(document.text)
                expected += [s.text for s in inside if block.start <= s.start < block.end]
    assert [example.text for example in pool.examples] == expected
    total = sum(len(segments(document.text)) for document in docs)
    assert len(expected) + sum(pool.manifest.left_out.values()) == total
    left_out: Counter[str] = Counter()
    taken = list(silver.sentences(docs, left_out, min_score=0.0, quality=chosen))
    assert [sentence.text for sentence in taken] == list(dict.fromkeys(expected))
    assert len(taken) + left_out.total() == total


def test_a_sentence_of_a_tokenised_corpus_is_a_paragraph() -> None:
    docs = [Document(str(n), f"  They spoke of {word} .") for n, word in enumerate(WORDS)]
    chosen = QualityFilter(model(7), EMBEDDER, 3.0)
    pool = Pool.from_documents(docs, as_sentences=True, quality=chosen)
    judged = chosen.model.qualities(EMBEDDER.embed([document.text.strip() for document in docs]))
    assert [example.text for example in pool.examples] == [
        document.text for document, quality in zip(docs, judged, strict=True) if quality.usefulness >= 3
    ]
    assert 0 < len(pool.examples) < len(docs)


def test_no_text_no_reasons() -> None:
    assert QualityFilter(model(0), EMBEDDER, 3.0).reasons(" \n", []) == []
    [reason] = QualityFilter(model(0), EMBEDDER, 3.0, ("case",)).reasons(" a", [Segment(0, " a")])
    assert reason


def test_another_encoder_is_refused(tmp_path: Path) -> None:
    model(0).write(tmp_path)
    assert open_filter(tmp_path, EMBEDDER, min_quality=2.0).min_quality == 2.0
    with pytest.raises(ExamplesError, match=r"ngrams-64 \(64 dimensions\), not hash@ngrams-32.*--encoder"):
        open_filter(tmp_path, HashEmbedder(dimension=32), min_quality=2.0)


def _cut(folder: Path) -> None:
    np.save(folder / scores.WEIGHTS, model(0).weights[1:])


def _not_finite(folder: Path) -> None:
    np.save(folder / scores.WEIGHTS, model(0).weights * np.float32("nan"))


def _rewrite(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / scores.DESCRIPTION
        record = orjson.loads(path.read_bytes()) | changes
        path.write_bytes(orjson.dumps({k: v for k, v in record.items() if v is not None}))

    return change


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / scores.DESCRIPTION).unlink(),
        lambda folder: (folder / scores.WEIGHTS).unlink(),
        lambda folder: (folder / scores.DESCRIPTION).write_text("{"),
        lambda folder: (folder / scores.DESCRIPTION).write_text("[]"),
        _cut,
        _not_finite,
        _rewrite(schema=2),
        _rewrite(kinds=["poem", *KINDS[1:]]),
        _rewrite(kinds=3),
        _rewrite(dimension="64"),
        _rewrite(dimension=None),
        _rewrite(encoder=None),
        _rewrite(further=1),
    ],
)
def test_a_damaged_folder_is_refused(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    model(0).write(tmp_path)
    damage(tmp_path)
    with pytest.raises(ExamplesError, match=r"--quality .*dirag train quality"):
        scores.open(tmp_path)


# -- the whole -------------------------------------------------------------------------------------------


def spec(server_url: str, *paths: Path, sample: int = 300, **options: object) -> QualitySpec:
    config = configure(
        backend="openai", base_url=server_url, encoder="hash", adapter="none", context=4096, **options
    )
    return QualitySpec(tuple(map(str, paths)), config, sample, "dirag train quality")


def test_the_small_model_recovers_a_rule_and_the_folder_is_the_same_again(tmp_path: Path) -> None:
    notes = write(tmp_path / "notes.jsonl", documents(120))
    with serving(Script(answer, context=4096)) as server:
        lines: list[str] = []
        figures = train(spec(server.url, notes), tmp_path / "a", notify=lines.append)
        train(spec(server.url, notes), tmp_path / "b")
        other = train(spec(server.url, notes, seed=1), tmp_path / "c")
    assert figures.validation.rho is not None
    assert figures.validation.rho > 0.8
    assert figures.validation.kind.accuracy > 0.95 > figures.validation.kind.majority
    assert len(figures.sample.labels) == figures.sample.drawn == 300
    assert other.sample.paragraphs != figures.sample.paragraphs
    assert any("text was sent to" in line for line in lines)
    names = ["README.md", "quality.json", "weights.npy"]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == names
    for name in ("quality.json", "weights.npy"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "a/weights.npy").read_bytes() != (tmp_path / "c/weights.npy").read_bytes()
    card = (tmp_path / "a/README.md").read_text("utf-8")
    assert f"rho {figures.validation.rho:.3f}" in card
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    assert {stat.S_IMODE((tmp_path / "a" / name).stat().st_mode) for name in names} == {0o600}
    for word in ("spoke", *WORDS):
        assert not any(word in text for text in (card, *lines, *figures.lines()))


def test_refusals_come_before_the_engine_is_asked(tmp_path: Path) -> None:
    notes = write(tmp_path / "notes.jsonl", documents(2))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    nowhere = "http://127.0.0.1:9"
    with pytest.raises(UsageError, match=r"full exists and is not empty; name a new folder"):
        train(spec(nowhere, notes), tmp_path / "full")
    with pytest.raises(InputError, match=r"notes\.jsonl: .*less than 20; give more documents"):
        train(spec(nowhere, notes), tmp_path / "new")
    with pytest.raises(InputError, match="no such file"):
        train(spec(nowhere, tmp_path / "none"), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_engine_that_labels_nothing_leaves_no_folder(tmp_path: Path) -> None:
    notes = write(tmp_path / "notes.jsonl", documents(30))
    with (
        serving(Script(lambda prompt: " I cannot say", context=4096)) as server,
        pytest.raises(DiragError, match=r"0 of 30 paragraphs .*answers that cannot be read 30: give"),
    ):
        train(spec(server.url, notes, sample=30), tmp_path / "score")
    assert not (tmp_path / "score").exists()


def test_as_commands(tmp_path: Path) -> None:
    """A score is trained, a pool and a silver corpus take what it finds good, other encoders are refused."""
    notes = write(tmp_path / "notes.jsonl", documents(100))
    others = documents(30, seed=5)
    names = [Entity(0, 4, "pronoun", "They")]
    write(tmp_path / "others.jsonl", [replace(document, entities=tuple(names)) for document in others])

    with serving(Script(answer, context=4096)) as server:
        engine = ("--backend", "openai", "--base-url", server.url, "--context", "4096")
        done = dirag(
            tmp_path,
            "train",
            "quality",
            str(notes),
            "-o",
            "score",
            "--sample",
            "200",
            "--encoder",
            "hash",
            *engine,
        )
    assert done.returncode == 0, done.stderr
    first, usefulness, kind, domain = done.stdout.splitlines()
    assert first.startswith("200 of 200 paragraphs labelled")
    rho = re.search(r"rho (\d\.\d+)", usefulness)
    assert rho is not None
    assert float(rho[1]) > 0.8
    assert kind.startswith("kind ")
    assert domain.startswith("domain ")
    build = ("examples", "build", "others.jsonl", "-o", "pool", "--quality", "score", "--min-quality", "3.5")
    done = dirag(tmp_path, *build, "--encoder", "hash")
    assert done.returncode == 0, done.stderr
    kept = [json.loads(line)["text"] for line in (tmp_path / "pool/examples.jsonl").read_text().splitlines()]
    sentences = [piece.text for document in others for piece in segments(document.text)]
    good = [text for text in sentences if any(word in text for word in WORDS[3:])]
    assert kept == good
    manifest = json.loads((tmp_path / "pool/manifest.json").read_text())
    reason = "sentences of paragraphs with a quality below 3.5"
    assert manifest["left_out"] == {reason: len(sentences) - len(good)}
    assert f"left out: {len(sentences) - len(good)} {reason}" in done.stderr
    chosen = ("--quality", "score", "--min-quality", "3.5", "--encoder", "hash")
    done = dirag(tmp_path, "train", "silver", "others.jsonl", "-o", "silver.jsonl", *chosen)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "silver.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"] for line in lines] == list(dict.fromkeys(good))
    done = dirag(tmp_path, "train", "silver", "others.jsonl", "-o", "silver.jsonl", "--kinds", "review")
    assert (done.returncode, "name its folder with --quality" in done.stderr) == (2, True)
    model(0).write(tmp_path / "score")
    done = dirag(tmp_path, *build, "--encoder", "hash")
    assert done.returncode == 1
    assert "hash@ngrams-64 (64 dimensions), not hash@ngrams-1024" in done.stderr
