"""Laws of encoder tuning: what is held out stays out, and a killed run ends like one that was not."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from killing import killed_at

from dirag.data import Concept
from dirag.encoders.hashing import HashEmbedder
from dirag.encoders.sentence import SentenceEncoder
from dirag.errors import DiragError, KnowledgeError, UsageError
from dirag.knowledge.index import dense
from dirag.knowledge.store import writer
from dirag.knowledge.store.store import Store
from dirag.text.language import english
from dirag.text.normalise import normaliser
from dirag.training.sentence_encoder import fitting, recall, synonyms
from dirag.training.sentence_encoder.recall import Recall
from dirag.training.sentence_encoder.tune import CARD, Options, TuningReport, tune

NAMES = normaliser(english())


torch = pytest.importorskip("torch")

QUICK = Options(steps=6, batch=24, rate=1e-3, hold_out=0.2, length=16)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of random weights that reads letters, as a sentence-transformers folder."""
    from safetensors.torch import save_file
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("encoders") / "tiny"
    (folder / "1_Pooling").mkdir(parents=True)
    signs = "abcdefghijklmnopqrstuvwxyz0123456789,-()"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *signs, *(f"##{sign}" for sign in signs)]
    tokenizer = BertWordPieceTokenizer({word: n for n, word in enumerate(words)}, lowercase=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    weights = BertModel(config, add_pooling_layer=False).state_dict()
    save_file(
        {name: tensor + 0.1 * torch.randn_like(tensor) for name, tensor in weights.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    files: dict[str, object] = {
        "config.json": config.to_dict() | {"architectures": ["BertModel"]},
        "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "model_max_length": 64},
        "sentence_bert_config.json": {"max_seq_length": 48, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True},
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        ],
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return folder


def concepts(seed: int = 0, number: int = 40) -> Iterator[Concept]:
    """A tree of concepts whose names are made of common words, some of them turned round or shared."""
    rng = random.Random(seed)
    words = ["renal", "ataxia", "type", "acute", "syndrome", "familial", "lens", "gout", "2", "x"]

    def name() -> str:
        return " ".join(rng.sample(words, rng.randint(1, 4)))

    for n in range(number):
        names = [f"{name()} of {n}", *(name() + rng.choice(["", f" {n}"]) for _ in range(rng.randint(0, 4)))]
        turned = ", ".join(reversed(names[0].split(" ", 1)))
        synonyms = tuple(dict.fromkeys([turned, *names[1:], "shared name"][: rng.randint(0, 6)]))
        yield Concept(f"C{n}", names[0], synonyms, ("disease",), parents=(f"C{n // 3}",) if n else ())


def build(folder: Path, embedder: HashEmbedder | SentenceEncoder, opened_as: str, seed: int = 0) -> Path:
    """A knowledge base with vectors."""

    def extra(part: Path) -> dict[str, object]:
        store = Store(part)
        names = [store.alias(store.key_rows[key]) for key in range(store.manifest.keys)]
        vectors = embedder.embed(names).astype(np.float16)
        info = dense.build(vectors, np.arange(len(names)), part, embedder=embedder, opened_as=opened_as)
        return {"encoder": info.encoder, "dense": asdict(info)}

    writer.write(concepts(seed), folder, extra=extra)  # type: ignore[arg-type]
    return folder


@pytest.fixture(scope="module")
def base(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("bases") / "base", SentenceEncoder(tiny), str(tiny))


def nobody(names: Sequence[str]) -> list[list[int]]:
    return [[] for _ in names]


@settings(deadline=None, max_examples=25)
@given(st.floats(0, 0.9), st.integers(0, 99), st.sampled_from([None, 2, 40]))
def test_what_is_held_out_can_neither_be_learnt_nor_found(
    base: Path, hold_out: float, seed: int, limit: int | None
) -> None:
    store = Store(base)
    try:
        split = synonyms.draw(store, hold_out=hold_out, limit=limit, seed=seed)
    except KnowledgeError:
        assert limit == 2 or hold_out > 0.5
        return
    searched = {store.key(key) for key in np.flatnonzero(split.searched).tolist()}
    for name, number in split.held_out:
        concept = store.concept(number)
        assert name in concept.synonyms
        assert " ".join(NAMES.key(name)) not in searched
        assert all(" ".join(NAMES.key(form)) not in searched for form in NAMES.variants(name))
        assert not any(
            tuple(sorted(NAMES.key(name))) == tuple(sorted(NAMES.key(other.names[0])))
            for other in split.groups[number]
        )
    for number, groups in split.groups.items():
        assert store.concept(number).name in groups[0].names
        assert " ".join(NAMES.key(store.concept(number).name)) in searched
    if limit is None:
        assert len(split.groups) == store.manifest.concepts
        kept = sum(len(groups) for groups in split.groups.values())
        whole = synonyms.draw(store, hold_out=0, limit=None, seed=seed)
        assert kept + len(split.held_out) == sum(len(groups) for groups in whole.groups.values())


def test_batches_are_of_their_step(base: Path) -> None:
    store = Store(base)
    split = synonyms.draw(store, hold_out=0.1, limit=None, seed=1)
    all_of_them = list(islice(synonyms.batches(store, split, nobody, size=12, seed=3), 30))
    late = list(islice(synonyms.batches(store, split, nobody, size=12, seed=3, start=25), 5))
    for one, other in zip(all_of_them[25:], late, strict=True):
        assert one.names == other.names
        np.testing.assert_array_equal(one.steps, other.steps)
    other_seed = next(synonyms.batches(store, split, nobody, size=12, seed=4))
    assert other_seed.names != all_of_them[0].names


def test_every_group_is_a_seed_once_an_epoch(base: Path) -> None:
    store = Store(base)
    split = synonyms.draw(store, hold_out=0, limit=None, seed=0)
    asked: list[str] = []

    def near(names: Sequence[str]) -> list[list[int]]:
        asked.extend(names)
        return nobody(names)

    list(islice(synonyms.batches(store, split, near, size=6, seed=0), len(split.seeds)))
    wanted = [split.groups[concept][place].names[0] for concept, place in split.seeds]
    assert sorted(asked) == sorted(wanted)


def test_batches_hold_neighbours_and_parents_and_tell_the_steps_between(base: Path) -> None:
    store = Store(base)
    split = synonyms.draw(store, hold_out=0, limit=None, seed=0)
    owners: dict[str, set[int]] = {}
    for number, groups in split.groups.items():
        for group in groups:
            for name in group.names:
                for form in (name, *NAMES.variants(name)):
                    owners.setdefault(" ".join(NAMES.key(form)), set()).add(number)

    def near(names: Sequence[str]) -> list[list[int]]:
        return [[7] for _ in names]

    for batch in islice(synonyms.batches(store, split, near, size=6, seed=0), 40):
        known = [owners[" ".join(NAMES.key(name))] for name in batch.names]
        held = set().union(*known)
        assert 7 in held
        for row, one in enumerate(known):
            for column, other in enumerate(known):
                steps = {walk(store, a, b) for a in one for b in other}
                assert batch.steps[row, column] in steps | ({0} if one & other else set())
        np.testing.assert_array_equal(batch.steps, batch.steps.T)


def walk(store: Store, one: int, other: int) -> int:
    """The steps between two concepts over common ancestors, by trying every pair of ways up."""

    def ways(number: int) -> Iterator[tuple[int, int]]:
        yield number, 0
        for parent in store.parents(number):
            if parent != number:
                yield from ((above, steps + 1) for above, steps in ways(parent))

    found = [a + b for above, a in ways(one) for also, b in ways(other) if above == also]
    return min(min(found, default=synonyms.FAR), synonyms.FAR)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 8), st.integers(0, 999), st.floats(0.1, 0.9))
def test_the_loss_is_that_of_the_paper(size: int, seed: int, base: float) -> None:
    rng = np.random.default_rng(seed)
    cosines = np.clip(rng.normal(0.5, 0.3, (size, size)), -1, 1)
    labels = rng.integers(0, 3, size)
    alike = (labels[:, None] == labels) & ~np.eye(size, dtype=bool)
    apart = labels[:, None] != labels
    found = fitting.multi_similarity(
        torch.from_numpy(cosines), torch.from_numpy(alike), torch.from_numpy(apart), base=base
    )
    assert found.item() == pytest.approx(expected(cosines, alike, apart, base), abs=1e-6)


def expected(
    cosines: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    alike: np.ndarray[tuple[int, int], np.dtype[np.bool_]],
    apart: np.ndarray[tuple[int, int], np.dtype[np.bool_]],
    base: float,
) -> float:
    """Equations 10, 11 and 15 of Wang et al. (2019), one anchor after the other."""
    losses = []
    for row, near, far in zip(cosines, alike, apart, strict=True):
        if near.any() and far.any():
            positive = [s for s in row[near] if s < max(row[far]) + 0.1]
            negative = [s for s in row[far] if s > min(row[near]) - 0.1]
            losses.append(
                math.log(1 + sum(math.exp(-2 * (s - base)) for s in positive)) / 2
                + math.log(1 + sum(math.exp(50 * (s - base)) for s in negative)) / 50
            )
    return sum(losses) / max(len(losses), 1)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 8), st.integers(0, 999))
