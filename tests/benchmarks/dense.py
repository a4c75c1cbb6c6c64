"""The dense index at size: kinds of index over the same names, their recall, size and time beside a flat one.

    PYTHONPATH=tests python tests/benchmarks/dense.py ../shared/data WORK [--names 1000000] [--split test]

The names are those of ``million.py``. Their vectors are kept in WORK and made once (on two cores a million
takes a quarter of an hour; a run that is stopped goes on there). The queries are the gold mentions of a
split; recall is by the cosine of the fifth best name. Needs Linux (/proc).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import faiss
import numpy as np
from lookup import Table, apart, read_mentions
from million import made_up, medic
from numpy.typing import NDArray

from dirag.encoders.opening import open_encoder
from dirag.knowledge.index import dense, encoding

ENCODER = "all-minilm-l6-v2"


def names(path: Path, number: int) -> list[str]:
    """The names of ``million.py``, in its order."""
    concepts = chain(medic(path), made_up(path, number))
    return [name for concept in concepts for name in (concept.name, *concept.synonyms)][:number]


def encode(path: Path, number: int, work: Path) -> Table:
    texts, begun = names(path, number), time.perf_counter()
    vectors, order = encoding.encode(texts, open_encoder(ENCODER), work / "index", progress=True)
    np.save(work / "order.npy", order)
    np.save(work / "vectors.npy", vectors)
    return {"names": len(texts), "encoding s": time.perf_counter() - begun}


def measure(work: Path, corpus: Path, budget: int) -> Table:
    """An index within a budget of memory, and what it finds and takes."""
    vectors, order = np.load(work / "vectors.npy", mmap_mode="r"), np.load(work / "order.npy")
    folder = work / f"index-{budget}"
    folder.mkdir(exist_ok=True)
    embedder = open_encoder(ENCODER)
    begun = time.perf_counter()
    info = dense.build(vectors, order, folder, embedder=embedder, opened_as=ENCODER, budget=budget)
    built = time.perf_counter() - begun
    index = dense.open_index(folder, info, embedder)
    queries = embedder.embed([text for text, _ in read_mentions(corpus)])
    _, found = index.search(queries, limit=5)
    return {
        f"{info.kind}: build s": built,
        f"{info.kind}: in memory MiB": (folder / dense.INDEX).stat().st_size / 2**20,
        f"{info.kind}: on disk MiB": sum(file.stat().st_size for file in folder.iterdir()) / 2**20,
        f"{info.kind}: recall@5 of the manifest (names as queries)": info.recall,
        f"{info.kind}: recall@5, mentions": float((found >= _fifth(vectors, queries) - 1e-3).mean()),
        **_times(info.kind, lambda rows: index.search(rows, limit=5), queries),
    }


def flat(work: Path, corpus: Path) -> Table:
    """The exhaustive search, in float32, as FAISS does it."""
    vectors = np.load(work / "vectors.npy", mmap_mode="r")
    index = faiss.IndexFlatIP(vectors.shape[1])
    for start in range(0, len(vectors), 1 << 16):
        index.add(vectors[start : start + (1 << 16)].astype(np.float32))
    queries = open_encoder(ENCODER).embed([text for text, _ in read_mentions(corpus)][:200])
    size = {"flat: in memory MiB": vectors.size * 4 / 2**20}
    return size | _times("flat", lambda rows: index.search(rows, 5), queries)


def _fifth(vectors: NDArray[np.float16], queries: NDArray[np.float32]) -> NDArray[np.float32]:
    """The cosine of the fifth best name of each query, by a look at every name."""
    best = np.full((len(queries), 5), -np.inf, np.float32)
    for start in range(0, len(vectors), 1 << 14):
        block = queries @ vectors[start : start + (1 << 14)].astype(np.float32).T
        best = np.sort(np.concatenate([best, block], axis=1), axis=1)[:, -5:]
    return best[:, :1]


def _times(
    name: str, search: Callable[[NDArray[np.float32]], Sequence[object]], queries: NDArray[np.float32]
) -> Table:
    search(queries[:5])
    begun = time.perf_counter()
    search(queries)
    batch = time.perf_counter() - begun
    begun = time.perf_counter()
    for query in queries[:100]:
        search(query[None])
    single = time.perf_counter() - begun
    return {f"{name}: queries/s in batches": len(queries) / batch, f"{name}: one by one": 100 / single}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--names", type=int, default=1_000_000)
    parser.add_argument("--split", choices=["train", "develop", "test"], default="test")
    options = parser.parse_args()
    corpus = options.data / f"corpora/ncbi-disease/NCBI{options.split}set_corpus.txt"
    options.work.mkdir(parents=True, exist_ok=True)
    apart(encode, options.data / "vocab/medic/medic_06Jul2012.txt", options.names, options.work)
    for budget in (2048 * options.names, 512 * options.names):  # of which the first has room for a graph
        apart(measure, options.work, corpus, budget)
    apart(flat, options.work, corpus)


if __name__ == "__main__":
    main()
