"""Adapters: the same from one seed, whole after every kill, the same in each form and to each engine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from command import DIRAG
from hypothesis import given, settings
from hypothesis import strategies as st
from killing import killed_at

from dirag.assembly import engines
from dirag.backends import gguf_files
from dirag.backends.llamacpp.engine import LlamaCpp
from dirag.backends.openvino.engine import OpenVino
from dirag.cli import cli
from dirag.config import Config, adapter_of, configured
from dirag.data import Prompt
from dirag.errors import BackendError, DiragError, UsageError
from dirag.training.adapter import adapter as training
from dirag.training.adapter import conversion, model
from dirag.training.adapter.settings import AdapterSettings
from dirag.training.adapter.spec import TrainingSpec
from dirag.training.adapter.training_examples import TokenRow, TrainingExample
from dirag.training.batches import Position
from dirag.training.corpora import Corpus, held_out
from dirag.training.trainer import Progress, Trainer, Validation

peft = pytest.importorskip("peft", reason="the extra dirag[train] is not installed")
import tiny_llama  # noqa: E402 - it needs torch
import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

TEXTS = [
    ("He had gout and asthma.", {"gout": "disease", "asthma": "disease"}),
    ("No sign of it was in the lung.", {}),
    ("Aspirin caused an ulcer in a rat.", {"Aspirin": "chemical", "ulcer": "disease"}),
    (
        "Those with lupus took quinine, and then more of it again.",
        {"lupus": "disease", "quinine": "chemical"},
    ),
]
SMALL = AdapterSettings(epochs=3.0, batch=400, rank=4, alpha=8.0, validate=2, every=1.0)
CONFIG = Config(kb="none", selector="random", shots=2, backend="llamacpp", context=1024, threads=1)


def record(number: int, text: str, names: Mapping[str, str]) -> str:
    entities = [
        {"start": text.index(name), "end": text.index(name) + len(name), "type": kind, "text": name}
        for name, kind in names.items()
    ]
    return json.dumps({"id": str(number), "text": text, "entities": entities}) + "\n"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder and the GGUF file of a small model."""
    return tiny_llama.write(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with a development split, whose first sentence is one that is trained on."""
    folder = tmp_path_factory.mktemp("corpus")
    lines = [record(number, *each) for number, each in enumerate(TEXTS)]
    (folder / "train.jsonl").write_text("".join(lines), "utf-8")
    held = [lines[0], record(9, "Her migraine went with caffeine.", {"migraine": "disease"})]
    (folder / "devel.jsonl").write_text("".join(held), "utf-8")
    return folder


def spec(
    corpus: Path, tiny: tuple[Path, Path], made: AdapterSettings = SMALL, **options: Any
) -> TrainingSpec:
    config = replace(CONFIG, model=str(tiny[1]), **options)
    return TrainingSpec(corpora=[str(corpus)], config=config, settings=made, command="dirag train adapter …")


def trained(corpus: Path, tiny: tuple[Path, Path], output: Path, **options: Any) -> Progress | None:
    return training.train(spec(corpus, tiny), output, **options)


@pytest.fixture(scope="module")
def reference(corpus: Path, tiny: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The adapter of a course that nothing disturbed."""
    output = tmp_path_factory.mktemp("reference") / "adapter"
    trained(corpus, tiny, output)
    return output


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "README.md"}


def test_one_seed_gives_one_adapter(
    corpus: Path, tiny: tuple[Path, Path], reference: Path, tmp_path: Path
) -> None:
    trained(corpus, tiny, tmp_path / "again")
    assert content(tmp_path / "again") == content(reference)
    training.train(spec(corpus, tiny, seed=1), tmp_path / "other")
    assert content(tmp_path / "other")["adapter.gguf"] != content(reference)["adapter.gguf"]


#: The file at whose rename a run is killed, and at which of them: those of validations come before the first
#: one in the folder itself.
KILLS = [
    (".checkpoint.safetensors", 1),
    (".checkpoint.safetensors", 2),
    (".checkpoint.safetensors", 5),
    ("adapter_config.json", 1),
    ("adapter.gguf", 1),
    ("adapter_model.safetensors", 2),
    ("settings.toml", 2),
    ("README.md", 1),
    ("README.md", 2),
]


@pytest.mark.parametrize("name, number", KILLS)
@pytest.mark.parametrize("after", [False, True])
def test_killed_anywhere_it_goes_on_to_the_same_adapter(
    corpus: Path,
    tiny: tuple[Path, Path],
    reference: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    number: int,
    after: bool,
) -> None:
    """Killed before or after some file is in its place; every other step has a checkpoint."""
    clock = count(0, 15)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    output = tmp_path / "adapter"
    with killed_at(name, number, after=after):
        trained(corpus, tiny, output)
    (output / ".trial-dead").mkdir()  # what a validation leaves where no exception cleans up
    trained(corpus, tiny, output, resume=True)
    assert content(output) == content(reference)


