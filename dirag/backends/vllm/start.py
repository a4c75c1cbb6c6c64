"""How vLLM is started: the options that users may set by name, the adapter, and silence on standard output.

It reports nothing to anybody and fetches nothing. What it writes while it starts goes to standard error,
since standard output carries records.
"""

from __future__ import annotations

import difflib
import json
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dirag.data import Json
from dirag.errors import BackendError, UsageError

if TYPE_CHECKING:
    from vllm import LLMEngine
    from vllm.lora.request import LoRARequest

#: How vLLM runs, unless the user wants it otherwise. Its second model runner masks in another place.
HABITS = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_USE_V2_MODEL_RUNNER": "0",
}
#: Options of vLLM that have a flag of their own here, or that must be as they are.
OWN = {
    "model": "--model names it",
    "max_model_len": "--context sets it",
    "enable_lora": "--adapter sets it",
    "logprobs_mode": "scores need the raw log-probabilities",
    "worker_extension_cls": "scores need the raw log-probabilities",
    "skip_tokenizer_init": "prompts need the tokenizer",
}
LONGEST = 300  # characters of a reason
#: The ranks that vLLM knows; an adapter runs with the first that holds its own.
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)


def read_options(options: Sequence[str], known: Sequence[str]) -> dict[str, Json]:
    """Reads ``name=value`` pairs, the value a JSON one or a word; raises UsageError for an unknown name."""
    read: dict[str, Json] = {}
    for option in options:
        name, equals, value = option.partition("=")
        name = name.strip().removeprefix("--").replace("-", "_")
        if not equals:
            raise UsageError(f"engine option {option!r} has no value", hint="write it as dtype=bfloat16")
        if name in OWN:
            raise UsageError(f"engine option {name!r} cannot be set", hint=OWN[name])
        if name not in known or name.startswith("_"):
            near = difflib.get_close_matches(name, known, n=1)
            guess = f"did you mean {near[0]!r}? " if near else ""
            raise UsageError(
                f"vLLM has no engine option {name!r}", hint=f"{guess}the names are those of vllm.EngineArgs"
            )
        read[name] = _value(value.strip())
    return read


def start(folder: Path, *, context: int, adapter: Path | None, options: Sequence[str], top: int) -> LLMEngine:
    """Starts the engine and loads its weights."""
    check_folder(folder, "config.json", "weights")
    os.environ |= {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    for name, value in HABITS.items():
        os.environ.setdefault(name, value)
    with _records_kept_apart():
        try:
            from vllm import EngineArgs, LLMEngine
            from vllm.usage.usage_lib import UsageContext
        except ImportError as error:
            raise BackendError(
                f"vLLM cannot be imported: {error}", hint="install it with: pip install 'dirag[vllm]'"
            ) from error
        given = read_options(options, [field.name for field in fields(EngineArgs)])
        values = arguments(folder, adapter=adapter, top=top, given=given)
        try:
            args = EngineArgs(**values)
            # vLLM refuses a longer context than the model was trained for; others here take what there is.
            args.max_model_len = min(context, args.create_model_config().max_model_len)
            engine = LLMEngine.from_engine_args(args, usage_context=UsageContext.LLM_CLASS)
            engine.collective_rpc("keep_raw_probabilities")
            return engine
        except Exception as error:
            # Nothing but vLLM's own code stands in this block, and it raises whatever its libraries do.
            raise BackendError(
                f"vLLM cannot run {folder}: {_line(error)}",
                hint="what it wrote above says more; a script that opens it keeps its own work behind "
                '`if __name__ == "__main__":`',
            ) from error


def arguments(folder: Path, *, adapter: Path | None, top: int, given: Mapping[str, Json]) -> dict[str, Any]:
    """Returns the values for ``vllm.EngineArgs``: ours, the adapter's, and those of the user."""
    values: dict[str, Any] = {
        "model": str(folder),
        "enable_prefix_caching": True,
        "logprobs_mode": "raw_logprobs",
        "max_logprobs": max(20, top),
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        "structured_outputs_config": {"backend": "xgrammar"},
        "worker_extension_cls": "dirag.backends.vllm.worker.RawProbabilities",
    }
    if adapter is not None:
        values |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": _rank(adapter)}
    return values | dict(given)


def lora(adapter: Path) -> LoRARequest:
    """Returns what goes with each request so that it is answered with the adapter."""
    from vllm.lora.request import LoRARequest

    return LoRARequest(adapter.name, 1, str(adapter.resolve()))


def _rank(adapter: Path) -> int:
    """Returns the first rank that vLLM knows and that has room for the adapter's own."""
    check_folder(adapter, "adapter_config.json", "adapter")
    try:
        rank = int(json.loads((adapter / "adapter_config.json").read_bytes())["r"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackendError(
            f"{adapter / 'adapter_config.json'} has no LoRA rank", hint="give the folder that PEFT saved"
        ) from error
    return next((known for known in RANKS if known >= rank), rank)


def check_folder(folder: Path, file: str, what: str) -> None:
    """Refuses what is no folder with this file in it."""
    if not (folder / file).is_file():
        raise BackendError(
            f"the {what} {folder} is no folder with a {file}",
            hint="give a folder in the format of Hugging Face; vLLM reads no GGUF here and downloads nothing",
        )


@contextmanager
def _records_kept_apart() -> Iterator[None]:
    """Makes standard output standard error for a while, also in the processes that begin meanwhile."""
    sys.stdout.flush()
    output, filters = os.dup(1), os.environ.get("PYTHONWARNINGS")
    os.dup2(2, 1)
    try:
        with warnings.catch_warnings():
            # Of deprecated things in its libraries, and of memory that its processes leave to others to free.
            warnings.simplefilter("ignore")
            os.environ["PYTHONWARNINGS"] = "ignore"
            yield
    finally:
        if filters is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = filters
        sys.stdout.flush()
        os.dup2(output, 1)
        os.close(output)


def _value(text: str) -> Json:
    try:
        value: Json = json.loads(text.lower() if text in ("True", "False", "None") else text)
    except ValueError:
        return text
    return value


def _line(error: Exception) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
