"""Training of token classifiers: labels of words, loss, the same weights after every kill, the folder."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import count, product
from pathlib import Path
from typing import Any

import pytest
import tiny_encoders
from command import dirag
from hypothesis import given, settings
from hypothesis import strategies as st
from killing import killed_at

from dirag.config import Config
from dirag.data import Document, Entity
from dirag.encoders.token_pieces import PieceTokenizer
from dirag.errors import DatasetError, UsageError
from dirag.examples.selection import comparison_form
from dirag.taggers.token_classifier import words
from dirag.training.corpora import Corpus, TrainingData
from dirag.training.token_classifier import classifier as training
from dirag.training.token_classifier import validation
from dirag.training.token_classifier.sentences import LabelledRow, LabelledSentences
from dirag.training.token_classifier.settings import ClassifierSettings
from dirag.training.token_classifier.spec import ClassifierSpec

torch = pytest.importorskip("torch", reason="the extra dirag[train] is not installed")

TEXTS = [
    ("He had gout and asthma .", {"gout": "disease", "asthma": "disease"}),
    ("No sign of it was in the lung .", {}),
    ("Aspirin caused an ulcer in a rat .", {"Aspirin": "chemical", "ulcer": "disease"}),
    ("Those with lupus took quinine , and then more .", {"lupus": "disease", "quinine": "chemical"}),
]
SMALL = ClassifierSettings(epochs=3.0, rate=5e-3, batch=60, validate=2, every=1.0, precision="float32")


def entities(text: str, names: dict[str, str]) -> tuple[Entity, ...]:
    places = sorted((text.index(name), name) for name in names)
    return tuple(Entity(start, start + len(name), names[name], name) for start, name in places)


def record(number: int, text: str, names: dict[str, str]) -> str:
    marked = [{"start": e.start, "end": e.end, "type": e.type, "text": e.text} for e in entities(text, names)]
    return json.dumps({"id": str(number), "text": text, "entities": marked}) + "\n"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoders.write(tmp_path_factory.mktemp("encoder"), "bert", scale=2.0)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus whose development split shares a sentence with what is trained on."""
    folder = tmp_path_factory.mktemp("corpus")
    lines = [record(number, *each) for number, each in enumerate(TEXTS)]
    (folder / "train.jsonl").write_text("".join(lines), "utf-8")
    held = [lines[0], record(9, "Her gout went with quinine .", {"gout": "disease", "quinine": "chemical"})]
    (folder / "devel.jsonl").write_text("".join(held), "utf-8")
    return folder


def spec(corpus: Path, encoder: Path, settings: ClassifierSettings = SMALL, **options: Any) -> ClassifierSpec:
    config = Config(encoder=str(encoder), threads=1, **options)
    return ClassifierSpec(corpora=[str(corpus)], config=config, settings=settings, command="dirag train …")


