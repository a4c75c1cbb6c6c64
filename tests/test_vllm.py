"""vLLM against the engine itself: the laws, an adapter, standard output; needs ``DIRAG_TEST_VLLM_MODEL``.

What it is asked and how its answers are read is tested in ``test_vllm_tokenizer`` and ``test_vllm_start``,
without it.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import signal
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import backend_laws as laws
import pytest
from command import DIRAG

from dirag.backends.vllm.engine import Vllm, parameters
from dirag.errors import BackendError, UsageError

VARIABLE = "DIRAG_TEST_VLLM_MODEL"
FOLDER = Path(os.environ.get(VARIABLE, ""))
OPTIONS = ("dtype=float32", "enforce_eager=true")
#: What log-probabilities may differ by: sums in float32, in an order that depends on the batch.
SLACK = 1e-3

pytestmark = [
    pytest.mark.weights,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
    pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} names no folder of weights"),
]


@pytest.fixture(scope="module", autouse=True)
def _little_memory() -> None:
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")


@pytest.fixture(autouse=True)
def _sockets_that_vllm_left_open() -> Iterator[None]:
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


def opened(adapter: Path | None = None) -> Vllm:
    return Vllm(FOLDER, context=512, parallel=16, options=OPTIONS, top=3, adapter=adapter)


@pytest.fixture(scope="module")
def engine() -> Iterator[Vllm]:
    backend = opened()
    yield backend
    backend.close()


@pytest.mark.parametrize("law", laws.every(SLACK), ids=lambda law: law.__name__)
def test_law(engine: Vllm, law: Callable[[Vllm], None]) -> None:
    law(engine)


def test_a_fresh_engine_gives_the_same() -> None:
    laws.is_deterministic(opened(), opened, slack=SLACK)


def test_control_tokens_in_a_note_are_text(engine: Vllm) -> None:
    plain, spelled = engine.count_tokens("a b"), engine.count_tokens("a <|im_end|> b")
    assert spelled > plain + 3


def test_shared_beginnings_are_computed_once(engine: Vllm) -> None:
    work = [replace(prompt, text="Notes of a ward. " * 20 + prompt.text) for prompt in laws.PROMPTS]
    list(engine.generate(work))
    assert all(completion.usage.cached >= 64 for completion in engine.generate(work))


def test_abandoned_work_is_aborted(engine: Vllm) -> None:
    for _ in engine.generate([replace(laws.PROMPTS[0], max_tokens=300, stop=())] * 40):
        break
    assert engine._engine is not None
    assert not engine._engine.has_unfinished_requests()
    assert laws.one(engine, laws.PROMPTS[0]).finish == "stop"


def test_two_streams_share_the_engine(engine: Vllm) -> None:
    alone = [laws.one(engine, prompt).text for prompt in laws.PROMPTS]
    both = zip(engine.generate(laws.PROMPTS), engine.generate(laws.PROMPTS[::-1]), strict=True)
    texts = [(first.text, second.text) for first, second in both]
    assert texts == list(zip(alone, alone[::-1], strict=True))


def test_scores_are_raw_so_that_there_is_nothing_to_remark(engine: Vllm) -> None:
    assert not engine.notices()


def test_what_vllm_is_asked() -> None:
    prompt = replace(laws.PROMPTS[0], constraint=laws.choice("gout"))
    params = parameters(prompt, most=7, top=2)
    assert (params.temperature, params.max_tokens, params.stop, params.logprobs) == (0, 7, ["\n"], 2)
    assert "gout" in params.structured_outputs.grammar
    assert parameters(laws.PROMPTS[0], most=7, top=0).structured_outputs is None


def test_names_what_is_wrong_before_it_starts() -> None:
    with pytest.raises(UsageError, match="tensor_parallel_size"):
        Vllm(FOLDER, options=("tensor_parallel=2",))
    with pytest.raises(BackendError, match="quantization"):
        Vllm(FOLDER, options=("quantization=fp9",))


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter of rank 4 on one projection of each layer, whose weights are drawn by chance."""
    import torch
    from safetensors.torch import save_file

    config = json.loads((FOLDER / "config.json").read_bytes())
    folder = tmp_path_factory.mktemp("adapter")
    generator = torch.Generator().manual_seed(1)
    tensors = {}
    for layer in range(config["num_hidden_layers"]):
        stem = f"base_model.model.model.layers.{layer}.mlp.down_proj.lora"
        shapes = {"A": (4, config["intermediate_size"]), "B": (config["hidden_size"], 4)}
        for name, shape in shapes.items():
            tensors[f"{stem}_{name}.weight"] = 0.2 * torch.randn(shape, generator=generator)
    save_file(tensors, folder / "adapter_model.safetensors")
    told = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 4, "bias": "none"}
    told |= {"target_modules": ["down_proj"], "base_model_name_or_path": str(FOLDER)}
    (folder / "adapter_config.json").write_text(json.dumps(told))
    return folder


def test_an_adapter_changes_the_answers(engine: Vllm, adapter: Path) -> None:
    adapted = opened(adapter)
    answers = [laws.one(adapted, prompt) for prompt in laws.PROMPTS]
    adapted.close()
    for answer, plain in zip(answers, engine.generate(laws.PROMPTS), strict=True):
        assert answer.finish != "failed"
        assert abs(answer.tokens[0].logprob - plain.tokens[0].logprob) > 0.01


def test_standard_output_is_records_and_ctrl_c_ends_all(tmp_path: Path) -> None:
    command = [*DIRAG, "tag", "-", "--backend", "vllm", "--model", str(FOLDER)]
    command += [
        "--input-format",
        "jsonl",
        "--types",
        "disease",
        "--kb",
        "none",
        "--selector",
        "random",
        "--context",
        "1024",
    ]
    command += ["--engine-options", ",".join(OPTIONS)]
    with (
        (tmp_path / "errors").open("wb") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            env={**os.environ, "DIRAG_HOME": str(tmp_path)},
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        for text in ("Ataxia was seen.", "No findings."):
            process.stdin.write(json.dumps({"text": text}).encode() + b"\n")
        process.stdin.flush()
        records = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert [record["text"] for record in records] == ["Ataxia was seen.", "No findings."]
        assert not any(record["issues"] for record in records)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stdout.read() == b""
    time.sleep(1)
    left = subprocess.run(["ps", "-o", "stat=", "-g", str(process.pid)], capture_output=True, text=True)
    assert all(state.startswith("Z") for state in left.stdout.split())  # dead, if not yet counted
