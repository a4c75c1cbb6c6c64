"""BERT (arXiv 1810.04805) as an OpenVINO graph: token numbers and a mask in, the last hidden states out.

The graph is built from the weights as transformers names and stores them, in float32, and needs no torch.
Whoever uses it puts a head on the hidden states: a pooling, or a classifier of tokens.
"""

# Why by hand: a fresh process opens all-MiniLM-L6-v2 so and embeds one text in 0.36 s (medians of 5), while
# openvino.convert_model, which imports torch and traces a module, takes 4.5 s. Its result kept on disk takes
# 0.33 s, and a second copy of the weights (90 MB), a cache by the versions of three libraries, and 4.5 s for
# every new encoder. SentenceTransformer(backend="openvino") needs optimum. Vectors agree within 1.5e-7.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dirag.errors import ArtifactError
from dirag.files import libraries

if TYPE_CHECKING:
    import numpy as np
    import openvino
    from numpy.typing import NDArray

    from dirag.data import Json

_EMBEDDINGS = "embeddings.word_embeddings.weight"
_CONFIG = {"model_type": "bert", "hidden_act": "gelu"}


@dataclass(frozen=True, slots=True)
class BertShape:
    """What the weights do not say of themselves; ``positions`` is the most tokens that a text may have."""

    layers: int
    heads: int
    epsilon: float
    positions: int

    @classmethod
    def of(cls, config: Mapping[str, Json]) -> BertShape | None:
        """Returns the shape that a ``config.json`` gives, None where it is of another model."""
        if any(config.get(key) != value for key, value in _CONFIG.items()):
            return None
        # Relative positions add a term to the attention that is not computed here.
        if config.get("position_embedding_type", "absolute") != "absolute":
            return None
        return cls(
            layers=_number(config, "num_hidden_layers"),
            heads=_number(config, "num_attention_heads"),
            epsilon=float(str(config.get("layer_norm_eps", 1e-12))),
            positions=_number(config, "max_position_embeddings"),
        )


