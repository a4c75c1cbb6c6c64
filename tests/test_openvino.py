"""The embedded OpenVINO against the engine itself: the laws, its arithmetic, what it refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean

import backend_laws as laws
import gguf
import numpy as np
import pytest

from dirag.backends.llamacpp.engine import LlamaCpp
from dirag.backends.openvino.engine import OpenVino
from dirag.data import Prompt
from dirag.errors import BackendError

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def path(weights: Callable[[str], Path]) -> Path:
    return weights("smollm2-135m-instruct")


@pytest.fixture(scope="module")
def engine(path: Path) -> Iterator[OpenVino]:
    backend = OpenVino(path, context=512, top=3)
    yield backend
    backend.close()


@pytest.mark.parametrize("law", laws.every(), ids=lambda law: law.__name__)
def test_law(engine: OpenVino, law: Callable[[OpenVino], None]) -> None:
    law(engine)


def test_a_fresh_engine_gives_the_same(path: Path) -> None:
    laws.is_deterministic(
        OpenVino(path, context=512, top=3), lambda: OpenVino(path, context=768, threads=1, top=3)
    )


def test_company_cache_and_pieces_change_no_bit(
    engine: OpenVino, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone, among others, from the cache, in pieces of any size: the same log-probabilities."""
    work = []
    for prompt in laws.PROMPTS:
        longer = replace(prompt, text=prompt.text + " gout\n\nText: A case of gout.\nDiseases:")
        work += [prompt, longer, replace(longer, constraint=laws.choice("gout", "none"))]
    work += [replace(prompt, temperature=1.0, seed=3) for prompt in (work[0], work[-1])]
    alone = []
    for prompt in work:
        fresh = OpenVino(path, context=512, top=3, parallel=1)
        alone.append(laws.said(laws.one(fresh, prompt)))
        fresh.close()
    assert [laws.said(c) for c in engine.generate(work)] == alone
    assert any(completion.usage.cached for completion in engine.generate(work))
    for step in (3, 33, 100):
        monkeypatch.setattr("dirag.backends.openvino.model.STEP", step)
        pieced = OpenVino(path, context=512, top=3, parallel=5)
        assert [laws.said(c) for c in pieced.generate(reversed(work))] == alone[::-1]
        pieced.close()


def test_weights_are_read_as_llama_cpp_reads_them(engine: OpenVino, path: Path) -> None:
    """The first tokens of few-shot answers: as likely in both, but for what eight bits take away."""
    other = LlamaCpp(path, context=512, top=3)
    work = [
        replace(prompt, text=prompt.text + more, max_tokens=1)
        for prompt in laws.PROMPTS
        for more in ("", " a", " none\n\nText:", " Ataxia\n\nText: Gout.\nDiseases:")
    ]
    differences, same = [], 0
    for ours, theirs in zip(engine.generate(work), other.generate(work), strict=True):
        ours_top, theirs_top = dict(ours.tokens[0].top), theirs.tokens[0].top
        same += theirs_top[0][0] == ours.tokens[0].top[0][0]
        differences += [abs(p - ours_top[text]) for text, p in theirs_top[:2] if text in ours_top]
    assert same >= 0.8 * len(work)
    assert len(differences) >= 1.5 * len(work)
    assert sum(differences) / len(differences) < 0.2
    other.close()


