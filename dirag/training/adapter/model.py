"""What is trained: a causal LM from a folder or a GGUF file, its tokens, and a LoRA adapter on it.

Tokens are those of inference: a GGUF file's by our own reading of it, a folder's by its own tokenizer. What
is spelled like a control token is text.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dirag.backends import gguf_files, gguf_tokenizer
from dirag.backends.vllm.tokenizer import VllmTokenizer
from dirag.errors import UsageError
from dirag.files.paths import loading
from dirag.training.adapter.batches import TokenRow
from dirag.training.adapter.training_examples import TrainingExample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

_PREFIX = "base_model.model."


@dataclass(frozen=True, slots=True)
class TrainingTokenizer:
    """Text to tokens: ``prompt`` with what begins every prompt, ``text`` without it."""

    prompt: Callable[[str], list[int]]
    text: Callable[[str], list[int]]

    def row(self, lesson: TrainingExample) -> TokenRow:
        """Prompt and answer are spelled apart, as the answer's tokens come behind those of the prompt."""
        return TokenRow(self.prompt(lesson.prompt), self.text(lesson.answer))


def needed() -> None:
    """Raises UsageError where the extra ``train`` is not installed."""
    try:
        import accelerate  # noqa: F401
        import peft  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"training needs {error.name}, which is not installed", hint="pip install 'dirag[train]'"
        ) from error


def spelling(path: Path) -> TrainingTokenizer:
    """The tokenizer of a base model."""
    if path.is_dir():
        return _spelling_of_folder(path)
    gguf_files.check(path, "weights")
    with tempfile.TemporaryDirectory() as folder:
        gguf_tokenizer.convert(gguf_files.open(path), path, Path(folder))
        read = gguf_tokenizer.load(Path(folder))
    return TrainingTokenizer(
        read.encode, lambda text: read.tokenizer.encode(text, add_special_tokens=False).ids
    )


def _spelling_of_folder(path: Path) -> TrainingTokenizer:
    from transformers import AutoTokenizer

    with _loading(path):
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)

    def text(text: str) -> list[int]:
        tokens: list[int] = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return tokens

    return TrainingTokenizer(VllmTokenizer(tokenizer).encode, text)


def load(path: Path, *, precision: str, device: str) -> Any:
    """The causal LM of a folder or a GGUF file, which is dequantised."""
    import torch
    from transformers import AutoModelForCausalLM

    dtype = getattr(torch, precision)
    with _loading(path):
        if path.is_dir():
            model = AutoModelForCausalLM.from_pretrained(path, local_files_only=True, dtype=dtype)
        else:
            with redirect_stderr(StringIO()):  # it draws a progress bar
                read = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=dtype)
            # What was read calls itself quantised, which it is no more: another one takes its weights.
            read.config.quantization_config = None
            model = AutoModelForCausalLM.from_config(read.config, dtype=dtype)
            model.load_state_dict(read.state_dict())
    if device == "cpu":  # faster than the fused kernel, whose backward pass is slow here
        model.set_attn_implementation("eager")
    return model.to(device)


def _loading(path: Path) -> AbstractContextManager[None]:
    failed = f"{path} could not be loaded as a causal language model"
    return loading(
        failed, hint="give a complete folder of transformers, or a GGUF file of a Llama or Qwen model"
    )


class AdaptedModel:
    """A model with a LoRA adapter, whose weights are one float32 vector beside those that compute.

    Dropout is none, so that the weights depend on the lessons only.
    """

    def __init__(self, model: Any, *, rank: int, alpha: float, targets: Sequence[str], seed: int) -> None:
        import torch
        from peft import LoraConfig, get_peft_model

        self.config = LoraConfig(
            r=rank,
            lora_alpha=alpha,
            target_modules=list(targets) if targets else "all-linear",
            task_type="CAUSAL_LM",
        )
        self.base_config = model.config
        torch.manual_seed(seed)
        try:
            with warnings.catch_warnings(action="ignore", category=FutureWarning):  # between its libraries
                self.model = get_peft_model(model, self.config, autocast_adapter_dtype=False)
        except ValueError as error:
            raise UsageError(f"no adapter on {', '.join(targets)}: {error}") from error
        self.trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self.vector = torch.nn.Parameter(
            torch.cat([p.detach().flatten().float() for p in self.trained.values()])
        )

    def loss(self, rows: Sequence[TokenRow]) -> Tensor:
        """The mean cross-entropy of the answers' tokens, whose logits alone are computed."""
        import torch

        tokens, places, answers = padded(rows)
        device = self.vector.device
        causal = self.model.get_base_model()
        hidden = causal.get_decoder()(
            input_ids=torch.tensor(tokens, device=device), use_cache=False
        ).last_hidden_state
        chosen = hidden.flatten(0, 1).index_select(0, torch.tensor(places, device=device))
        logits = causal.get_output_embeddings()(chosen).float()
        return torch.nn.functional.cross_entropy(logits, torch.tensor(answers, device=device))

    def collect_gradients(self) -> None:
        """Moves the gradients of the weights that compute to the vector."""
        import torch

        parts = [p.grad.flatten().float() for p in self.trained.values()]
        self.vector.grad = torch.cat(parts)
        for parameter in self.trained.values():
            parameter.grad = None

    def write_back(self) -> None:
        """Gives the weights that compute the values of the vector."""
        import torch

        with torch.no_grad():
            for parameter, part in zip(self.trained.values(), self._parts(), strict=True):
                parameter.copy_(part)

    def fill(self, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        """Takes the weights of another adapter, by their names in PEFT's files."""
        import torch

        filled = [torch.from_numpy(tensors[name]).flatten() for name in self.tensors()]
        with torch.no_grad():
            self.vector.copy_(torch.cat(filled))
        self.write_back()

    def tensors(self) -> dict[str, Tensor]:
        """The adapter's weights by their names in PEFT's files, float16 on the CPU."""
        import torch

        names = (name.replace(".default.", ".") for name in self.trained)
        parts = (part.detach().to("cpu", torch.float16).contiguous() for part in self._parts())
        return dict(zip(names, parts, strict=True))

    def _parts(self) -> list[Tensor]:
        sizes = [p.numel() for p in self.trained.values()]
        shapes = [p.shape for p in self.trained.values()]
        return [part.view(shape) for part, shape in zip(self.vector.split(sizes), shapes, strict=True)]


def padded(rows: Sequence[TokenRow]) -> tuple[list[list[int]], list[int], list[int]]:
    """Rows of one length; the places, row after row, behind which an answer's token comes; these tokens.

    Padding stands at the end, where a causal model never sees it.
    """
    longest = max(map(len, rows))
    tokens: list[list[int]] = []
    places: list[int] = []
    answers: list[int] = []
    for number, row in enumerate(rows):
        whole = [*row.prompt, *row.answer]
        tokens.append(whole[:-1] + [0] * (longest - len(row)))
        first = number * longest + len(row.prompt) - 1
        places += range(first, first + len(row.answer))
        answers += row.answer
    return tokens, places, answers