def test_the_contrast_is_that_of_its_definition(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cosines = np.clip(rng.normal(0.5, 0.3, (size, size)), -1, 1)
    labels = rng.integers(0, 3, size)
    losses = []
    for one in range(size):
        rivals = sum(math.exp(20 * cosines[one, far]) for far in range(size) if labels[far] != labels[one])
        for other in range(size):
            if other != one and labels[other] == labels[one]:
                own = math.exp(20 * cosines[one, other])
                losses.append(-math.log(own / (own + rivals)))
    alike = (labels[:, None] == labels) & ~np.eye(size, dtype=bool)
    apart = torch.from_numpy(labels[:, None] != labels)
    found = fitting.contrastive(torch.from_numpy(cosines), torch.from_numpy(alike), apart)
    assert found.item() == pytest.approx(sum(losses) / max(len(losses), 1), rel=1e-6, abs=1e-9)


def test_a_batch_of_one_concept_teaches_nothing_and_breaks_nothing() -> None:
    vectors = torch.eye(3, requires_grad=True)
    loss = fitting.batch_loss(vectors, torch.zeros((3, 3), dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0
    assert not vectors.grad.any()


def test_kin_are_drawn_nearer_than_strangers() -> None:
    steps = torch.tensor([[0, 1, 3], [1, 0, 3], [3, 3, 0]])
    vectors = torch.nn.functional.normalize(
        torch.tensor([[1.0, 0.2, 0.1], [0.3, 1, 0.2], [0.2, 0.4, 1]]), dim=1
    )
    vectors.requires_grad_()
    fitting.batch_loss(vectors, steps).backward()
    assert vectors.grad is not None
    moved = torch.nn.functional.normalize(vectors.detach() - 0.1 * vectors.grad, dim=1)
    before, after = (v @ v.T for v in (vectors.detach(), moved))
    assert after[0, 2] - before[0, 2] < after[0, 1] - before[0, 1]


@pytest.mark.parametrize("in_index", [True, False])
def test_the_recall_is_that_of_brute_force(tmp_path: Path, in_index: bool) -> None:
    embedder = HashEmbedder(dimension=256)
    folder = build(tmp_path / "base", embedder, "hash", seed=3)
    store = Store(folder)
    split = synonyms.draw(store, hold_out=0.4, limit=None, seed=0)
    info = dense.read_info(store.manifest.extra)
    assert info is not None
    index = dense.open_index(folder, info, embedder) if in_index else None
    found = recall.measure(store, split, embedder, tmp_path / "output", index=index, progress=False)
    places = []
    keys = np.flatnonzero(split.searched).tolist()
    names = embedder.embed([store.alias(store.key_rows[key]) for key in keys])
    for name, number in split.held_out:
        cosines = names @ embedder.embed([name])[0]
        best = sorted(range(len(keys)), key=lambda i: -cosines[i])
        ranked = list(dict.fromkeys(c for i in best for c in synonyms.holders(store, keys[i])))
        places.append(ranked.index(number))
    assert found is not None
    share = 1.5 / len(places)  # names of the same vector may come in any order, and half floats round
    assert found.at1 == pytest.approx(np.mean(np.array(places) < 1), abs=share)
    assert found.at5 == pytest.approx(np.mean(np.array(places) < 5), abs=share)
    assert 0 < found.at1 <= found.at5 < 1


def test_the_loss_falls_and_the_folder_is_an_encoder(base: Path, tiny: Path, tmp_path: Path) -> None:
    output = tmp_path / "tuned"
    report = tune(
        base, output, encoder=str(tiny), options=replace(QUICK, steps=60, rate=5e-3), progress=False
    )
    assert report.loss[1] < 0.8 * report.loss[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tuned"]
    card = json.loads((output / CARD).read_text())
    assert card["report"] == json.loads(json.dumps(asdict(report)))
    assert card["options"]["steps"] == report.steps == 60
    assert list(card["encoder"]["sha256"]) == ["model.safetensors"]
    tuned, before = SentenceEncoder(output), SentenceEncoder(tiny)
    assert type(tuned._model) is type(before._model)  # computed as the one before was
    names = ["renal ataxia", "x" * 200]
    assert np.abs(tuned.embed(names) - before.embed(names)).max() > 1e-3
    again = recall.measure(
        Store(base),
        synonyms.draw(Store(base), hold_out=QUICK.hold_out, limit=None, seed=0),
        tuned,
        tmp_path / "x",
        progress=False,
    )
    assert again == report.after


def test_word_embeddings_stay_as_they_are(base: Path, tiny: Path, tmp_path: Path) -> None:
    tune(base, tmp_path / "tuned", encoder=str(tiny), options=QUICK, progress=False)
    before, after = (tensors(folder) for folder in (tiny, tmp_path / "tuned"))
    assert before.keys() <= after.keys()  # and the pooler, which has no part in the vectors
    same = {name for name in before if np.array_equal(before[name], after[name])}
    assert same == {name for name in before if "embeddings" in name}


def tensors(folder: Path) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


CHECKPOINT = ".tuned.tuning-*"


def every_step_saves(patch: pytest.MonkeyPatch) -> None:
    clock = count(0, 100)
    patch.setattr(time, "monotonic", lambda: float(next(clock)))


def test_a_killed_run_goes_on_and_ends_like_another(
    base: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def run(name: str) -> TuningReport:
        return tune(base, tmp_path / name / "tuned", encoder=str(tiny), options=QUICK, progress=True)

    whole = run("one")
    assert "tuning goes on" not in capfd.readouterr().err
    with monkeypatch.context() as patch:
        every_step_saves(patch)
        with killed_at(CHECKPOINT, 5):
            run("other")
    assert all(path.name.startswith(".tuned.tuning-") for path in (tmp_path / "other").iterdir())
    capfd.readouterr()
    resumed = run("other")
    assert "tuning goes on at step 4 of 6" in capfd.readouterr().err
    assert replace(resumed, seconds=whole.seconds) == whole
    one, other = (tensors(tmp_path / name / "tuned") for name in ("one", "other"))
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["tuned"]


def test_another_option_does_not_go_on_from_the_same_checkpoint(
    base: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        every_step_saves(patch)
        with killed_at(CHECKPOINT, 5):
            tune(base, tmp_path / "tuned", encoder=str(tiny), options=QUICK, progress=False)
    tune(base, tmp_path / "tuned", encoder=str(tiny), options=replace(QUICK, seed=1), progress=True)
    assert "tuning goes on" not in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["tuned"]


def test_a_checkpoint_that_cannot_be_read_is_refused(base: Path, tiny: Path, tmp_path: Path) -> None:
    with killed_at(CHECKPOINT, 1, after=True):
        tune(base, tmp_path / "tuned", encoder=str(tiny), options=QUICK, progress=False)
    [checkpoint] = tmp_path.iterdir()
    checkpoint.write_bytes(b"nothing")
    with pytest.raises(DiragError, match=r"cannot read the checkpoint .*; delete it to begin anew"):
        tune(base, tmp_path / "tuned", encoder=str(tiny), options=QUICK, progress=False)


def test_what_fails_late_leaves_the_former_encoder(
    base: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "tuned"
    tune(base, output, encoder=str(tiny), options=QUICK, progress=False)
    before = {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()}
    real, calls = recall.measure, count(1)

    def fails_the_second_time(*args: Any, **options: Any) -> Recall | None:
        if next(calls) == 2:
            raise RuntimeError
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(recall, "measure", fails_the_second_time)
        with pytest.raises(RuntimeError):
            tune(base, output, encoder=str(tiny), options=replace(QUICK, seed=2), progress=False)
    assert before == {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()}
    assert not list(tmp_path.glob(".tuned.part-*"))
    tune(base, output, encoder=str(tiny), options=replace(QUICK, seed=2), progress=False)
    assert (output / "model.safetensors").read_bytes() != before["model.safetensors"]


def test_nothing_held_out_gives_no_recall(base: Path, tiny: Path, tmp_path: Path) -> None:
    options = replace(QUICK, hold_out=0, epochs=0.1, steps=None, precision="bfloat16")
    report = tune(base, tmp_path / "tuned", encoder=str(tiny), options=options, progress=False)
    assert (report.before, report.after, report.held_out) == (None, None, 0)
    assert report.steps == math.ceil(0.1 * len(seeds(base)) / synonyms.seeds_in(QUICK.batch))


def seeds(base: Path) -> list[tuple[int, int]]:
    return synonyms.draw(Store(base), hold_out=0, limit=None, seed=0).seeds


def test_progress_goes_to_standard_error(
    base: Path, tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tune(base, tmp_path / "tuned", encoder=str(tiny), options=QUICK, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "tuning: 100% of 6 steps" in err
    tune(base, tmp_path / "tuned", encoder=str(tiny), options=QUICK, progress=False)
    assert capfd.readouterr() == ("", "")


def test_refusals(base: Path, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    writer.write(concepts(), tmp_path / "plain")
    writer.write([Concept("C1", "gout")], tmp_path / "single")
    with pytest.raises(UsageError, match="no tuned encoder"):
        tune(base, tmp_path / "mine", encoder=str(tiny))
    with pytest.raises(KnowledgeError, match="no vectors"):
        tune(tmp_path / "plain", tmp_path / "tuned", encoder=str(tiny))
    with pytest.raises(KnowledgeError, match="two names"):
        synonyms.draw(Store(tmp_path / "single"), hold_out=0, limit=None, seed=0)
    with pytest.raises(DiragError):
        tune(base, tmp_path / "tuned", encoder="hash")
    with pytest.raises(KnowledgeError, match="no knowledge base"):
        tune(tmp_path / "mine", tmp_path / "tuned", encoder=str(tiny))
    assert not (tmp_path / "tuned").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"epochs": 0.0},
        {"epochs": math.inf},
        {"batch": 1},
        {"rate": 0.0},
        {"rate": math.nan},
        {"seed": -1},
        {"hold_out": 1.0},
        {"names": 1},
        {"length": 2},
        {"precision": "float16"},
    ],
)
def test_options_that_cannot_be(wrong: dict[str, float | str]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(wrong))} of the tuning cannot be"):
        Options(**wrong)  # type: ignore[arg-type]
