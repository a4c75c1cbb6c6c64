"""A language model compiled by OpenVINO over a paged cache: tokens of several prompts in, logits out.

In: a GGUF file (Llama, Qwen 2 and 3, and whatever else OpenVINO GenAI reads), converted once into the user's
cache. Refused: a file that is missing, damaged or of another kind.

A token's logits depend on the tokens before it, to the last bit, and not on what else is computed in the
same call: seen with float32 and bfloat16, and held to by a test. Four things would change them, and are
avoided: a prompt's token that is computed alone, a call with one token in all, a call whose logits are wanted
for one token, and, without AVX-512, a call of many tokens.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dirag.backends import gguf_files, gguf_tokenizer
from dirag.errors import BackendError
from dirag.files import atomic, fingerprint, libraries, paths

if TYPE_CHECKING:
    import numpy as np
    import openvino
    from numpy.typing import NDArray

#: Tokens computed in one call; a call takes a fraction of a second, and then Ctrl-C is heard.
STEP = 512
# Without AVX-512 oneDNN adds up a row's float32 products at once where all rows fit in one block, else in
# parts, which rounds otherwise: on AVX2 the bits were the same from 2 to 80 rows, and others from 81 on. Its
# blocks have at least 64 rows, unless a layer's width is no multiple of 32.
_AVX2_STEP = 64
_LAYOUT = 2  # of a converted folder
_MODEL = "openvino_model.xml"


@dataclass(frozen=True, slots=True)
class PromptPiece:
    """Tokens of one prompt, behind ``past`` others in the same blocks; the logits of the last are wanted or
    not.
    """

    tokens: Sequence[int]
    past: int
    blocks: Sequence[int]
    wanted: bool


class OpenVinoModel:
    """The compiled model with room for so many tokens, in ``blocks`` of ``block_size`` tokens each.

    A call may have ``step`` tokens.
    """

    def __init__(self, folder: Path, *, threads: int | None, tokens: int) -> None:
        openvino = libraries.import_openvino()
        core = openvino.Core()
        settings = {
            # Where the processor has VNNI, weights are multiplied by activations of eight bits, as in
            # llama.cpp; all else is float32.
            "INFERENCE_PRECISION_HINT": "f32",
            "KV_CACHE_PRECISION": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_NUM_THREADS": threads or libraries.cores(),
        }
        compiled = core.compile_model(_paged(core, folder), "CPU", settings)
        self._request = compiled.create_infer_request()
        capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        has_avx512 = "WINOGRAD" in capabilities  # which OpenVINO's CPU plugin ties to AVX-512 alone
        self.step = STEP if has_avx512 else min(STEP, _AVX2_STEP)
        self.block_size = self.blocks = 0
        self._caches: list[Any] = []
        for port in compiled.inputs:
            if "_cache." in (name := port.get_any_name()):
                heads, self.block_size, width = (size.get_length() for size in list(port.partial_shape)[1:])
                self.blocks = -(-tokens // self.block_size)
                # one block more, for the token that keeps a single one company
                shape = openvino.Shape([self.blocks + 1, heads, self.block_size, width])
                self._caches.append(openvino.Tensor(port.get_element_type(), shape))
                self._request.set_tensor(name, self._caches[-1])

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copies what is computed of the first tokens of a block to another one."""
        for cache in self._caches:
            cache.data[target, :, :tokens] = cache.data[source, :, :tokens]

    def infer(self, pieces: Sequence[PromptPiece]) -> NDArray[np.float32]:
        """Returns the logits behind each wanted piece, float32 of shape (wanted, vocabulary)."""
        import numpy as np

        pieces = list(pieces)
        if sum(len(piece.tokens) for piece in pieces) == 1:
            pieces.append(PromptPiece((0,), 0, (self.blocks,), wanted=False))
        ends = np.cumsum([len(piece.tokens) for piece in pieces])
        wanted = [int(end) - 1 for end, piece in zip(ends, pieces, strict=True) if piece.wanted]
        numbers = {
            "input_ids": [token for piece in pieces for token in piece.tokens],
            "position_ids": [piece.past + place for piece in pieces for place in range(len(piece.tokens))],
            "wanted": wanted if len(wanted) > 1 else [*wanted, 0],
            "past_lens": [piece.past for piece in pieces],
            "subsequence_begins": [0, *ends.tolist()],
            "block_indices": [block for piece in pieces for block in piece.blocks],
            "block_indices_begins": [0, *np.cumsum([len(piece.blocks) for piece in pieces]).tolist()],
            "max_context_len": max(piece.past + len(piece.tokens) for piece in pieces),
        }
        self._set(numbers)
        self._request.infer()
        logits: NDArray[np.float32] = self._request.get_output_tensor(0).data
        return logits.reshape(-1, logits.shape[-1])[: len(wanted)]

    def _set(self, numbers: dict[str, object]) -> None:
        import numpy as np
        import openvino

        wide = {"input_ids", "position_ids", "wanted"}
        for name, values in numbers.items():
            kind = np.int64 if name in wide else np.int32
            self._request.set_tensor(name, openvino.Tensor(np.array(values, kind)))