def test_a_process_that_is_killed_goes_on(
    corpus: Path, tiny: tuple[Path, Path], reference: Path, tmp_path: Path
) -> None:
    output = tmp_path / "adapter"
    command = [*DIRAG, "train", "adapter", "--dataset", str(corpus), "-o", str(output)]
    command += ["--model", str(tiny[1]), "--kb", "none", "--selector", "random", "--shots", "2", "--resume"]
    command += [
        "--backend",
        "llamacpp",
        "--context",
        "1024",
        "--threads",
        "1",
        "--epochs",
        "3",
        "--batch",
        "400",
    ]
    command += ["--rank", "4", "--alpha", "8", "--validate", "2", "--every", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        while not (output / ".checkpoint.safetensors").exists() and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert content(output) == content(reference)
    assert "goes on after" in done.stderr or "is done already" in done.stderr
    assert not any(text in done.stderr + done.stdout for text, _ in TEXTS)


def test_other_settings_are_refused(
    corpus: Path, tiny: tuple[Path, Path], reference: Path, tmp_path: Path
) -> None:
    output = tmp_path / "adapter"
    with killed_at("adapter.gguf", 1):
        trained(corpus, tiny, output)
    for changed, told in (
        (spec(corpus, tiny, replace(SMALL, rate=5e-4)), r"made with --rate '0\.001', not '0\.0005'"),
        (spec(corpus, tiny, shots=1), "made with --shots '2', not '1'"),
        (spec(corpus, tiny, threads=2), "made with --threads '1', not '2'"),
    ):
        with pytest.raises(UsageError, match=told):
            training.train(changed, output, resume=True)
    torch.set_num_threads(1)
    with pytest.raises(UsageError, match="--resume goes on with it"):
        trained(corpus, tiny, output)
    with pytest.raises(UsageError, match="is not empty; name a new folder"):
        trained(corpus, tiny, reference)
    assert trained(corpus, tiny, reference, resume=True) is None
    (output / ".checkpoint.safetensors").write_bytes(b"nothing")
    with pytest.raises(DiragError, match=r"cannot read the checkpoint .*name another folder"):
        trained(corpus, tiny, output, resume=True)


def test_the_card_tells_what_made_it_and_no_text(reference: Path, corpus: Path) -> None:
    card = (reference / "README.md").read_text("utf-8")
    told = [f'"{name}"' for name in ("rate", "epochs", "rank", "shots", "model")]
    told += ["dirag train adapter …", "| train | 4 | 1 | chemical 2, disease 4 | unknown |", "best", "sha256"]
    assert [each for each in told if each not in card] == []
    assert not any(text in card for text, _ in TEXTS)
    assert not any(name in card for _, names in TEXTS for name in names)


def test_what_is_trained_on_is_not_validated_on(corpus: Path, tmp_path: Path) -> None:
    made = Corpus.load(str(corpus), CONFIG)
    [held] = held_out([made], limit=10)
    assert [sentence.id for sentence in held.sentences] == ["9"]
    told: list[str] = []
    only = tmp_path / "only"
    only.mkdir()
    shutil.copy(corpus / "train.jsonl", only)
    for path in (corpus / "train.jsonl", only):
        without = Corpus.load(str(path), CONFIG)
        assert list(held_out([without], limit=10, notify=told.append)) == []
    assert [line.partition(" is not validated on: ")[2] for line in told] == [
        "it has no splits",
        f"the folder {str(only)!r} has no split 'devel', only train",
    ]


@pytest.fixture
def adapted(tiny: tuple[Path, Path]) -> model.AdaptedModel:
    """The small model with an adapter whose weights are drawn by chance."""
    loaded = model.load(tiny[1], precision="float32", device="cpu")
    made = model.AdaptedModel(loaded, rank=4, alpha=8.0, targets=(), seed=0)
    with torch.no_grad():
        made.vector.copy_(0.15 * torch.randn(made.vector.shape, generator=torch.Generator().manual_seed(1)))
        made.vector.copy_(made.vector.half())
    made.write_back()
    return made


def test_the_loss_is_that_of_transformers(adapted: model.AdaptedModel) -> None:
    rows = [TokenRow([5, 6, 7], [8, 9]), TokenRow([1], [2, 3, 4, 5]), TokenRow([250] * 9, [11])]
    total = 0.0
    for row in rows:
        tokens = torch.tensor([[*row.prompt, *row.answer]])
        labels = torch.tensor([[-100] * len(row.prompt) + [*row.answer]])
        total += adapted.model(input_ids=tokens, labels=labels).loss.item() * len(row.answer)
    assert adapted.loss(rows).item() == pytest.approx(total / 7, rel=1e-5)


def test_only_the_adapter_learns(adapted: model.AdaptedModel) -> None:
    frozen = {n: p.clone() for n, p in adapted.model.named_parameters() if not p.requires_grad}
    progress = Trainer(adapted, SMALL, total=10, checkpoint=Path("none"), provenance={})
    rows, before = [TokenRow([5, 6, 7], [8, 9])], adapted.loss([TokenRow([5, 6, 7], [8, 9])]).item()
    for seen in range(1, 9):
        progress.step(rows, replace(progress.progress.position, seen=seen))
    assert adapted.loss(rows).item() < before
    assert all(torch.equal(p, frozen[n]) for n, p in adapted.model.named_parameters() if n in frozen)


def written(adapted: model.AdaptedModel, folder: Path) -> Path:
    path = folder / "adapter.gguf"
    tensors = {name: tensor.numpy() for name, tensor in adapted.tensors().items()}
    conversion.write(path, tensors, adapted.base_config, alpha=adapted.config.lora_alpha)
    return path


def test_the_gguf_file_adds_what_peft_merges(
    adapted: model.AdaptedModel, tiny: tuple[Path, Path], tmp_path: Path
) -> None:
    path = written(adapted, tmp_path)
    found = gguf_files.lora(path, gguf_files.open(tiny[1]))
    plain = AutoModelForCausalLM.from_pretrained(tiny[0], dtype=torch.float32).state_dict()
    merged = adapted.model.merge_and_unload().state_dict()
    theirs = tiny_llama.gguf_tensors({name: merged[name] - plain[name] for name in plain})
    changed = {name: values for name, values in theirs.items() if np.abs(values).max() > 0}
    assert changed.keys() == found.keys()
    assert len(changed) == 7 * tiny_llama.LAYERS
    for name, values in changed.items():
        np.testing.assert_allclose(found[name], values, atol=2e-6)


@given(st.integers(1, 4), st.integers(1, 4))
def test_rows_are_interleaved_head_by_head(heads: int, half: int) -> None:
    rows = np.arange(heads * half * 2)[:, None]
    turned = conversion.interleaved(rows, heads)
    np.testing.assert_array_equal(turned, tiny_llama.permuted(rows, heads))
    np.testing.assert_array_equal(conversion.halved(turned, heads), rows)


def test_training_begins_with_another_adapter(
    corpus: Path, tiny: tuple[Path, Path], reference: Path, tmp_path: Path
) -> None:
    """With its weights, to the last bit; one that does not fit is refused."""
    still = replace(SMALL, rate=1e-30, epochs=1.0)
    began = replace(spec(corpus, tiny, still), start=str(reference))
    training.train(began, tmp_path / "again")
    first, again = (
        load_file(folder / "adapter_model.safetensors") for folder in (reference, tmp_path / "again")
    )
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert str(reference) in (tmp_path / "again" / "README.md").read_text("utf-8")
    for other in (replace(still, rank=2), replace(still, alpha=3.0), replace(still, targets=("q_proj",))):
        with pytest.raises(BackendError, match="other layers, another rank or another alpha"):
            training.train(replace(began, settings=other), tmp_path / "other")
    with pytest.raises(DiragError, match="nowhere"):
        training.train(replace(began, start="nowhere"), tmp_path / "other")


def test_refuses_what_has_no_place_in_a_file(adapted: model.AdaptedModel, tmp_path: Path) -> None:
    values = np.zeros((4, 4), np.float16)
    name = "base_model.model.model.layers.0.self_attn.z_proj.lora_A.weight"
    with pytest.raises(BackendError, match="z_proj"):
        conversion.write(tmp_path / "a.gguf", {name: values}, adapted.base_config, alpha=1.0)
    adapted.base_config.model_type = "mamba"
    with pytest.raises(BackendError, match="mamba model cannot be written as GGUF; these can: llama"):
        conversion.write(tmp_path / "a.gguf", {}, adapted.base_config, alpha=1.0)


PROMPTS = [
    "List the diseases.\n\nSentence: He had gout and asthma.\nDiseases:",
    "Sentence: in a rat\nEntities:",
]


def log_probabilities(causal: torch.nn.Module, tokens: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        logits = causal(input_ids=torch.tensor([tokens])).logits[0, -1]
    return torch.log_softmax(logits.double(), -1)


@pytest.mark.parametrize("engine", [LlamaCpp, OpenVino])
def test_engines_and_transformers_say_the_same_with_it(
    adapted: model.AdaptedModel,
    tiny: tuple[Path, Path],
    tmp_path: Path,
    engine: Callable[..., LlamaCpp | OpenVino],
) -> None:
    agree(adapted, tiny[1], written(adapted, tmp_path), engine)


def agree(
    adapted: model.AdaptedModel, path: Path, adapter: Path, engine: Callable[..., LlamaCpp | OpenVino]
) -> None:
    """An engine computes with rounded numbers; the adapter moves what it says by far more than that."""
    tokenizer = model.open_tokenizer(path)
    with closing(engine(path, context=512, adapter=adapter, top=5, threads=1)) as backend:
        told = [c.tokens[0].top for c in backend.generate([Prompt(p, max_tokens=1) for p in PROMPTS])]
    for prompt, top in zip(PROMPTS, told, strict=True):
        tokens = tokenizer.prompt(prompt)
        ours = log_probabilities(adapted.model, tokens)
        with adapted.model.disable_adapter():
            moved = (log_probabilities(adapted.model, tokens) - ours).abs().max().item()
        apart = max(abs(p - q) for (_, p), q in zip(top, ours.topk(5).values.tolist(), strict=True))
        assert 20 * apart < moved, (apart, moved)


def test_a_folder_is_an_adapter_for_every_engine(
    reference: Path, tiny: tuple[Path, Path], tmp_path: Path
) -> None:
    for name, path in (("openvino", reference / "adapter.gguf"), ("vllm", reference)):
        config = Config(backend=name, model=str(tiny[1]), adapter=str(reference))
        assert adapter_of(engines.with_paths(config)) == path
    with (
        pytest.raises(BackendError, match=r"cannot read the adapter .*adapter\.gguf"),
        closing(engines.backend(Config(backend="llamacpp", model=str(tiny[1]), adapter=str(tmp_path)))),
    ):
        pass


def test_its_settings_stand_where_nothing_is_said(reference: Path, tmp_path: Path) -> None:
    def told(*options: str) -> dict[str, Any]:
        command = [*DIRAG, "config", *options]
        run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
        return tomllib.loads(run.stdout)

    adapter = ("--adapter", str(reference))
    changed = {"adapter": str(reference), "shots": 0}
    bare = ("--adapter", "none")
    assert told(*adapter) == told(*bare) | changed
    assert told(*adapter, "--shots", "3") == told(*bare, "--shots", "3") | {"adapter": str(reference)}
    (tmp_path / "dirag.toml").write_text("shots = 5\n", "utf-8")
    assert told(*adapter)["shots"] == 5


@pytest.mark.parametrize(
    ("line", "message"),
    [("shots = true", "option 'shots' is True"), ("backend = 'vllm'", "unknown setting")],
)
def test_settings_that_cannot_be_used_are_refused(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(line, "utf-8")
    with pytest.raises(UsageError, match=message):
        configured({"adapter": str(tmp_path)}, explicitly_set=())


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
def test_peft_reads_the_folder(adapted: model.AdaptedModel, tiny: tuple[Path, Path], reference: Path) -> None:
    base = AutoModelForCausalLM.from_pretrained(tiny[0], dtype=torch.float32)
    loaded = peft.PeftModel.from_pretrained(base, reference)
    saved = load_file(reference / "adapter_model.safetensors")
    with torch.no_grad():
        adapted.vector.copy_(torch.cat([saved[name].flatten().float() for name in adapted.tensors()]))
    adapted.write_back()
    ours, theirs = (log_probabilities(m, [5, 6, 7]) for m in (adapted.model, loaded))
    assert (ours - theirs).abs().max().item() < 1e-4


@pytest.mark.parametrize("which", [0, 1])
def test_tokens_are_those_of_the_engine(tiny: tuple[Path, Path], which: int) -> None:
    tokenizer = model.open_tokenizer(tiny[which])
    prompt, answer = PROMPTS[0], " gout; asthma <|endoftext|>\n"
    row = tokenizer.row(TrainingExample(prompt, answer))
    with closing(LlamaCpp(tiny[1], context=512)) as engine:
        assert list(row.prompt) == engine._tokenize(prompt)
        assert list(row.answer) == engine._tokenize(answer)


@pytest.mark.weights
def test_engines_and_transformers_say_the_same_of_real_weights(
    weights: Callable[[str], Path], tmp_path: Path
) -> None:
    """Of the first blocks of the default model, dequantised, so that it is the conversion that is seen."""
    path = tmp_path / "cut.gguf"
    tiny_llama.cut(weights("smollm2-135m-instruct"), path, blocks=4)
    loaded = model.load(path, precision="float32", device="cpu")
    adapted = model.AdaptedModel(loaded, rank=16, alpha=32.0, targets=(), seed=0)
    with torch.no_grad():
        adapted.vector.copy_(0.02 * torch.randn(adapted.vector.shape).half())
    adapted.write_back()
    agree(adapted, path, written(adapted, tmp_path), LlamaCpp)


class FakeModel:
    """A vector whose gradient is always the same."""

    def __init__(self) -> None:
        self.vector = torch.nn.Parameter(torch.zeros(2))

    @property
    def parameters(self) -> Mapping[str, torch.nn.Parameter]:
        return {"vector": self.vector}

    def backward(self, rows: Sequence[TokenRow]) -> float:
        loss = self.vector.sum()
        loss.backward()
        return float(loss.item())

    def write_back(self) -> None:
        """There is nothing but the vector."""


def run(adapted: FakeModel, folder: Path, figures: Iterator[float]) -> tuple[Progress, int]:
    """A course of 40 lessons whose validations find these figures; how often an adapter was kept."""
    made, kept = replace(SMALL, epochs=10.0, every=1.0, patience=2), []
    running = Trainer(adapted, made, total=40, checkpoint=folder / "checkpoint", provenance={})

    def batches(start: object) -> Iterator[tuple[list[TokenRow], Position]]:
        for seen in range(1, 41):
            yield [TokenRow([5, 6], [7])], Position(0, seen, seen)

    running.run(batches, lambda _: {"made": next(figures)}, lambda: kept.append(1))
    return running.progress, len(kept)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75]), min_size=10, max_size=10))
