"""Encoders and selectors on NCBI-disease, as one small table: seconds, and how many near copies there are.

    python tests/benchmarks/selection.py ../shared/data [--encoder all-minilm-l6-v2] [-k 8]

"Known" is the share of the test mentions that stand, in any case, among the mentions of their examples.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from dirag import formats
from dirag.data import Document
from dirag.embed import open_encoder
from dirag.pool import Pool
from dirag.selection import SELECTORS, make, near_copy


def read(data: Path, split: str) -> list[Document]:
    return list(formats.read([str(data / "corpora" / "ncbi-disease-bio" / f"{split}.tsv")]))


def known(documents: list[Document], chosen: list[list[Document]]) -> float:
    found = total = 0
    for document, examples in zip(documents, chosen, strict=True):
        mentions = {entity.text.lower() for example in examples for entity in example.entities}
        found += sum(entity.text.lower() in mentions for entity in document.entities)
        total += len(document.entities)
    return found / total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--encoder", default="all-minilm-l6-v2")
    parser.add_argument("-k", type=int, default=8)
    options = parser.parse_args()

    pool = Pool.from_documents(read(options.data, "train"), whole=True)
    documents = read(options.data, "test")
    start = time.perf_counter()
    embedder = open_encoder(options.encoder)
    print(f"open {embedder.name}: {time.perf_counter() - start:.2f} s")
    start, used = time.perf_counter(), time.process_time()
    pool = pool.embedded(embedder, cache=False)
    seconds, used = time.perf_counter() - start, time.process_time() - used
    print(f"embed {len(pool.examples)} sentences: {seconds:.1f} s, {used:.1f} s of CPU")
    for name in SELECTORS:
        start = time.perf_counter()
        chosen = make(name, pool, embedder=embedder).select([d.text for d in documents], k=options.k)
        seconds = time.perf_counter() - start
        print(f"{name:<7} {len(documents)} sentences: {seconds:.2f} s, known {known(documents, chosen):.3f}")
    hit = sum(any(near_copy(d.text, example.text) for example in pool.examples) for d in documents)
    print(f"test sentences with a near copy in train: {hit}")


if __name__ == "__main__":
    main()