@pytest.fixture(scope="module")
def reference(corpus: Path, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of a training that nothing disturbed."""
    output = tmp_path_factory.mktemp("reference") / "model"
    assert training.train(spec(corpus, encoder), output)
    return output


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "README.md"}


# --- rows ---


def loaded(corpus: Path, **options: Any) -> Corpus:
    return Corpus.load(str(corpus), Config(**options))


WORDS = st.lists(st.sampled_from(["gout", "type", "2", "IL-2", "(", "naïve", "a.b", "µg/l"]), min_size=1)


@settings(max_examples=60, deadline=None)
@given(texts=WORDS, seed=st.randoms(use_true_random=False))
def test_the_labels_of_words_say_the_entities(
    encoder: Path, corpus: Path, texts: list[str], seed: Any
) -> None:
    text, marked, end = " ".join(texts), [], 0
    tokenizer = PieceTokenizer.open(encoder)
    [pieces] = tokenizer.pieces([text])
    spans = words(text, pieces).spans
    while end < len(spans):
        first = end + seed.randint(0, 2)
        end = first + seed.randint(1, 3)
        if end <= len(spans):
            start, stop = spans[first][0], spans[end - 1][1]
            marked.append(Entity(start, stop, seed.choice(["disease", "chemical"]), text[start:stop]))
    sentences = LabelledSentences([loaded(corpus)], tokenizer)
    labels = sentences._labels_of(spans, marked)
    from dirag.formats.bio_tags import STRICT_BIO

    tags, refused = STRICT_BIO.spans(sentences.labels[label] for label in labels)
    assert not refused
    assert [(spans[t.start][0], spans[t.end - 1][1], t.type) for t in tags] == [
        (e.start, e.end, e.type) for e in marked
    ]


def test_rows_have_a_label_for_the_first_piece_of_each_word(encoder: Path, corpus: Path) -> None:
    tokenizer = PieceTokenizer.open(encoder)
    sentences = LabelledSentences([loaded(corpus)], tokenizer)
    assert sentences.labels == ("O", "B-chemical", "I-chemical", "B-disease", "I-disease")
    for place, (text, names) in enumerate(TEXTS):
        [row] = sentences.draw([(0, place)])
        [pieces] = tokenizer.pieces([text])
        assert row.ids == tokenizer.framed(pieces.ids)
        for word, first, label in zip(text.split(), row.first, row.labels, strict=True):
            start = pieces.offsets[first - 1][0]
            assert text[start : start + len(word)] == word
            assert sentences.labels[label] == (f"B-{names[word]}" if word in names else "O")
        assert row.unknown == ()


def test_a_type_that_a_corpus_does_not_annotate_gives_no_loss(encoder: Path, corpus: Path) -> None:
    both = LabelledSentences(
        [loaded(corpus), loaded(corpus, types=("disease",))], PieceTokenizer.open(encoder)
    )
    whole, part = both.draw([(0, 2), (0, 2 + len(TEXTS))])
    assert both.types == ("chemical", "disease")
    assert (whole.unknown, part.unknown) == ((), (1, 2))
    assert [both.labels[label] for label in part.labels] == ["O", "O", "O", "B-disease", "O", "O", "O", "O"]


def test_a_separate_corpus_has_labels_of_its_own_and_those_of_others_are_wrong_there(
    encoder: Path, corpus: Path
) -> None:
    first = loaded(corpus, types=("disease",))
    other = replace(first, dataset=replace(first.dataset, name="other"))
    sentences = LabelledSentences([loaded(corpus), other], PieceTokenizer.open(encoder), separate=("other",))
    assert sentences.types == ("chemical", "disease")
    assert sentences.labels[5:] == ("B-disease@other", "I-disease@other")
    whole, part = sentences.draw([(0, 2), (0, 2 + len(TEXTS))])
    # Chemicals alone are not annotated there: of diseases both kinds of labels are known to be wrong for "O".
    assert (whole.unknown, part.unknown) == ((), (1, 2))
    own = [sentences.labels[label] for label in part.labels]
    assert own == ["O", "O", "O", "B-disease@other", "O", "O", "O", "O"]


def test_the_loss_is_that_of_what_is_right(encoder: Path) -> None:
    from dirag.training.token_classifier.model import LabellingModel

    model = LabellingModel(encoder, ["O", "B-a", "I-a", "B-b", "I-b"], precision="float32", seed=0)
    model.model.eval()
    rows = [LabelledRow([1, 7, 8, 9, 2], [1, 3], [3, 0], (1, 2)), LabelledRow([1, 5, 2], [1], [0])]
    log = [torch.log_softmax(model.model(torch.tensor([row.ids])).logits[0], -1).detach() for row in rows]
    expected = [log[0][1, 3], torch.logsumexp(log[0][3, [0, 1, 2]], 0), log[1][1, 0]]
    assert model.loss(rows).item() == pytest.approx(-sum(map(float, expected)) / 3, rel=1e-5)


def test_sentences_of_tests_and_those_too_long_are_left_out_and_counted(encoder: Path, corpus: Path) -> None:
    tokenizer = PieceTokenizer.open(encoder)
    tests = frozenset([comparison_form(TEXTS[2][0])])
    sentences = LabelledSentences([loaded(corpus)], tokenizer, tests=tests)
    assert (len(sentences), sentences.tested, sentences.left_out) == (3, 1, 0)
    small = PieceTokenizer.open(encoder)
    small.room = max(len(pieces.ids) for pieces in tokenizer.pieces([text for text, _ in TEXTS])) - 1
    assert LabelledSentences([loaded(corpus)], small).left_out == 1
    small.room = 1
    with pytest.raises(DatasetError, match=r"no sentence of .* remains"):
        LabelledSentences([loaded(corpus)], small)


def test_hidden_pieces_and_other_mentions_are_drawn_by_epoch_and_place(encoder: Path, corpus: Path) -> None:
    tokenizer = PieceTokenizer.open(encoder)
    plain = LabelledSentences([loaded(corpus)], tokenizer)
    drawn = LabelledSentences([loaded(corpus)], tokenizer, masked=0.3, replaced=0.5)
    places = [(epoch, place) for epoch in range(20) for place in range(len(TEXTS))]
    rows = drawn.draw(places)
    assert rows == [row for place in places for row in drawn.draw([place])]
    assert len({tuple(row.ids) for row in rows}) > 20
    hidden = sum(row.ids.count(tokenizer.mask) for row in rows)
    assert 0.2 < hidden / sum(len(row) - 2 for row in rows) < 0.4
    counts = {tuple(sorted(row.labels)) for row in plain.draw([(0, n) for n in range(len(TEXTS))])}
    others = LabelledSentences([loaded(corpus)], tokenizer, replaced=1.0)
    assert {tuple(sorted(row.labels)) for row in others.draw(places)} == counts


def test_a_sentence_with_other_mentions_is_annotated_as_it_reads(encoder: Path, corpus: Path) -> None:
    import random

    others = LabelledSentences([loaded(corpus)], PieceTokenizer.open(encoder), replaced=1.0)
    names = {name for _, marked in TEXTS for name in marked}
    for number in range(30):
        text, marked = TEXTS[number % len(TEXTS)]
        sentence = others._with_others(Document("1", text, entities(text, marked)), random.Random(number))
        assert {e.text for e in sentence.entities} <= names  # Document itself checks the offsets
        assert [e.type for e in sentence.entities] == [e.type for e in entities(text, marked)]


# --- training ---


def test_one_seed_gives_one_model(corpus: Path, encoder: Path, reference: Path, tmp_path: Path) -> None:
    training.train(spec(corpus, encoder), tmp_path / "again")
    assert content(tmp_path / "again") == content(reference)
    training.train(spec(corpus, encoder, seed=1), tmp_path / "other")
    assert content(tmp_path / "other")["model.safetensors"] != content(reference)["model.safetensors"]


KILLS = [
    (".checkpoint.safetensors", 1),
    (".checkpoint.safetensors", 3),
    (".checkpoint.safetensors", 5),
    ("config.json", 1),
    ("model.safetensors", 2),
    ("tokenizer.json", 2),
    ("openvino_model.*", 1),
    ("README.md", 1),
]


@pytest.mark.parametrize("name, number", KILLS)
@pytest.mark.parametrize("after", [False, True])
def test_killed_anywhere_it_goes_on_to_the_same_model(
    corpus: Path,
    encoder: Path,
    reference: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    number: int,
    after: bool,
) -> None:
    clock = count(0, 15)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    output = tmp_path / "model"
    with killed_at(name, number, after=after):
        training.train(spec(corpus, encoder), output)
    training.train(spec(corpus, encoder), output, resume=True)
    assert content(output) == content(reference)


def test_other_settings_are_refused(corpus: Path, encoder: Path, tmp_path: Path) -> None:
    output = tmp_path / "model"
    with killed_at("config.json", 1):
        training.train(spec(corpus, encoder), output)
    with pytest.raises(UsageError, match=r"made with --masked '0\.0', not '0\.1'"):
        training.train(spec(corpus, encoder, replace(SMALL, masked=0.1)), output, resume=True)
    with pytest.raises(UsageError, match="--resume goes on with it"):
        training.train(spec(corpus, encoder), output)


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of a few names in a few sentences, in which devel has pairs of them that train has not."""
    names = {
        "disease": ["gout", "asthma", "lupus", "a cold"],
        "chemical": ["aspirin", "quinine", "iron", "zinc"],
    }
    forms = [
        "He had {} and took {} .",
        "{} went with {} .",
        "No {} after {} was seen .",
        "Of {} , {} and so on .",
    ]
    lines = []
    for number, (form, disease, drug) in enumerate(product(forms, *names.values())):
        marked = {disease: "disease", drug: "chemical"}
        lines.append(record(number, form.format(disease, drug), marked))
    folder = tmp_path_factory.mktemp("larger")
    (folder / "devel.jsonl").write_text("".join(lines[::5]), "utf-8")
    train = [line for number, line in enumerate(lines) if number % 5]
    (folder / "train.jsonl").write_text("".join(train), "utf-8")
    return folder


def test_what_is_learnt_is_found_and_the_best_model_is_kept(
    larger: Path, encoder: Path, tmp_path: Path
) -> None:
    longer = replace(SMALL, epochs=24.0, rate=2e-3, batch=200, validate=20, every=8.0)
    progress = training.train(spec(larger, encoder, longer), tmp_path / "model")
    assert progress
    assert progress.best
    [f1] = progress.best.f1.values()
    assert f1 > 0.9
    [scored] = validation.tagged(
        TrainingData.load([str(larger)], Config(), validate=20).held_out, tmp_path / "model", threads=1
    )
    assert scored.f1 == pytest.approx(f1, abs=0.05)  # in 8 bits, if they were kept


@pytest.mark.parametrize("architecture", ["roberta", "modernbert"])
def test_other_encoders_are_trained_without_an_int8_form(
    corpus: Path, architecture: str, tmp_path: Path
) -> None:
    encoder = tiny_encoders.write(tmp_path / "encoder", architecture)
    training.train(spec(corpus, encoder, replace(SMALL, epochs=1.0)), tmp_path / "model")
    assert "model.safetensors" in content(tmp_path / "model")
    assert "openvino_model.xml" not in content(tmp_path / "model")


# --- scores ---


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=0, max_size=400))
def test_calibrated_scores_rise_and_are_shares(outcomes: list[tuple[float, bool]]) -> None:
    table = validation.fitted([(score, right, 1.0) for score, right in outcomes])
    if len(outcomes) < 60:
        assert table is None
        return
    assert table is not None
    assert list(table.raw) == sorted(table.raw)
    assert list(table.right) == sorted(table.right)
    assert 0 <= table.right[0] <= table.right[-1] <= 1
    calibrated = [table(score) for score, _ in outcomes]
    assert sum(calibrated) / len(outcomes) == pytest.approx(
        sum(right for _, right in outcomes) / len(outcomes), abs=0.12
    )


