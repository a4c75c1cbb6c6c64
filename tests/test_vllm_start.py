"""How vLLM is started, without vLLM: options by name, folders, adapters, standard output, what is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dirag.assembly import engines
from dirag.backends.vllm import start
from dirag.config import Config
from dirag.data import Json
from dirag.errors import ArtifactError, BackendError, UsageError

KNOWN = ("model", "tensor_parallel_size", "quantization", "enforce_eager", "gpu_memory_utilization", "_own")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def test_options_are_read_as_what_they_are() -> None:
    written = (
        "tensor_parallel_size=2",
        "--quantization = fp8",
        "enforce-eager=True",
        "gpu-memory-utilization=0.9",
    )
    assert start.read_options(written, KNOWN) == {
        "tensor_parallel_size": 2,
        "quantization": "fp8",
        "enforce_eager": True,
        "gpu_memory_utilization": 0.9,
    }


@pytest.mark.parametrize(
    "option, told",
    [
        ("tensor_parallel=2", "did you mean 'tensor_parallel_size'"),
        ("enforce_eager", "has no value"),
        ("_own=1", "no engine option"),
        ("nonsense=1", "vllm.EngineArgs"),
        ("model=other", "--model"),
        ("max-model-len=1", "--context"),
        ("logprobs_mode=processed_logprobs", "raw"),
    ],
)
def test_options_that_are_refused(option: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        start.read_options([option], KNOWN)


def test_what_the_user_gives_wins(folder: Path) -> None:
    given: dict[str, Json] = {"enable_prefix_caching": False, "dtype": "float16"}
    values = start.arguments(folder, adapter=None, top=30, given=given)
    assert values["model"] == str(folder)
    assert values["enable_prefix_caching"] is False
    assert values["logprobs_mode"] == "raw_logprobs"
    assert values["max_logprobs"] == 30
    assert values["dtype"] == "float16"
    assert "enable_lora" not in values


@pytest.mark.parametrize("rank, room", [(4, 8), (16, 16), (17, 32), (600, 600)])
def test_an_adapter_has_room_for_its_rank(folder: Path, rank: int, room: int) -> None:
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank}))
    values = start.arguments(folder, adapter=folder, top=0, given={})
    assert (values["enable_lora"], values["max_lora_rank"]) == (True, room)


@pytest.mark.parametrize("content", [None, "{}", "no json", '{"r": "x"}', "[]"])
def test_what_is_no_adapter(folder: Path, content: str | None) -> None:
    if content is not None:
        (folder / "adapter_config.json").write_text(content)
    with pytest.raises(BackendError, match="adapter") as caught:
        start.arguments(folder, adapter=folder, top=0, given={})
    assert caught.value.hint


def test_a_model_is_a_folder_on_this_machine(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.touch()
    for wrong in (tmp_path / "missing", tmp_path, file):
        with pytest.raises(BackendError, match=r"config\.json"):
            start.start(wrong, context=512, adapter=None, options=(), top=0)


def test_where_vllm_is_missing_the_error_says_how_to_install_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*start.HABITS, "VLLM_NO_USAGE_STATS", "DO_NOT_TRACK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(BackendError, match="cannot be imported") as caught:
        start.start(folder, context=512, adapter=None, options=(), top=0)
    assert "pip install 'dirag[vllm]'" in caught.value.hint
    assert os.environ["VLLM_NO_USAGE_STATS"] == os.environ["DO_NOT_TRACK"] == "1"


def test_standard_output_stays_clean_also_of_other_processes() -> None:
    script = (
        "import os, subprocess, sys\n"
        "from dirag.backends.vllm.start import _records_kept_apart\n"
        "print('first')\n"
        "with _records_kept_apart():\n"
        "    print('printed'); os.write(1, b'written'); subprocess.run(['echo', 'of another'])\n"
        "    later = subprocess.Popen(['sh', '-c', 'read x; echo later'], stdin=subprocess.PIPE)\n"
        "print('last', flush=True); later.communicate(b'go')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["first", "last"]
    for noise in ("printed", "written", "of another", "later"):
        assert noise in done.stderr


def test_the_environment_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONWARNINGS", raising=False)
    for before in (None, "error"):
        if before is not None:
            monkeypatch.setenv("PYTHONWARNINGS", before)
        with start._records_kept_apart():
            assert os.environ["PYTHONWARNINGS"] == "ignore"
        assert os.environ.get("PYTHONWARNINGS") == before


def test_the_command_names_what_is_wrong() -> None:
    with pytest.raises(UsageError, match="needs --model"):
        engines.backend(Config(backend="vllm"))
    with pytest.raises(ArtifactError, match="no file or folder"):
        engines.backend(Config(backend="vllm", model="HuggingFaceTB/SmolLM2-135M"))
    with pytest.raises(UsageError, match="openai takes no --adapter"):
        engines.backend(Config(backend="openai", adapter="somewhere"))