class BertGraph:
    """The nodes of a BERT under construction; ``ids`` and ``mask`` are its inputs, both (texts, tokens).

    ``mask`` is 1 for a token and 0 for padding. ``width`` is the length of a hidden state. With ``int8`` the
    matrices are rounded to 8 bits, each row with a scale of its own.
    """

    def __init__(
        self, weights: Mapping[str, NDArray[np.float32]], shape: BertShape, *, int8: bool = False
    ) -> None:
        self._openvino = libraries.import_openvino()
        self.op = self._openvino.opset13
        self._weights, self._shape, self._int8 = weights, shape, int8
        self.width = int(weights[_EMBEDDINGS].shape[1])
        self.ids = self._input("input_ids", self._openvino.Type.i32)
        self.mask = self._input("attention_mask", self._openvino.Type.f32)

    def last_hidden_states(self) -> openvino.Node:
        """Returns the output of the last layer, of shape (texts, tokens, width)."""
        # After -1e9 a softmax is exactly 0 in float32, so padding changes no vector; -infinity may make NaN.
        masked = self.op.multiply(self.op.subtract(self.mask, self.floats(1)), self.floats(1e9))
        bias = self.op.unsqueeze(masked, self.integers(1, 2))
        hidden = self._embedded()
        for number in range(self._shape.layers):
            layer = f"encoder.layer.{number}"
            hidden = self._fed_forward(self._attended(hidden, bias, f"{layer}.attention"), layer)
        return hidden

    def model(self, output: openvino.Node) -> openvino.Model:
        """Returns the graph from the two inputs to an output that was built on the hidden states."""
        return self._openvino.Model([output], [self.ids, self.mask], "bert")

    def _embedded(self) -> openvino.Node:
        op = self.op
        length = op.slice(op.shape_of(self.ids), self.integers(1), self.integers(2), self.integers(1))
        positions = self.floats(self._weights["embeddings.position_embeddings.weight"])
        words = op.gather(self._matrix(_EMBEDDINGS), self.ids, self.integers(0))
        first = op.slice(positions, self.integers(0), length, self.integers(1), self.integers(0))
        hidden = op.add(words, first)
        # A text alone is all of segment 0, so the kind of segment is one constant.
        segment = self._weights["embeddings.token_type_embeddings.weight"][0]
        return self._normalised(op.add(hidden, self.floats(segment)), "embeddings.LayerNorm")

    def _attended(self, hidden: openvino.Node, bias: openvino.Node, name: str) -> openvino.Node:
        op = self.op
        query, key, value = (
            self._heads(self.linear(hidden, f"{name}.self.{part}")) for part in ("query", "key", "value")
        )
        heads = op.transpose(
            op.scaled_dot_product_attention(query, key, value, bias), self.integers(0, 2, 1, 3)
        )
        joined = op.reshape(heads, self.integers(0, 0, self.width), True)
        attended = self.linear(joined, f"{name}.output.dense")
        return self._normalised(op.add(attended, hidden), f"{name}.output.LayerNorm")

    def _heads(self, hidden: openvino.Node) -> openvino.Node:
        """Returns (texts, heads, tokens, width / heads) of (texts, tokens, width)."""
        sizes = self.integers(0, 0, self._shape.heads, self.width // self._shape.heads)
        # With the special zero (True) a size of 0 stays as it is: texts and tokens are known at run time.
        return self.op.transpose(self.op.reshape(hidden, sizes, True), self.integers(0, 2, 1, 3))

    def _fed_forward(self, hidden: openvino.Node, name: str) -> openvino.Node:
        # "erf" is GELU as BERT was trained with; the approximation by tanh is off by up to 5e-4.
        inner = self.op.gelu(self.linear(hidden, f"{name}.intermediate.dense"), "erf")
        outer = self.linear(inner, f"{name}.output.dense")
        return self._normalised(self.op.add(outer, hidden), f"{name}.output.LayerNorm")

    def _normalised(self, hidden: openvino.Node, name: str) -> openvino.Node:
        # torch adds epsilon to the variance, so it stands inside the root.
        centred = self.op.mvn(hidden, self.integers(-1), True, self._shape.epsilon, "inside_sqrt")
        scaled = self.op.multiply(centred, self.floats(self._weights[f"{name}.weight"]))
        return self.op.add(scaled, self.floats(self._weights[f"{name}.bias"]))

    def linear(self, hidden: openvino.Node, name: str) -> openvino.Node:
        """Returns a linear layer over the last dimension; its weights are (outputs, inputs), as in torch."""
        product = self.op.matmul(hidden, self._matrix(f"{name}.weight"), False, True)
        return self.op.add(product, self.floats(self._weights[f"{name}.bias"]))

    def _matrix(self, name: str) -> openvino.Node:
        """Returns a matrix of weights, as it is or in 8 bits."""
        import numpy as np

        values = self._weights[name]
        if not self._int8:
            return self.floats(values)
        # Row by row: a matrix has rows of very different size, and one scale would lose the small ones. The
        # floor is for rows of zeros, such as those of tokens that nobody uses.
        scales = np.maximum(np.abs(values).max(1, keepdims=True), np.float32(1e-12)) / np.float32(127)
        rounded = self.op.constant(np.rint(values / scales).astype(np.int8))
        return self.op.multiply(self.op.convert(rounded, self._openvino.Type.f32), self.floats(scales))

    def floats(self, value: NDArray[np.float32] | float) -> openvino.Node:
        """Returns a constant of float32."""
        import numpy as np

        return self.op.constant(np.asarray(value, np.float32))

    def integers(self, *values: int) -> openvino.Node:
        """Returns a constant vector of int64, as axes and sizes are written."""
        import numpy as np

        return self.op.constant(np.array(values, np.int64))

    def _input(self, name: str, kind: openvino.Type) -> openvino.Node:
        node = self.op.parameter([-1, -1], kind)
        node.output(0).set_names({name})
        return node


def read_weights(path: Path, *, prefix: str = "") -> dict[str, NDArray[np.float32]] | None:
    """Reads BERT's tensors by their plain names, without the ``prefix`` that models built on it put in front.

    Returns None where they have other names or are not all float32.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            # position_ids is no weight but a table of integers, which older versions of transformers saved.
            names = [name for name in file.keys() if not name.endswith("position_ids")]  # noqa: SIM118
            kinds = {file.get_slice(name).get_dtype() for name in names}
            if kinds != {"F32"} or prefix + _EMBEDDINGS not in names:
                return None
            return {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        raise ArtifactError(
            f"cannot read the weights {str(path)!r}: {error}", hint="fetch the file again"
        ) from error


def compile_model(model: openvino.Model) -> openvino.CompiledModel:
    """Compiles a graph for the CPU, in float32."""
    settings = {
        # OpenVINO would compute in bfloat16 where the processor can: vectors would differ between machines.
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        # Pinned threads of two processes share the first cores, and the others stand idle.
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_NUM_THREADS": libraries.cores(),
    }
    return libraries.import_openvino().Core().compile_model(model, "CPU", settings)


def _number(config: Mapping[str, Json], key: str) -> int:
    value = config.get(key)
    if not isinstance(value, int):
        raise ArtifactError(f"config.json of the encoder has no number {key!r}")
    return value
