"""A LoRA adapter of PEFT as the GGUF file that llama.cpp reads, and ``dirag.backends.gguf_files`` with it.

llama.cpp turns the two halves of each attention head of Llama models into pairs that stand side by side, and
so the rows of what an adapter adds to q and k.
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

#: Kinds of model: llama.cpp's name of each, and whether the rows of q and k have another order there.
KINDS = {
    "llama": ("llama", True),
    "mistral": ("llama", True),
    "qwen2": ("qwen2", False),
    "qwen3": ("qwen3", False),
}
_NAME = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")


def write(target: Path, tensors: Mapping[str, NDArray[np.floating]], config: Any, *, alpha: float) -> None:
    """Write the tensors of an adapter, by their names in PEFT's file; ``config`` is that of its base model.

    Raises BackendError for a kind of model or a tensor that has no place in such a file.
    """
    from gguf import GGUFWriter

    named = _named(tensors, config)
    writer = GGUFWriter(target, KINDS[config.model_type][0])
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for name, values in sorted(tensors.items()):
        ours, heads = named[name]
        writer.add_tensor(ours, interleaved(values, heads) if heads else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def read(
    path: Path, shapes: Mapping[str, Sequence[int]], config: Any, *, alpha: float
) -> dict[str, NDArray[np.float32]]:
    """The tensors of a file that :func:`write` has written, by their names in PEFT's file.

    Raises BackendError where it is no adapter with just the tensors of these ``shapes`` and this ``alpha``.
    """
    from dirag.backends import gguf_files

    told, parts = gguf_files.adapter(path)
    named = _named(shapes, config)
    wanted = {named[name][0]: tuple(shape) for name, shape in shapes.items()}
    if {ours: part.shape for ours, part in parts.items()} != wanted or told != alpha:
        raise BackendError(
            f"the adapter {path} has other layers, another rank or another alpha than is asked for",
            hint="give the model, --rank, --alpha and --targets that it was trained with",
        )
    return {
        name: halved(parts[ours], heads) if heads else parts[ours] for name, (ours, heads) in named.items()
    }


def _named(names: Iterable[str], config: Any) -> dict[str, tuple[str, int]]:
    """PEFT's name -> llama.cpp's, and the number of heads whose halves it interleaves, or 0."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    if config.model_type not in KINDS:
        raise BackendError(
            f"an adapter of a {config.model_type} model cannot be written as GGUF",
            hint=f"these can: {', '.join(KINDS)}",
        )
    architecture, turned = KINDS[config.model_type]
    arch = next(arch for arch, name in MODEL_ARCH_NAMES.items() if name == architecture)
    known = get_tensor_name_map(arch, config.num_hidden_layers)
    named = {}
    for name in names:
        found = _NAME.fullmatch(name)
        ours = known.get_name(found[1]) if found else None
        if not found or ours is None:
            raise BackendError(f"the adapter's tensor {name} has no name in a GGUF file")
        heads = 0
        if turned and found[2] == "B" and ours.endswith(("attn_q", "attn_k")):
            heads = config.num_attention_heads if ours.endswith("q") else config.num_key_value_heads
        named[name] = f"{ours}.weight.lora_{found[2].lower()}", heads
    return named


def interleaved(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """The rows of each head with its two halves in turn: 0, n, 1, n + 1, … of 2n."""
    parts = rows.reshape(heads, 2, len(rows) // heads // 2, -1)
    return parts.swapaxes(1, 2).reshape(rows.shape)


def halved(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """What :func:`interleaved` has interleaved, as it was."""
    parts = rows.reshape(heads, len(rows) // heads // 2, 2, -1)
    return parts.swapaxes(1, 2).reshape(rows.shape)