def test_it_ends_when_nothing_better_comes(
    tmp_path_factory: pytest.TempPathFactory, figures: list[float]
) -> None:
    records = [n for n, value in enumerate(figures) if value > max([-1.0, *figures[:n]])]
    ends = next((n for n in range(10) if n - max(r for r in records if r <= n) == 2), 9)
    adapted = FakeModel()
    progress, kept = run(adapted, tmp_path_factory.mktemp("run"), iter(figures))
    assert [v.f1["made"] for v in progress.validations] == figures[: ends + 1]
    assert progress.position.seen == 4 * (ends + 1)
    assert kept == len([n for n in records if n <= ends])


def test_the_best_validation_is_the_first_of_the_best() -> None:
    figures = [{"a": 0.1, "b": 0.3}, {"a": 0.2, "b": 0.4}, {"a": 0.5, "b": 0.1}]
    progress = Progress(validations=[Validation(n, 0.5, f1) for n, f1 in enumerate(figures)])
    assert progress.best == progress.validations[1]
    assert progress.best.mean == pytest.approx(0.3)
    assert progress.without_gain == 1


def test_progress_survives_its_checkpoint(tmp_path: Path) -> None:
    def trainer(model: FakeModel) -> Trainer[TokenRow]:
        return Trainer(model, SMALL, total=9, checkpoint=tmp_path / "saved", provenance={})

    models = FakeModel(), FakeModel()
    saved, restored = map(trainer, models)
    saved.step([TokenRow([5, 6], [7, 8])], Position(1, 2, 3))
    saved.progress.validations.append(Validation(3, 0.5, {"a": 0.1, "b": 0.3}))
    saved.save()
    restored.restore()
    assert restored.progress == saved.progress
    assert torch.equal(models[1].vector, models[0].vector)


def test_wrong_use_is_told(corpus: Path, tiny: tuple[Path, Path], tmp_path: Path) -> None:
    made = spec(corpus, tiny)
    for wrong, told in (
        (spec(corpus, tiny, backend="openai"), "--backend openai takes no adapter; these do"),
        (
            spec(corpus, tiny, replace(SMALL, targets=("z_proj",))),
            r"the model has no layer z_proj to adapt: .*; leave out --targets",
        ),
        (replace(made, base=str(corpus)), "could not be loaded as a causal language model"),
        (replace(made, base=str(corpus / "train.jsonl")), "is not in GGUF format"),
    ):
        with pytest.raises(DiragError, match=told):
            training.train(wrong, tmp_path / "adapter")


def test_without_the_extra_its_name_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    result = CliRunner().invoke(cli, ["train", "adapter", "--dataset", "x", "-o", str(tmp_path / "a")])
    assert "training needs peft, which is not installed; pip install 'dirag[train]'" in str(result.exception)
