"""Converts a LoRA adapter of PEFT to the GGUF file that llama.cpp and ``dirag.backends.gguf_files`` read.

In the q and k of Llama models llama.cpp interleaves the two halves of each attention head; so are the rows of
what an adapter adds to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dirag.errors import BackendError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: For each kind of model llama.cpp's name, and whether it interleaves the rows of q and k.
KINDS = {
    "llama": ("llama", True),
    "mistral": ("llama", True),
    "qwen2": ("qwen2", False),
    "qwen3": ("qwen3", False),
}
_NAME = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")


def write(target: Path, tensors: Mapping[str, NDArray[np.floating]], config: Any, *, alpha: float) -> None:
    """Writes the tensors of an adapter, by their names in PEFT's file; ``config`` is that of its base model.

    Raises BackendError for a kind of model or a tensor that has no place in such a file.
    """
    from gguf import GGUFWriter

    named = _named(tensors, config)
    writer = GGUFWriter(target, KINDS[config.model_type][0])
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for name, values in sorted(tensors.items()):
        gguf_name, heads = named[name]
        writer.add_tensor(gguf_name, interleaved(values, heads) if heads else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read(
    path: Path, shapes: Mapping[str, Sequence[int]], config: Any, *, alpha: float
) -> dict[str, NDArray[np.float32]]:
    """Returns the tensors of a file that :func:`write` has written, by their names in PEFT's file.

    Raises BackendError unless it is an adapter with just the tensors of these ``shapes`` and this ``alpha``.
    """
    from dirag.backends import gguf_files

    file_alpha, parts = gguf_files.adapter(path)
    named = _named(shapes, config)
    wanted = {named[name][0]: tuple(shape) for name, shape in shapes.items()}
    if {name: part.shape for name, part in parts.items()} != wanted or file_alpha != alpha:
        raise BackendError(
            f"the adapter {path} has other layers, another rank or another alpha than is asked for",
            hint="give the model, --rank, --alpha and --targets that it was trained with",
        )
    return {
        name: halved(parts[gguf_name], heads) if heads else parts[gguf_name]
        for name, (gguf_name, heads) in named.items()
    }


def _named(names: Iterable[str], config: Any) -> dict[str, tuple[str, int]]:
    """Maps PEFT's names to llama.cpp's, each with the number of heads whose halves it interleaves, or 0."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    if config.model_type not in KINDS:
        raise BackendError(
            f"an adapter of a {config.model_type} model cannot be written as GGUF",
            hint=f"these can: {', '.join(KINDS)}",
        )
    architecture, interleaves = KINDS[config.model_type]
    arch = next(arch for arch, name in MODEL_ARCH_NAMES.items() if name == architecture)
    tensor_names = get_tensor_name_map(arch, config.num_hidden_layers)
    named = {}
    for name in names:
        match = _NAME.fullmatch(name)
        gguf_name = tensor_names.get_name(match[1]) if match else None
        if not match or gguf_name is None:
            raise BackendError(
                f"the adapter's tensor {name} has no name in a GGUF file",
                hint="leave its layer out of --targets",
            )
        # Only B: its rows are those of the layer's output, which the heads share out; A has none of them.
        heads = 0
        if interleaves and match[2] == "B" and gguf_name.endswith(("attn_q", "attn_k")):
            heads = config.num_attention_heads if gguf_name.endswith("q") else config.num_key_value_heads
        named[name] = f"{gguf_name}.weight.lora_{match[2].lower()}", heads
    return named


def interleaved(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """Takes the two halves of each head's rows in turn: 0, n, 1, n + 1, … of 2n."""
    parts = rows.reshape(heads, 2, len(rows) // heads // 2, -1)
    return parts.swapaxes(1, 2).reshape(rows.shape)


def halved(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """Inverts :func:`interleaved`."""
    parts = rows.reshape(heads, len(rows) // heads // 2, 2, -1)
    return parts.swapaxes(1, 2).reshape(rows.shape)
