"""GGUF files: opened, and rewritten so that OpenVINO reads the weights as they are, an adapter's added.

OpenVINO GenAI rounds the least value of each block of a Q4_1 file to a multiple of its step, and the answers
suffer: of the likeliest next tokens of 16 prompts 7 became others. It reads 8 bits and float16 faithfully.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dirag.errors import BackendError

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGMLQuantizationType, GGUFReader
    from numpy.typing import NDArray

MAGIC = b"GGUF"
_FAITHFUL = ("F32", "F16", "BF16", "Q8_0")
_ROW = 32  # weights in a block of 8 bits
_LORA = {"general.type": "adapter", "adapter.type": "lora"}
_EMBEDDING = "token_embd.weight"  # of which adapters hold the transposed


def check(path: Path, what: str) -> None:
    """Raises BackendError where the file, ``what`` it is to be, is missing or of another format."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise BackendError(
            f"cannot read the {what} {path}: {error.strerror}",
            hint="give the path of a GGUF file, or a name of `dirag models list`",
        ) from error
    if magic != MAGIC:
        raise BackendError(
            f"the file {path} ({what}) is not in GGUF format: it begins with {magic!r}",
            hint="fetch the file again, or convert it with llama.cpp's convert_hf_to_gguf.py",
        )


def open(path: Path) -> GGUFReader:
    """Opens the metadata and tensors of a file; raises BackendError where it is damaged."""
    from gguf import GGUFReader

    try:
        return GGUFReader(path)
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise BackendError(
            f"the weights {path} cannot be read: {error}",
            hint="fetch the file again; `dirag models verify` checks the known ones",
        ) from error


def rewrite(reader: GGUFReader, target: Path, deltas: Mapping[str, NDArray[np.float32]] = {}) -> None:
    """Writes the same model with weights of 8 bits, or of 16 where rows are no blocks, in place of fewer.

    ``deltas`` are added to the tensors of these names.
    """
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize, quantize

    tensors: list[tuple[str, NDArray[Any], GGMLQuantizationType]] = []
    for tensor in reader.tensors:
        kind, faithful = tensor.tensor_type, tensor.tensor_type.name in _FAITHFUL
        if faithful and tensor.name not in deltas:
            tensors.append((tensor.name, tensor.data, kind))
            continue
        values = dequantize(tensor.data, kind)
        if tensor.name in deltas:
            values = values + deltas[tensor.name]
        fewer = GGMLQuantizationType.F16 if values.shape[-1] % _ROW else GGMLQuantizationType.Q8_0
        wanted = kind if faithful else fewer
        tensors.append((tensor.name, quantize(values, wanted), wanted))
    write(reader, target, tensors)


def write(
    reader: GGUFReader, target: Path, tensors: Iterable[tuple[str, NDArray[Any], GGMLQuantizationType]]
) -> None:
    """Writes a file of the same metadata with these tensors: name, data and type."""
    from gguf import GGUFValueType, GGUFWriter

    writer = GGUFWriter(target, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        # The reader's fields "GGUF.…" are of the file's head, which the writer makes, like the architecture.
        if not name.startswith("GGUF.") and name != "general.architecture":
            part = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], part)
    for name, data, kind in tensors:
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def adapter(path: Path) -> tuple[float, dict[str, NDArray[np.float32]]]:
    """Reads the alpha of a LoRA adapter, 0 where the file has none, and its tensors.

    Raises BackendError where the file is no such adapter.
    """
    from gguf.quants import dequantize

    check(path, "adapter")
    reader = open(path)
    metadata = {name: reader.fields[name].contents() if name in reader.fields else None for name in _LORA}
    if metadata != _LORA:
        raise BackendError(f"{path} is no LoRA adapter", hint="make it with convert_lora_to_gguf.py")
    alpha = reader.fields["adapter.lora.alpha"].contents() if "adapter.lora.alpha" in reader.fields else 0.0
    return alpha, {tensor.name: dequantize(tensor.data, tensor.tensor_type) for tensor in reader.tensors}


def lora(path: Path, model: GGUFReader) -> dict[str, NDArray[np.float32]]:
    """Returns what an adapter adds to a model's tensors: products of its pairs, scaled (arXiv 2106.09685).

    Raises BackendError where the file is no LoRA adapter, or one of another model.
    """
    alpha, parts = adapter(path)
    shapes = {tensor.name: tuple(reversed(tensor.shape.tolist())) for tensor in model.tensors}
    deltas: dict[str, NDArray[np.float32]] = {}
    for name in dict.fromkeys(part.rpartition(".")[0] for part in parts):
        down, up = parts.get(f"{name}.lora_a"), parts.get(f"{name}.lora_b")
        shape = shapes.get(name) if name != _EMBEDDING else None
        if down is None or up is None or len(down) != up.shape[-1] or (len(up), down.shape[-1]) != shape:
            raise BackendError(
                f"the adapter {path} does not fit the model at the tensor {name!r}",
                hint="give the model it was trained for; only --backend llamacpp adapts embeddings",
            )
        # As llama.cpp scales: by alpha / rank, or not at all where the adapter has no alpha.
        deltas[name] = (alpha / len(down) if alpha else 1.0) * (up @ down)
    return deltas