# --- the command ---


def test_the_command_trains_and_its_model_tags(larger: Path, encoder: Path, tmp_path: Path) -> None:
    arguments = [
        "train",
        "token-classifier",
        "--dataset",
        str(larger),
        "-o",
        "model",
        "--encoder",
        str(encoder),
    ]
    arguments += [
        "--epochs",
        "24",
        "--every",
        "12",
        "--rate",
        "2e-3",
        "--batch",
        "200",
        "--precision",
        "float32",
        "--separate",
        loaded(larger).dataset.name,
    ]
    refused = dirag(tmp_path, *arguments[:-1], "others")
    assert refused.returncode == 2
    assert "--separate others is no corpus of --dataset" in refused.stderr
    done = dirag(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert "strict F1 on held-out sentences:" in done.stdout
    assert "gout" not in done.stderr + done.stdout
    card = (tmp_path / "model" / "README.md").read_text("utf-8")
    assert "Finds chemical, disease." in card
    assert "gout" not in card
    again = dirag(tmp_path, *arguments, "--resume")
    assert "is done already" in again.stderr
    tagged = dirag(
        tmp_path, "tag", "-", "--tagger", "token-classifier", "--model", "model", "--kb", "none",
        stdin='{"text": "He had gout and took quinine ."}\n',
    )  # fmt: skip
    assert tagged.returncode == 0, tagged.stderr
    found = [(e["text"], e["type"]) for e in json.loads(tagged.stdout)["entities"]]
    assert found == [("gout", "disease"), ("quinine", "chemical")]
    refused = dirag(
        tmp_path,
        "tag",
        "-",
        "--tagger",
        "token-classifier",
        "--model",
        "model",
        "--types",
        "disease,gene",
        "--kb",
        "none",
    )
    assert refused.returncode == 2
    assert "finds no gene" in refused.stderr
    assert "its types: chemical, disease" in refused.stderr