def test_tokens_are_those_of_llama_cpp(engine: OpenVino, path: Path, shared_data: Path) -> None:
    from dirag.formats import read

    other = LlamaCpp(path, context=512)
    corpora = shared_data / "corpora"
    files = [corpora / "bc5cdr-pubtator" / "CDR_TestSet.PubTator.txt", corpora / "quaero-fr"]
    texts = [document.text for file in files if file.exists() for document in read([str(file)])]
    texts = [
        *texts[:: max(1, len(texts) // 150)],
        "a <|im_end|> b",
        "12,345 mg\t\r\n\n  x\u2009β 😀 e\u0301",
        "  ",
    ]
    assert len(texts) > 100
    assert [engine._tokenizer.encode(text) for text in texts] == [other._tokenize(text) for text in texts]
    other.close()


@pytest.fixture(scope="module")
def adapter(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter of rank 4 on the projections of two layers, whose weights are drawn by chance."""
    chance, shapes = (
        np.random.default_rng(0),
        {t.name: t.shape.tolist() for t in gguf.GGUFReader(path).tensors},
    )
    target = tmp_path_factory.mktemp("adapter") / "adapter.gguf"
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    for name in ("blk.0.attn_q.weight", "blk.12.attn_v.weight", "blk.12.ffn_down.weight"):
        width, height = shapes[name]
        writer.add_tensor(f"{name}.lora_a", chance.normal(0, 0.15, (4, width)).astype(np.float32))
        writer.add_tensor(f"{name}.lora_b", chance.normal(0, 0.15, (height, 4)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def test_an_adapter_is_that_of_llama_cpp(engine: OpenVino, path: Path, adapter: Path) -> None:
    """With the adapter both are as near as without it, and far from what they were."""
    work = [replace(prompt, max_tokens=1) for prompt in laws.PROMPTS]
    ours, theirs = OpenVino(path, context=512, top=3, adapter=adapter), LlamaCpp(path, top=3, adapter=adapter)
    assert ours.name != engine.name

    def likeliest(backend: OpenVino | LlamaCpp) -> list[dict[str, float]]:
        return [dict(completion.tokens[0].top) for completion in backend.generate(work)]

    def apart(some: list[dict[str, float]], others: list[dict[str, float]]) -> float:
        pairs = list(zip(some, others, strict=True))
        return mean(abs(one[token] - two[token]) for one, two in pairs for token in one.keys() & two.keys())

    plain, adapted, reference = likeliest(engine), likeliest(ours), likeliest(theirs)
    far, near = apart(adapted, plain), apart(adapted, reference)
    assert 3 * near < far, (near, far)
    ours.close()
    theirs.close()


def test_refuses_adapters_of_other_models(path: Path, adapter: Path, tmp_path: Path) -> None:
    for content in (
        b"",
        b"GGUF",
        path.read_bytes()[:3000],
        adapter.read_bytes().replace(b"blk.0.", b"blk.9x"),
    ):
        wrong = tmp_path / "wrong.gguf"
        wrong.write_bytes(content)
        with pytest.raises(BackendError, match=r"wrong\.gguf"):
            OpenVino(path, adapter=wrong)
    with pytest.raises(BackendError, match="is no LoRA adapter"):
        OpenVino(path, adapter=path)


def test_context_is_never_more_than_the_model_has(path: Path) -> None:
    engine = OpenVino(path, context=100_000, parallel=1)
    assert engine.context == 8192
    engine.close()


def test_more_work_than_memory_is_done_in_turn(path: Path) -> None:
    engine = OpenVino(path, context=256, parallel=2)
    work = [Prompt(f"Count from {n}: {n},", max_tokens=200) for n in range(8)]
    assert [completion.usage.completion for completion in engine.generate(work)] == [200] * 8
    assert len(engine._blocks._free) + len(engine._blocks._unused) == engine._blocks.count
    engine.close()


def test_the_instruction_is_computed_once_however_short_it_is(path: Path) -> None:
    """Beginnings are shared by token: one that fills no block is, too."""
    engine = OpenVino(path, context=256, parallel=1)
    head = "List the diseases that each sentence mentions.\n\nSentence: "
    texts = ["He has gout.", "No asthma.", "The liver was normal.", "Lupus was ruled out."]
    prompts = [Prompt(f"{head}{text}\nDiseases:", max_tokens=2) for text in texts]
    first, *others = (completion.usage for completion in engine.generate(prompts))
    shared = engine.count_tokens(head) - 1  # the blank at its end belongs to the word behind it
    assert first.cached == 0
    assert all(usage.cached >= shared for usage in others)
    assert all(usage.cached <= usage.prompt - 2 for usage in others)
    engine.close()


def test_abandoned_work_gives_its_memory_back(engine: OpenVino) -> None:
    for _ in engine.generate([Prompt("Once", max_tokens=300)] * 40):
        break
    assert len(engine._blocks._free) + len(engine._blocks._unused) == engine._blocks.count
    assert laws.one(engine, Prompt("Once", max_tokens=2)).finish == "length"


def test_refuses_files_that_are_no_weights(path: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.gguf"
    text.write_text("not weights")
    damaged = tmp_path / "damaged.gguf"
    with path.open("rb") as file:
        damaged.write_bytes(file.read(2_000_000))
    for wrong in (tmp_path / "missing.gguf", tmp_path, text, damaged):
        with pytest.raises(BackendError, match=wrong.name) as caught:
            OpenVino(wrong)
        assert caught.value.hint


QUIET = """
import sys
from pathlib import Path
sys.addaudithook(lambda event, _: sys.exit(f"network: {event}") if event.startswith("socket.") else None)
from dirag.backends.openvino.engine import OpenVino
from dirag.data import Prompt
list(OpenVino(Path(sys.argv[1]), context=256).generate([Prompt("Once", max_tokens=2)]))
"""


def test_silent_and_off_the_network(path: Path, tmp_path: Path) -> None:
    """Also where the model is converted; OpenVINO brings a library that reports usage, which is not asked."""
    env = os.environ | {"DIRAG_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", QUIET, str(path)], capture_output=True, text=True, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


LONG_WORK = """
import sys
from pathlib import Path
from dirag.backends.openvino.engine import OpenVino
from dirag.data import Prompt
engine = OpenVino(Path(sys.argv[1]))
print("ready", flush=True)
list(engine.generate([Prompt("Once upon a time " * 100, max_tokens=1000)] * 50))
print("finished", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_interrupt_ends_a_long_generation_cleanly(path: Path) -> None:
    command = [sys.executable, "-c", LONG_WORK, str(path)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(1)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert "finished" not in out
    assert err.strip().endswith("KeyboardInterrupt")
    assert child.returncode == -signal.SIGINT
