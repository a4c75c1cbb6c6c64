"""Loads what is trained: a causal LM from a folder or a GGUF file, its tokenizer, and a LoRA adapter on it.

Tokens are those of inference, or the adapter would learn what no engine asks for: a GGUF file is read by the
OpenVINO engine's tokenizer, a folder by vLLM's. What looks like a control token is text.
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
from dirag.files.libraries import loading
from dirag.training.adapter.training_examples import TokenRow, TrainingExample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor
    from torch.nn import Parameter


@dataclass(frozen=True, slots=True)
class TrainingTokenizer:
    """Turns text into tokens: ``prompt`` with what begins every prompt, ``answer`` without it."""

    prompt: Callable[[str], list[int]]
    answer: Callable[[str], list[int]]

    def row(self, example: TrainingExample) -> TokenRow:
        """Encodes prompt and answer apart: no engine's answer begins inside a token of the prompt."""
        return TokenRow(self.prompt(example.prompt), self.answer(example.answer))


def require_libraries() -> None:
    """Raises UsageError if the extra ``train`` is not installed."""
    try:
        import accelerate  # noqa: F401
        import peft  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"training needs {error.name}, which is not installed", hint="pip install 'dirag[train]'"
        ) from error


def open_tokenizer(path: Path) -> TrainingTokenizer:
    """Opens the tokenizer of a base model."""
    if path.is_dir():
        return _tokenizer_of_folder(path)
    gguf_files.check(path, "weights")
    with tempfile.TemporaryDirectory() as folder:
        gguf_tokenizer.convert(gguf_files.open(path), path, Path(folder))
        tokenizer = gguf_tokenizer.load(Path(folder))
    return TrainingTokenizer(
        tokenizer.encode, lambda text: tokenizer.tokenizer.encode(text, add_special_tokens=False).ids
    )


def _tokenizer_of_folder(path: Path) -> TrainingTokenizer:
    from transformers import AutoTokenizer

    with _loading(path):
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)

    def answer(text: str) -> list[int]:
        tokens: list[int] = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return tokens

    return TrainingTokenizer(VllmTokenizer(tokenizer).encode, answer)


def load(path: Path, *, precision: str, device: str) -> Any:
    """Loads the causal LM of a folder or of a GGUF file, which is dequantised."""
    import torch
    from transformers import AutoModelForCausalLM

    dtype = getattr(torch, precision)
    with _loading(path):
        if path.is_dir():
            model = AutoModelForCausalLM.from_pretrained(path, local_files_only=True, dtype=dtype)
        else:
            with redirect_stderr(StringIO()):  # it draws a progress bar
                dequantised = AutoModelForCausalLM.from_pretrained(
                    path.parent, gguf_file=path.name, dtype=dtype
                )
            # It still calls itself quantised, which it is not: a new model takes its weights.
            dequantised.config.quantization_config = None
            model = AutoModelForCausalLM.from_config(dequantised.config, dtype=dtype)
            model.load_state_dict(dequantised.state_dict())
    if device == "cpu":  # the backward pass of the fused kernel is slower there
        model.set_attn_implementation("eager")
    return model.to(device)


def _loading(path: Path) -> AbstractContextManager[None]:
    message = f"{path} could not be loaded as a causal language model"
    return loading(
        message, hint="give a complete folder of transformers, or a GGUF file of a Llama or Qwen model"
    )


class AdaptedModel:
    """A model with a LoRA adapter, whose weights are one float32 ``vector`` beside those that compute.

    AdamW moves the vector, as bfloat16 would round small steps away, and ``write_back`` copies it. There is
    no dropout, so that the weights depend on the training examples only.
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
            with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of PEFT
                self.model = get_peft_model(model, self.config, autocast_adapter_dtype=False)
        except ValueError as error:
            raise UsageError(
                f"the model has no layer {', '.join(targets)} to adapt: {error}",
                hint="leave out --targets to adapt all linear layers",
            ) from error
        self._parameters = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        self.vector = torch.nn.Parameter(
            torch.cat([p.detach().flatten().float() for p in self._parameters.values()])
        )

    def loss(self, rows: Sequence[TokenRow]) -> Tensor:
        """Returns the mean cross-entropy of the answers' tokens, whose logits alone are computed."""
        import torch

        tokens, positions, answers = padded(rows)
        device = self.vector.device
        causal = self.model.get_base_model()
        hidden = causal.get_decoder()(
            input_ids=torch.tensor(tokens, device=device), use_cache=False
        ).last_hidden_state
        before_answers = hidden.flatten(0, 1).index_select(0, torch.tensor(positions, device=device))
        logits = causal.get_output_embeddings()(before_answers).float()
        return torch.nn.functional.cross_entropy(logits, torch.tensor(answers, device=device))

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Returns the vector, under its name."""
        return {"vector": self.vector}

    def backward(self, rows: Sequence[TokenRow]) -> float:
        """Returns the loss, and moves its gradients from the weights that compute to the vector."""
        import torch

        loss = self.loss(rows)
        loss.backward()
        parts = [p.grad.flatten().float() for p in self._parameters.values()]
        self.vector.grad = torch.cat(parts)
        for parameter in self._parameters.values():
            parameter.grad = None
        return float(loss.item())

    def write_back(self) -> None:
        """Copies the vector to the weights that compute."""
        import torch

        with torch.no_grad():
            for parameter, part in zip(self._parameters.values(), self._parts(), strict=True):
                parameter.copy_(part)

    def fill(self, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        """Takes the weights of another adapter, by their names in PEFT's files."""
        import torch

        parts = [torch.from_numpy(tensors[name]).flatten() for name in self.tensors()]
        with torch.no_grad():
            self.vector.copy_(torch.cat(parts))
        self.write_back()

    def tensors(self) -> dict[str, Tensor]:
        """Returns the adapter's weights by their names in PEFT's files, float16 on the CPU."""
        import torch

        names = (name.replace(".default.", ".") for name in self._parameters)
        parts = (part.detach().to("cpu", torch.float16).contiguous() for part in self._parts())
        return dict(zip(names, parts, strict=True))

    def _parts(self) -> list[Tensor]:
        sizes = [p.numel() for p in self._parameters.values()]
        shapes = [p.shape for p in self._parameters.values()]
        return [part.view(shape) for part, shape in zip(self.vector.split(sizes), shapes, strict=True)]


def padded(rows: Sequence[TokenRow]) -> tuple[list[list[int]], list[int], list[int]]:
    """Returns rows of one length, the positions, row after row, before the answers' tokens, and these tokens.

    Padding stands at the end, where a causal model never sees it.
    """
    longest = max(map(len, rows))
    tokens: list[list[int]] = []
    positions: list[int] = []
    answers: list[int] = []
    for number, row in enumerate(rows):
        tokens.append([*row.prompt, *row.answer][:-1] + [0] * (longest - len(row)))
        first = number * longest + len(row.prompt) - 1
        positions += range(first, first + len(row.answer))
        answers += row.answer
    return tokens, positions, answers
