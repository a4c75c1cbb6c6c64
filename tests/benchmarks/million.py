"""A knowledge base of a million names: build, size, opening, look-up, and fuzzy answers against brute force.

    PYTHONPATH=tests python tests/benchmarks/million.py ../shared/data [--names 1000000] [--split test]

The names are those of MEDIC and seeded recombinations of their words: in a name drawn at random some words
are exchanged for others drawn by frequency, and three in ten get a word more. Every step runs in a process
of its own, so that its peak of memory is its own. Needs Linux (/proc).
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import orjson
from fuzzy_oracle import BruteForce
from lookup import THRESHOLD, Table, apart, every_name, looking_up, opening, read_mentions, spelling

from dirag.data import Concept
from dirag.knowledge import semantics, sources
from dirag.knowledge.index import fuzzy
from dirag.knowledge.index import word_index as words_of
from dirag.knowledge.sources.reading import Rejected
from dirag.knowledge.store import store, writer
from dirag.text.language import english
from dirag.text.normalise import normaliser

NAMES = normaliser(english())


SEED = 20120731


def medic(path: Path) -> Iterator[Concept]:
    yield from sources.read(
        path, source="medic", types=semantics.load_types(), rejected=Rejected(), format="medic"
    )


def made_up(path: Path, number: int) -> Iterator[Concept]:
    """Concepts of new names, six or seven each, until there are so many names in all."""
    names = [name for concept in medic(path) for name in (concept.name, *concept.synonyms)]
    words = [word for name in names for word in name.split()]
    chance, seen, group, made = random.Random(SEED), {hash(name) for name in names}, [], 0
    while len(seen) < number:
        parts = chance.choice(names).split()
        for place in chance.sample(range(len(parts)), chance.randint(1, len(parts))):
            parts[place] = chance.choice(words)
        if chance.random() < 0.3:
            parts.insert(chance.randint(0, len(parts)), chance.choice(words))
        name = " ".join(parts)
        if hash(name) not in seen:
            seen.add(hash(name))
            group.append(name)
        if len(group) == 6 + made % 2:
            yield Concept(f"N{made}", group[0], tuple(group[1:]), ("disease",), source="made up")
            group, made = [], made + 1


def read(path: Path) -> Iterator[Concept]:
    with path.open("rb") as lines:
        for line in lines:
            identifier, name, *synonyms = orjson.loads(line)
            yield Concept(identifier, name, tuple(synonyms), ("disease",), source=path.stem)


def make(path: Path, vocabulary: Path, number: int) -> Table:
    with vocabulary.open("wb") as stream:
        for concept in chain(medic(path), made_up(path, number)):
            names = (concept.id, concept.name, *concept.synonyms)
            stream.write(orjson.dumps(names, option=orjson.OPT_APPEND_NEWLINE))
    return {}


def build(vocabulary: Path, folder: Path) -> Table:
    begun = time.perf_counter()
    writer.write(read(vocabulary), folder)
    return {"build s": time.perf_counter() - begun}


def index(folder: Path) -> Table:
    """The time and the size of the fuzzy index alone, built again from what it is built of."""
    opened = store.Store(folder)
    words = list(words_of.Strings(opened.array, "words"))
    place = {word: number for number, word in enumerate(words)}
    keys = [[place[word] for word in opened.key(key).split(" ")] for key in range(opened.manifest.keys)]
    starts = np.append(0, np.cumsum([len(key) for key in keys])).astype(np.int32)
    flat = np.fromiter(chain.from_iterable(keys), np.int32)
    begun = time.perf_counter()
    arrays = words_of.build(words) | fuzzy.build(starts, flat, vocabulary=len(words))
    seconds = time.perf_counter() - begun
    return {
        "fuzzy index: build s": seconds,
        "fuzzy index: MiB": sum(values.nbytes for values in arrays.values()) / 2**20,
    }


def disk(folder: Path) -> Table:
    manifest = store.Store(folder).manifest
    size = sum(path.stat().st_size for path in folder.iterdir()) / 2**20
    return {"names": manifest.names, "keys": manifest.keys, "disk MiB": size}


def against_brute_force(folder: Path, corpus: Path) -> Table:
    """Whether fuzzy answers are those of a look at every name, for 500 misspelt mentions."""
    chance = random.Random(SEED)
    texts = [text for text, _ in read_mentions(corpus)]
    queries = [_misspelt(text, chance) for text in chance.choices(texts, k=500)]
    opened = store.Store(folder)
    near, brute = fuzzy.Fuzzy(opened.array), BruteForce(list(words_of.Strings(opened.array, "keys")))
    equal = answers = 0
    for query in queries:
        mention = " ".join(NAMES.key(query))
        found = near.search(mention, threshold=THRESHOLD, limit=20)
        wanted = brute.search(mention, threshold=THRESHOLD, limit=20)
        answers += len(found)
        equal += [key for key, _ in found] == [key for key, _ in wanted] and all(
            abs(one - other) < 1e-9 for (_, one), (_, other) in zip(found, wanted, strict=True)
        )
    return {"queries": len(queries), "answers": answers, "fuzzy equals brute force": equal}


def _misspelt(text: str, chance: random.Random) -> str:
    place = chance.randrange(len(text))
    return text[:place] + chance.choice(["", "e", " ", text[place] * 2]) + text[place + 1 :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--names", type=int, default=1_000_000)
    parser.add_argument("--split", choices=["train", "develop", "test"], default="test")
    options = parser.parse_args()
    path = options.data / "vocab/medic/medic_06Jul2012.txt"
    corpus = options.data / f"corpora/ncbi-disease/NCBI{options.split}set_corpus.txt"
    with tempfile.TemporaryDirectory() as scratch:
        folder, vocabulary = Path(scratch) / "kb", Path(scratch) / "names.jsonl"
        apart(make, path, vocabulary, options.names)
        apart(build, vocabulary, folder)
        apart(index, folder)
        apart(disk, folder)
        apart(opening, folder)
        apart(spelling, folder, path, corpus)
        apart(looking_up, folder, path, corpus)
        apart(every_name, folder, corpus, 20)
        apart(against_brute_force, folder, corpus)


if __name__ == "__main__":
    main()
