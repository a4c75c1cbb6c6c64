"""GGUF files: opened, and rewritten so that OpenVINO reads the weights as they are.

OpenVINO GenAI rounds the least value of each block of a Q4_1 file to a multiple of its step, and the answers
suffer: of the likeliest next tokens of 16 prompts 7 became others. It reads 8 bits and float16 faithfully.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dirag.errors import BackendError

if TYPE_CHECKING:
    from gguf import GGUFReader

MAGIC = b"GGUF"
_FAITHFUL = ("F32", "F16", "BF16", "Q8_0")
_ROW = 32  # weights in a block of 8 bits


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
            f"the {what} {path} are no GGUF file: they begin with {magic!r}",
            hint="fetch the file again, or convert it with llama.cpp's convert_hf_to_gguf.py",
        )


def open(path: Path) -> GGUFReader:
    """The metadata and tensors of a file; raises BackendError where it is damaged."""
    from gguf import GGUFReader

    try:
        return GGUFReader(path)
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise BackendError(
            f"the weights {path} cannot be read: {error}",
            hint="fetch the file again; `dirag models verify` checks the known ones",
        ) from error


def rewrite(reader: GGUFReader, target: Path) -> None:
    """Write the same model with weights of 8 bits, or of 16 where rows are no blocks, in place of fewer."""
    from gguf import GGMLQuantizationType, GGUFValueType, GGUFWriter
    from gguf.quants import dequantize, quantize

    writer = GGUFWriter(target, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            part = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], part)
    for tensor in reader.tensors:
        kind = tensor.tensor_type
        if kind.name in _FAITHFUL:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=kind)
            continue
        values = dequantize(tensor.data, kind)
        wanted = GGMLQuantizationType.F16 if values.shape[-1] % _ROW else GGMLQuantizationType.Q8_0
        writer.add_tensor(tensor.name, quantize(values, wanted), raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
