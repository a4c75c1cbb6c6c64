"""Token classifiers run by OpenVINO: its own form of a model, or the graph of a BERT from its weights.

The int8 form has each row of a matrix as whole numbers with one scale; it takes a quarter of the room, and
OpenVINO multiplies it with activations that it rounds to 8 bits, group by group, as they come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dirag.encoders import bert_graph
from dirag.encoders.bert_graph import BertGraph, BertShape
from dirag.encoders.token_pieces import read_config
from dirag.errors import ArtifactError
from dirag.files.libraries import cores, import_openvino

if TYPE_CHECKING:
    import numpy as np
    import openvino
    from numpy.typing import NDArray

#: OpenVINO's form of a model, under the name that Optimum gives it too; its weights lie beside it.
OPENVINO_FORM, OPENVINO_WEIGHTS = "openvino_model.xml", "openvino_model.bin"
_WEIGHTS = "model.safetensors"


class OpenVinoScorer:
    """Runs a model a row at a time, and as many rows at once as there are threads.

    A row is never padded, nor computed beside others: oneDNN takes other kernels for other numbers of rows,
    and a sentence's scores would depend on its company.
    """

    def __init__(self, model: openvino.Model, *, threads: int) -> None:
        self._jobs = threads or cores()
        settings = {
            # In bfloat16, which OpenVINO takes where the processor can, scores would differ between machines.
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": self._jobs,
            "INFERENCE_NUM_THREADS": self._jobs,
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled = import_openvino().Core().compile_model(model, "CPU", settings)
        self._requests = [self._compiled.create_infer_request() for _ in range(self._jobs)]
        self._inputs = [
            (port.get_any_name(), port.get_element_type().to_dtype()) for port in self._compiled.inputs
        ]

    @classmethod
    def open(cls, folder: Path, config: Mapping[str, Any], *, threads: int = 0) -> OpenVinoScorer | None:
        """Opens the OpenVINO form in a folder, else a BERT; returns None for any other model."""
        path = folder / OPENVINO_FORM
        if path.is_file():
            try:
                model = import_openvino().Core().read_model(str(path))
            except RuntimeError as error:
                reason = str(error).strip().rpartition("\n")[2]
                raise ArtifactError(f"OpenVINO cannot read {path}: {reason}", hint="make it again") from error
            return cls(model, threads=threads)
        graph = build(folder, config)
        return cls(graph, threads=threads) if graph is not None else None

    def scores(self, rows: Sequence[Sequence[int]]) -> Iterator[NDArray[np.float32]]:
        from concurrent.futures import ThreadPoolExecutor

        results: dict[int, NDArray[np.float32]] = {}
        # The longest first, so that no thread is left with a long one when the others are done.
        numbers = iter(sorted(range(len(rows)), key=lambda n: -len(rows[n])))

        def compute(request: openvino.InferRequest) -> None:
            for number in numbers:
                results[number] = _log_softmax(request.infer(self._feed(rows[number]))[0][0])

        # Not AsyncInferQueue: its end waits, with Python's lock held, for a thread that may want that lock to
        # run the last callback, and hangs (seen with 2026.4).
        with ThreadPoolExecutor(self._jobs) as pool:
            for _ in pool.map(compute, self._requests):
                pass
        return (results[number] for number in range(len(rows)))

    def _feed(self, row: Sequence[int]) -> dict[str, NDArray[Any]]:
        import numpy as np

        shape = (1, len(row))
        values = {"input_ids": np.array([row]), "attention_mask": np.ones(shape)}
        return {name: values.get(name, np.zeros(shape)).astype(kind) for name, kind in self._inputs}


def is_bert(folder: Path) -> bool:
    """Tells whether a folder holds a BERT of which a graph can be built."""
    return BertShape.of(read_config(folder)) is not None


def build(folder: Path, config: Mapping[str, Any], *, int8: bool = False) -> openvino.Model | None:
    """Builds the graph of a BERT with a layer of labels, tokens to logits; None of other models."""
    shape = BertShape.of(config)
    weights = bert_graph.read_weights(folder / _WEIGHTS, prefix="bert.") if shape is not None else None
    if shape is None or weights is None or "classifier.weight" not in weights:
        return None
    graph = BertGraph(weights, shape, int8=int8)
    logits = graph.linear(graph.last_hidden_states(), "classifier")
    logits.output(0).set_names({"logits"})
    return graph.model(logits)


def save_int8(folder: Path, config: Mapping[str, Any], path: Path) -> None:
    """Writes the int8 form of a BERT, and its weights beside it; raises ArtifactError for other models."""
    model = build(folder, config, int8=True)
    if model is None:
        raise ArtifactError(
            f"{str(folder)!r} is no BERT of which an int8 form can be made", hint="leave it out"
        )
    # OpenVINO numbers nodes by a counter of the process, and the same model would be another file each time.
    for number, node in enumerate(model.get_ordered_ops()):
        node.set_friendly_name(f"{node.get_type_name()}_{number}")
    import_openvino().save_model(model, str(path), compress_to_fp16=False)


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)), np.float32)
