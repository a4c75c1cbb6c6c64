"""The token classifier over real encoders with random weights: words, windows, company, scores, folders."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tiny_encoders
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dirag.data import Entity, Segment
from dirag.encoders.token_model import TokenModel, open_model
from dirag.encoders.token_pieces import Pieces, read_config
from dirag.taggers.token_classifier import CalibrationTable, Passage, TokenClassifier, windows, words

TYPES = {"Disease": "disease", "Chemical": "chemical"}
Opened = Callable[[str], TokenModel]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """Opens the tiny encoder of an architecture, made once."""
    models: dict[str, TokenModel] = {}

    def open_once(architecture: str) -> TokenModel:
        if architecture not in models:
            folder = tiny_encoders.write(tmp_path_factory.mktemp(architecture), architecture)
            models[architecture] = open_model(folder, threads=1)
        return models[architecture]

    return open_once


def tagged(tagger: TokenClassifier, *texts: str) -> list[tuple[Entity, ...]]:
    return [tagging.entities for tagging in tagger.tag([Segment(0, text, n) for n, text in enumerate(texts)])]


# --- words ---


def characters(text: str) -> Pieces:
    """Every character as a piece, blanks aside."""
    offsets = [(i, i + 1) for i, char in enumerate(text) if not char.isspace()]
    return Pieces([0] * len(offsets), offsets)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type 2 (IL-2)", ["type", "2", "(", "IL", "-", "2", ")"]),
        ("naïve  β-blocker", ["naïve", "β", "-", "blocker"]),
        ("nai\u0308ve", ["nai\u0308ve"]),  # the diaeresis apart
        ("क्षय रोग", ["क्षय", "रोग"]),
        ("肺炎です", ["肺", "炎", "で", "す"]),
        ("糖尿病2型", ["糖", "尿", "病", "2", "型"]),
        ("", []),
        (" \n\t ", []),
    ],
)
def test_words_are_what_readers_call_words(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in words(text, characters(text)).spans] == expected


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
@example("\u0308a")
def test_words_hold_every_character_but_blanks_in_order(text: str) -> None:
    spans = words(text, characters(text)).spans
    assert all(start < end <= after for (start, end), (after, _) in pairwise(spans))
    assert "".join(text[s:e] for s, e in spans) == "".join(text.split())


def test_words_of_one_piece_are_one_word_and_a_word_without_a_piece_is_none() -> None:
    pieces = Pieces([5, 6], [(0, 4), (9, 12)])
    assert words("(a), xx bcd", pieces).spans == [(0, 4), (8, 11)]


# --- windows ---


@settings(max_examples=200, deadline=None)
@given(
    length=st.integers(0, 400),
    room=st.integers(8, 120),
    cuts=st.lists(st.integers(0, 400), unique=True).map(sorted),
)
def test_windows_cover_all_overlap_and_fit(length: int, room: int, cuts: list[int]) -> None:
    result = windows(length, room, cuts)
    assert all(0 < end - start <= room for start, end in result)
    assert (result[0][0], result[-1][1]) == (0, length) if length else not result
    for (start, end), (following, behind) in pairwise(result):
        assert start < following <= end - room // 4
        assert behind > end


@pytest.fixture(scope="module")
def gazetteer(tmp_path_factory: pytest.TempPathFactory) -> TokenModel:
    folder = tmp_path_factory.mktemp("gazetteer")
    labels = {"lisinopril": "B-Chemical", "hypertension": "I-Chemical"}
    return open_model(tiny_encoders.write_gazetteer(folder, labels), threads=1)


@pytest.mark.parametrize("window", ["sentence", "context"])
@pytest.mark.parametrize("pieces", [100, 130, 300])
def test_a_mention_at_every_place_of_a_long_text_is_found_once(
    gazetteer: TokenModel, window: str, pieces: int
) -> None:
    tagger = TokenClassifier(gazetteer, TYPES, window=window)
    mention = "Lisinopril hypertension"
    texts = [
        " ".join(["man"] * place + [mention] + ["man"] * (pieces - place)) for place in range(0, pieces, 3)
    ]
    for text, entities in zip(texts, tagged(tagger, *texts), strict=True):
        assert [(entity.start, entity.text) for entity in entities] == [(text.index(mention), mention)]


def test_a_mention_at_every_place_of_a_document_is_found_once_in_context(gazetteer: TokenModel) -> None:
    tagger = TokenClassifier(gazetteer, TYPES, window="context")
    plain, planted = Segment(0, "a man with a man"), Segment(0, "a lisinopril hypertension")
    for place in range(0, 600, 7):
        segments = [plain] * place + [planted] + [plain] * (600 - place)
        found = [n for n, tagging in enumerate(tagger.tag(segments)) if tagging.entities]
        assert found == [place]


@pytest.mark.parametrize("architecture", tiny_encoders.ARCHITECTURES)
@pytest.mark.parametrize("window", ["sentence", "context"])
def test_entities_lie_in_their_segment_and_do_not_depend_on_other_documents(
    opened: Opened, architecture: str, window: str
) -> None:
    tagger = TokenClassifier(opened(architecture), TYPES, window=window)
    texts = [*tiny_encoders.TEXT, "", " ", "\ud800 fever", "\x00", "x" * 3000, "肺炎 " * 90, "a\u0308 " * 200]
    together = tagged(tagger, *texts)
    for text, entities in zip(texts, together, strict=True):
        assert tagged(tagger, text) == [entities]
        for entity in entities:
            assert text[entity.start : entity.end] == entity.text == entity.text.strip() != ""
            assert entity.type in TYPES.values()
            assert 0 < (entity.score or 0) <= 1
    assert any(together)


def test_context_is_read_only_where_it_is_asked_for(opened: Opened) -> None:
    model = opened("bert")
    text, before = tiny_encoders.TEXT[0], Segment(0, tiny_encoders.TEXT[4])
    alone = Segment(0, text)
    for window, is_same in (("sentence", True), ("context", False)):
        tagger = TokenClassifier(model, TYPES, window=window)
        [by_itself] = tagger.tag([alone])
        [_, behind] = tagger.tag([before, alone])
        assert (by_itself == behind) == is_same


def test_a_model_with_room_for_it_reads_a_whole_document_at_once(tmp_path: Path) -> None:
    folder = tiny_encoders.write(tmp_path, "modernbert", max_position_embeddings=8192)
    model = open_model(folder, threads=1)
    assert model.tokenizer.limit == 8192
    texts = [*tiny_encoders.TEXT] * 12
    [row] = Passage(texts, model).rows()
    assert 1000 < len(row) <= model.tokenizer.room
    assert len(list(Passage(texts, open_model(_shorter(folder), threads=1)).rows())) > 10
    segments = [Segment(0, text) for text in texts]
    in_context = TokenClassifier(model, TYPES, window="context")
    taggings = list(in_context.tag(segments))
    assert len(taggings) == len(segments)
    # Sentences that are the same stand in other places, and each is read with those around it.
    assert any(one != other for one, other in pairwise(taggings[:: len(tiny_encoders.TEXT)]))


def _shorter(folder: Path) -> Path:
    """Makes the tokenizer of a folder say that there is room for 128 tokens."""
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"model_max_length": 128}), "utf-8")
    return folder


# --- scores ---


def test_scores_are_read_off_the_table_of_the_folder(opened: Opened) -> None:
    model = opened("bert")
    raw = TokenClassifier(model, TYPES)
    table = CalibrationTable((0.0, 0.5, 1.0), (0.0, 0.25, 0.9))
    calibrated = TokenClassifier(model, TYPES, calibration=table)
    [plain] = tagged(raw, tiny_encoders.TEXT[1])
    [right] = tagged(calibrated, tiny_encoders.TEXT[1])
    assert tuple(replace(entity, score=table(entity.score or 0)) for entity in plain) == right
    assert table(0.25) == pytest.approx(0.125)
    assert table(0.75) == pytest.approx(0.575)
    assert raw.notices()
    assert not calibrated.notices()


# --- models ---


@pytest.mark.parametrize("architecture", tiny_encoders.ARCHITECTURES)
def test_labels_are_those_of_transformers_token_by_token(
    tmp_path: Path, architecture: str, sentences: list[str]
) -> None:
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    folder = tiny_encoders.write(tmp_path, architecture, seed=3)
    model = open_model(folder, threads=1)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    reference = AutoModelForTokenClassification.from_pretrained(folder).eval()
    texts = [text for text in sentences if len(tokenizer(text)["input_ids"]) <= model.tokenizer.limit]
    assert len(texts) > len(sentences) / 2
    pieces = model.tokenizer.pieces(texts)
    labels = set()
    for text, of_text, scores in zip(texts, pieces, model.scores([p.ids for p in pieces]), strict=True):
        encoded = tokenizer(text, return_tensors="pt")
        assert encoded["input_ids"][0, 1:-1].tolist() == list(of_text.ids)
        with torch.inference_mode():
            expected = reference(**encoded).logits[0, 1:-1].log_softmax(-1).numpy()
        # Of two labels as good as equal either may be the best one.
        assert scores == pytest.approx(expected, abs=2e-5)
        labels.update(scores.argmax(-1).tolist())
    assert len(labels) > 1


@pytest.fixture(scope="module")
def sentences(request: pytest.FixtureRequest) -> list[str]:
    """A thousand sentences of five languages where the corpora are at hand, else the few of here."""
    try:
        folder = request.getfixturevalue("shared_data") / "corpora" / "mantra-gsc"
    except pytest.skip.Exception:
        return [*tiny_encoders.TEXT]
    texts = [path.read_text("utf-8").strip() for path in sorted(folder.rglob("*.txt"))]
    chosen = random.Random(0).sample([text for text in texts if text], 1000)
    return [text[:250] for text in chosen]


def test_the_int8_form_gives_nearly_the_scores_of_the_weights(opened: Opened, tmp_path: Path) -> None:
    from dirag.encoders.token_openvino import OPENVINO_FORM, save_int8

    folder = tiny_encoders.write(tmp_path / "whole", "bert")
    small = tmp_path / "small"
    small.mkdir()
    save_int8(folder, read_config(folder), small / OPENVINO_FORM)
    for name in ("config.json", "tokenizer.json"):
        (small / name).write_bytes((folder / name).read_bytes())
    whole, int8 = open_model(folder, threads=1), open_model(small, threads=1)
    rows = [pieces.ids for pieces in whole.tokenizer.pieces(tiny_encoders.TEXT)]
    for plain, rounded in zip(whole.scores(rows), int8.scores(rows), strict=True):
        assert not np.array_equal(plain, rounded)
        assert np.abs(np.exp(plain) - np.exp(rounded)).max() < 0.2


REFUSED = {
    "no config": ("config.json", None, "cannot read"),
    "no labels": ("config.json", '{"model_type": "bert"}', "names no labels"),
    "labels without numbers": ("config.json", '{"id2label": {"a": "O"}}', "names no labels"),
    "no object": ("config.json", "[]", "no object"),
    "no weights": ("model.safetensors", None, "could not be loaded"),
    "broken weights": ("model.safetensors", string.ascii_letters, "cannot read the weights"),
    "broken tokenizer": ("tokenizer.json", "{", "cannot read"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_folder_that_is_no_token_classifier_is_refused_with_its_name(tmp_path: Path, fault: str) -> None:
    from dirag.errors import ArtifactError

    name, content, words_of_error = REFUSED[fault]
    folder = tiny_encoders.write(tmp_path, "bert")
    (folder / name).unlink() if content is None else (folder / name).write_text(content)
    with pytest.raises(ArtifactError, match=words_of_error) as refusal:
        open_model(folder)
    assert str(folder) in str(refusal.value)


def test_an_encoder_without_labels_is_no_token_classifier(tmp_path: Path) -> None:
    from transformers import AutoModel, AutoModelForTokenClassification

    from dirag.errors import ArtifactError

    folder = tiny_encoders.write(tmp_path, "roberta")
    config = (folder / "config.json").read_text("utf-8")
    AutoModel.from_pretrained(folder).save_pretrained(folder)
    (folder / "config.json").write_text(config, "utf-8")
    assert AutoModelForTokenClassification
    with pytest.raises(ArtifactError, match="lack 2 parts"):
        open_model(folder)
