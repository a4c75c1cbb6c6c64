"""Encoders and selectors, as one small table: seconds to build and to select, and what the examples show.

    python tests/benchmarks/selection.py ../shared/data [--encoder all-minilm-l6-v2] [-k 8] [--size 100000]

The pool is the train split of NCBI-disease. With --size it is that and the sentences of the other English
corpora, then, up to the size, new ones made of the halves of two. "Known" is the share of the mentions of the
test sentences that stand, in any case, among the mentions of their examples; "labels" the mean number of
labels that the examples of a sentence have, to have no entity counted as one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from dirag import formats
from dirag.assembly.sources import read_base
from dirag.data import Document
from dirag.encoders.opening import open_encoder
from dirag.examples.pool import Pool
from dirag.examples.selection import SELECTORS, make, near_copy

#: Folders of CoNLL/BIO corpora beside NCBI-disease, and the splits of each.
OTHERS = ("bc5cdr-bio", "bc2gm-bio", "jnlpba-bio", "bionlp13cg-bio")


def read(data: Path, corpus: str, split: str) -> list[Document]:
    path = data / "corpora" / corpus / f"{split}.tsv"
    return list(formats.read([str(path)])) if path.exists() else []


def made_of_halves(documents: list[Document]) -> Iterator[Document]:
    """The first half of each sentence and the second of another, with the entities that are whole in them."""
    for step in range(1, len(documents)):
        for i, one in enumerate(documents):
            other = documents[(i + step) % len(documents)]
            cut, rest = one.text.find(" ", len(one.text) // 2), other.text.find(" ", len(other.text) // 2)
            if cut < 0 or rest < 0:
                continue
            shift = cut - rest
            entities = [e for e in one.entities if e.end <= cut]
            moved = [e for e in other.entities if e.start > rest]
            entities += [replace(e, start=e.start + shift, end=e.end + shift) for e in moved]
            text = one.text[:cut] + other.text[rest:]
            yield Document(f"{one.id}+{other.id}", text, tuple(entities))


def pool_of(data: Path, size: int) -> Pool:
    own = read(data, "ncbi-disease-bio", "train")
    if not size:
        return Pool.from_documents(own, as_sentences=True)
    others = [read(data, corpus, split) for corpus in OTHERS for split in ("train", "devel", "test")]
    real = [*own, *chain.from_iterable(others)]
    documents = list(islice(chain(real, made_of_halves(real)), size))
    print(f"pool: {len(documents)} sentences, {min(len(real), size)} of them as the corpora have them")
    return Pool.from_documents(documents, as_sentences=True)


def known(documents: list[Document], chosen: list[list[Document]]) -> float:
    found = total = 0
    for document, examples in zip(documents, chosen, strict=True):
        mentions = {entity.text.lower() for example in examples for entity in example.entities}
        found += sum(entity.text.lower() in mentions for entity in document.entities)
        total += len(document.entities)
    return found / total


def labels(chosen: list[list[Document]]) -> float:
    shown = [{e.type for x in examples for e in x.entities} for examples in chosen]
    bare = sum(any(not x.entities for x in examples) for examples in chosen)
    return (sum(map(len, shown)) + bare) / len(chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--encoder", default="all-minilm-l6-v2")
    parser.add_argument("-k", type=int, default=8)
    parser.add_argument("--size", type=int, default=0)
    options = parser.parse_args()

    pool = pool_of(options.data, options.size)
    documents = read(options.data, "ncbi-disease-bio", "test")
    documents += read(options.data, "ncbi-disease-bio", "devel")[: 1000 - len(documents)]
    start = time.perf_counter()
    embedder = open_encoder(options.encoder)
    print(f"open {embedder.name}: {time.perf_counter() - start:.2f} s")
    start, used = time.perf_counter(), time.process_time()
    pool = pool.embedded(embedder, cache=bool(options.size))
    seconds, used = time.perf_counter() - start, time.process_time() - used
    print(f"embed {len(pool.examples)} sentences: {seconds:.1f} s, {used:.1f} s of CPU")
    scan = read_base("default").index_for(["disease"]).scan
    print(f"{'selector':<9} {'build':>7} {'select':>7} {'(CPU)':>7} {'known':>6} {'labels':>7}")
    for name in SELECTORS:
        start = time.perf_counter()
        selector = make(name, pool, embedder=embedder, scan=scan)
        built, used = time.perf_counter(), time.process_time()
        chosen = selector.select([d.text for d in documents], k=options.k)
        seconds, used = time.perf_counter() - built, time.process_time() - used
        times = f"{built - start:7.1f} {seconds:7.1f} {used:7.1f}"
        print(f"{name:<9} {times} {known(documents, chosen):6.3f} {labels(chosen):7.2f}", flush=True)
    hit = sum(any(near_copy(d.text, x.text) for x in pool.examples[:5424]) for d in documents[:940])
    print(f"sentences: {len(documents)}; of the test ones with a near copy in train: {hit}")


if __name__ == "__main__":
    main()
