"""Names by meaning: vectors of a sentence encoder in a FAISS index, one for each distinct name.

A small base is searched exhaustively (float16), a larger one over a graph (HNSW), and one that would not
fit the memory budget over product-quantised cells (IVF-PQ) whose candidates are rescored with the float16
vectors on disk. What the index loses against the exhaustive search is measured when it is built. Files are
mapped, so opening costs nothing. Refused: an index of another encoder than the one that reads the queries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dirag.encoders.opening import identity
from dirag.errors import KnowledgeError

if TYPE_CHECKING:
    import faiss
    import numpy as np
    from numpy.typing import NDArray

    from dirag.data import Json
    from dirag.protocols import Embedder

Kind = Literal["flat", "hnsw", "ivfpq"]

INDEX, VECTORS = "dense.faiss", "dense_vectors.f2"
#: Bytes of memory that an index may take while it is searched.
BUDGET = 1 << 30
_FLAT = 20_000  # names up to which all are looked at, be it of a base or of a part of one
_LINKS, _DEPTH = 32, 128  # of a name in the graph; names that a search keeps in view
_BLOCK = 1 << 14
_SAMPLE = 256
_RESCORED = 32  # candidates of a quantised index that are scored again, for each one asked for


@dataclass(frozen=True, slots=True)
class DenseInfo:
    """The make of an index; ``recall`` is recall@5 of a sample against the exhaustive search.

    ``opened_as`` is the name or path under which the encoder was found when the index was built.
    """

    encoder: str
    opened_as: str
    dimension: int
    names: int
    kind: Kind
    recall: float
    sample: int


class Dense:
    """An open index. ``vectors`` are the float16 vectors on disk, where the index itself has only codes."""

    def __init__(
        self, info: DenseInfo, index: faiss.Index, vectors: NDArray[np.float16] | None, embedder: Embedder
    ) -> None:
        self.info, self.embedder, self._index, self._vectors = info, embedder, index, vectors

    def search(
        self, queries: NDArray[np.float32], *, limit: int, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Returns the keys nearest to each unit vector, best first, and their cosines, both (queries, limit).

        Only ``allowed`` keys are searched; where an approximate search has fewer, the rest are key -1.
        """
        import numpy as np

        limit = min(limit, self.info.names)
        # A graph of which few keys count is walked at length and still misses some: these are all compared.
        if allowed is not None and (count := int(allowed.sum())) <= _FLAT:
            return self._among(np.flatnonzero(allowed), queries, min(limit, count))
        options = None if allowed is None else _restricted(self.info, allowed)
        if self._vectors is None:
            cosines, keys = self._index.search(queries, limit, params=options)
            # Vectors rounded to float16 have lengths about 1, so that a product may exceed it.
            return keys, np.minimum(cosines, np.float32(1))
        _, keys = self._index.search(queries, min(limit * _RESCORED, self.info.names), params=options)
        cosines = np.stack([self.cosines(row, query) for row, query in zip(keys, queries, strict=True)])
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :limit]
        return np.take_along_axis(keys, best, axis=1), np.take_along_axis(cosines, best, axis=1)

    def _among(
        self, keys: NDArray[np.int64], queries: NDArray[np.float32], limit: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Searches a few keys one by one."""
        import numpy as np

        cosines = np.array([self.cosines(keys, query) for query in queries]).reshape(len(queries), len(keys))
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :limit]
        return keys[best], np.take_along_axis(cosines, best, axis=1)

    def cosines(self, keys: NDArray[np.int64], query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the cosine of one unit vector with each of these names; -1 for the key -1."""
        import numpy as np

        if not len(keys):
            return np.empty(0, np.float32)
        rows = np.maximum(keys, 0)  # -1 is no key: row 0 stands in, and gets its cosine below
        if self._vectors is None:
            names = self._index.reconstruct_batch(rows)
        else:
            names = self._vectors[rows].astype(np.float32)
        cosines: NDArray[np.float32] = np.minimum(names @ query, np.float32(1))
        cosines[keys < 0] = -1
        return cosines


def read_info(extra: Mapping[str, Json]) -> DenseInfo | None:
    """Reads the make of a base's index from its manifest's ``extra``; None where it has no index."""
    table = extra.get("dense")
    return DenseInfo(**table) if isinstance(table, dict) else None  # type: ignore[arg-type]


def open_index(folder: Path, info: DenseInfo, embedder: Embedder) -> Dense:
    """Opens the index in a knowledge base, unless ``embedder`` is not the encoder that made it."""
    import faiss
    import numpy as np

    if identity(info.encoder) != identity(embedder.name) or info.dimension != embedder.dimension:
        raise KnowledgeError(
            f"{folder} was built with the encoder {info.encoder} ({info.dimension} dimensions), "
            f"not {embedder.name} ({embedder.dimension})",
            hint="give that encoder, or build the knowledge base anew with this one",
        )
    try:
        # Mapped, so that processes share the pages and a search reads those only that it comes by.
        index = faiss.read_index(str(folder / INDEX), faiss.IO_FLAG_MMAP_IFC)
        quantised = info.kind == "ivfpq"
        vectors = np.memmap(folder / VECTORS, np.float16, "r") if quantised else None
    except (OSError, RuntimeError, ValueError) as error:
        # FAISS puts the C++ function, file and line before its reason, and may put a trace behind it.
        reason = str(error).rpartition("Error: ")[2].partition("\n")[0]
        raise KnowledgeError(f"cannot read the dense index of {folder}: {reason}", hint=_REBUILD) from error
    size = info.names * info.dimension
    if (index.ntotal, index.d) != (info.names, info.dimension) or not (
        vectors is None or vectors.size == size
    ):
        raise KnowledgeError(f"the dense index of {folder} is not what its manifest says", hint=_REBUILD)
    _tune(index, info)
    return Dense(info, index, vectors if vectors is None else vectors.reshape(-1, info.dimension), embedder)


def build(
    vectors: NDArray[np.float16],
    order: NDArray[np.int64],
    folder: Path,
    *,
    embedder: Embedder,
    opened_as: str,
    budget: int = BUDGET,
) -> DenseInfo:
    """Writes an index into a folder; the vector of name ``order[i]`` is row ``i`` of ``vectors``."""
    import faiss
    import numpy as np

    count, dimension = vectors.shape
    kind = choose(count, dimension, budget)
    rows = np.empty(count, np.int64)
    rows[order] = np.arange(count)
    index = _empty(kind, count, dimension)
    if not index.is_trained:
        # Sorted, because the vectors lie in a mapped file, which is read from front to back.
        sample_rows = np.sort(np.random.default_rng(0).permutation(count)[: 64 * _cells(count)])
        index.train(vectors[sample_rows].astype(np.float32))
    for start in range(0, count, _BLOCK):
        index.add(vectors[rows[start : start + _BLOCK]].astype(np.float32))
    faiss.write_index(index, str(folder / INDEX))
    if kind == "ivfpq":
        with (folder / VECTORS).open("wb") as stream:
            for start in range(0, count, _BLOCK):
                stream.write(vectors[rows[start : start + _BLOCK]].tobytes())
    sample = min(_SAMPLE, count)
    info = DenseInfo(embedder.name, opened_as, dimension, count, kind, 1.0, sample)
    if kind != "flat":
        _tune(index, info)
        stored = np.memmap(folder / VECTORS, np.float16, "r").reshape(count, -1) if kind == "ivfpq" else None
        recall = _recall(Dense(info, index, stored, embedder), vectors, rows, sample)
        info = replace(info, recall=recall)
    return info


def choose(count: int, dimension: int, budget: int) -> Kind:
    """Returns the kind of index for so many names: the most exact that is fast and fits the budget."""
    if count <= _FLAT and 2 * dimension * count <= budget:
        return "flat"
    # A node of the graph has 2 * _LINKS links of 4 bytes on its lowest level, and few above.
    return "hnsw" if count * (2 * dimension + 8 * _LINKS + 16) <= budget else "ivfpq"


def _cells(count: int) -> int:
    # 4 times the root, as FAISS advises, but no cell of fewer than the 39 names that its training asks for.
    return max(1, min(round(4 * math.sqrt(count)), count // 40))


def _probes(count: int) -> int:
    return max(8, _cells(count) // 32)


def _empty(kind: Kind, count: int, dimension: int) -> faiss.Index:
    import faiss

    half, product = faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    if kind == "flat":
        return faiss.IndexScalarQuantizer(dimension, half, product)
    if kind == "hnsw":
        graph = faiss.index_factory(dimension, f"HNSW{_LINKS}_SQfp16", product)
        faiss.ParameterSpace().set_index_parameter(graph, "efConstruction", 80)
        return graph
    # A part is coded by one byte (or half), and the parts must divide the vector: 384 and 768 by 96.
    parts = next(parts for parts in (96, 64, 48, 32, 16, 8, 4, 2, 1) if dimension % parts == 0)
    bits = 8 if count >= 256 * 40 else 4  # 256 centroids a part need that many names to be trained on
    return faiss.IndexIVFPQ(faiss.IndexFlatIP(dimension), dimension, _cells(count), parts, bits, product)


def _tune(index: faiss.Index, info: DenseInfo) -> None:
    """Sets how much of the index a query looks at; what it costs is the recall in the manifest."""
    import faiss

    if info.kind == "hnsw":
        faiss.ParameterSpace().set_index_parameter(index, "efSearch", _DEPTH)
    elif info.kind == "ivfpq":
        faiss.ParameterSpace().set_index_parameter(index, "nprobe", _probes(info.names))


def _restricted(info: DenseInfo, allowed: NDArray[np.bool_]) -> faiss.SearchParameters:
    """Restricts a search to some keys; it goes four times as deep, since many that it meets do not count."""
    import faiss
    import numpy as np

    # FAISS's own annotations know the arguments of C++ only
    selector = faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))  # type: ignore[call-arg, arg-type]
    if info.kind == "hnsw":
        return faiss.SearchParametersHNSW(sel=selector, efSearch=4 * _DEPTH)  # type: ignore[attr-defined, no-any-return]
    if info.kind == "ivfpq":
        return faiss.SearchParametersIVF(sel=selector, nprobe=4 * _probes(info.names))  # type: ignore[call-arg]
    return faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]


def _recall(searched: Dense, vectors: NDArray[np.float16], rows: NDArray[np.int64], sample: int) -> float:
    """Measures recall@5 of a seeded sample of names, each a query, against the exhaustive search."""
    import numpy as np

    queries = vectors[np.sort(np.random.default_rng(1).permutation(len(rows))[:sample])].astype(np.float32)
    k = min(5, len(rows))
    exact = np.full((sample, k), -np.inf, np.float32)
    for start in range(0, len(rows), _BLOCK):
        block = queries @ vectors[rows[start : start + _BLOCK]].astype(np.float32).T
        exact = np.sort(np.concatenate([exact, block], axis=1), axis=1)[:, -k:]
    _, cosines = searched.search(queries, limit=k)
    # By cosine, not by name: names of the same vector are as good as each other.
    return float((cosines >= exact[:, :1] - 1e-3).mean())


_REBUILD = "build it anew from its vocabularies"