def converted(path: Path, adapter: Path | None = None) -> Path:
    """Returns the cached folder with the model of a GGUF file and an adapter, made at the first call."""
    folder = _folder(path, adapter)
    if not folder.is_dir():
        with atomic.new_folder(folder, replace=False) as part:  # another run may read what it made first
            _convert(path, adapter, part)
    return folder


def discard(path: Path, adapter: Path) -> None:
    """Removes from the cache what was made of an adapter that was only tried."""
    shutil.rmtree(_folder(path, adapter), ignore_errors=True)


def _folder(path: Path, adapter: Path | None) -> Path:
    gguf_files.check(path, "weights")
    digest = fingerprint.digest(path)
    if adapter is not None:
        gguf_files.check(adapter, "adapter")
        digest = fingerprint.of(f"{digest} {fingerprint.digest(adapter)}".encode())
    return paths.private_folder("openvino") / f"{digest[:32]}-{fingerprint.version('openvino')}-{_LAYOUT}"


def _convert(path: Path, adapter: Path | None, folder: Path) -> None:
    openvino_genai = libraries.import_openvino("openvino_genai")
    reader = gguf_files.open(path)
    gguf_tokenizer.convert(reader, path, folder)
    source = folder / "weights.gguf"  # OpenVINO writes beside what it reads
    gguf_files.rewrite(reader, source, gguf_files.lora(adapter, reader) if adapter else {})
    try:
        openvino_genai.LLMPipeline(str(source), "CPU", enable_save_ov_model=True)
    except RuntimeError as error:
        reason = str(error).strip().rpartition("\n")[2]
        raise BackendError(
            f"OpenVINO cannot read {path}: {reason}",
            hint="run it with --backend llamacpp, which takes any GGUF file",
        ) from error
    source.unlink()
    for spare in folder.glob("openvino_*tokenizer.*"):
        spare.unlink()


def _paged(core: openvino.Core, folder: Path) -> openvino.Model:
    """Reads the model, gives it a paged cache, and has it compute logits of the ``wanted`` tokens only."""
    import numpy as np
    import openvino
    from openvino import opset13
    from openvino._offline_transformations import paged_attention_transformation

    model = core.read_model(folder / _MODEL)
    paged_attention_transformation(model)
    node = model.get_results()[0].input_value(0).get_node()
    while node.get_type_name() != "MatMul":
        node = node.input_value(0).get_node()
    wanted = opset13.parameter([-1], openvino.Type.i64, name="wanted")
    wanted.output(0).set_names({"wanted"})
    rows = opset13.gather(node.input_value(0), wanted, opset13.constant(np.int64(0)))
    node.input(0).replace_source_output(rows.output(0))
    model.add_parameters([wanted])
    model.validate_nodes_and_infer_types()
    return model
