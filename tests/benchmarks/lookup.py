"""Exact and fuzzy look-up, opening, and dictionary tagging on MEDIC and NCBI-disease, as one small table.

    python tests/benchmarks/lookup.py ../shared/data [--split test]

Look-up: each gold mention by its string alone, one at a time; a hit is any gold id. Beside it rapidfuzz over
all names, in the same run. Tagging: strict spans of the abstracts. Each step runs in a process of its own,
so that its peak of memory is its own. Needs Linux (/proc).
"""

from __future__ import annotations

import argparse
import multiprocessing
import multiprocessing.connection
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from dirag.data import Segment
from dirag.knowledge import base
from dirag.knowledge.index import fuzzy
from dirag.knowledge.index.lookup import Lookup
from dirag.knowledge.store.store import Store
from dirag.taggers.dictionary import DictionaryTagger
from dirag.text.language import english
from dirag.text.normalise import normaliser

NAMES = normaliser(english())


Table = dict[str, float]
Gold = list[list[tuple[int, int, str, set[str]]]]
THRESHOLD = 0.5


def read_corpus(path: Path) -> tuple[list[str], Gold]:
    """Texts (title, blank, abstract) and their gold spans with ids."""
    texts: list[str] = []
    gold: Gold = []
    for line in path.read_text("utf-8").splitlines():
        if "|t|" in line[:12]:
            texts.append(line.split("|", 2)[2])
            gold.append([])
        elif "|a|" in line[:12]:
            texts[-1] += " " + line.split("|", 2)[2]
        elif line:
            _, start, end, text, _, ids = line.split("\t")
            parts = {part.strip() for group in ids.split("|") for part in group.split("+")}
            gold[-1].append((int(start), int(end), text, {part.rpartition(":")[2] for part in parts}))
    return texts, gold


def read_mentions(path: Path) -> list[tuple[str, set[str]]]:
    return [(text, ids) for spans in read_corpus(path)[1] for _, _, text, ids in spans]


def build(medic: Path, folder: Path) -> Table:
    begun = time.perf_counter()
    names = base.build([base.VocabularySource(medic, "medic")], folder).names
    return {"build s": time.perf_counter() - begun, "names": names}


def opening(folder: Path) -> Table:
    begun = time.perf_counter()
    Store(folder)
    return {"open s": time.perf_counter() - begun}


def spelling(folder: Path, medic: Path, corpus: Path) -> Table:
    """The exact and the fuzzy search, bare: the concepts of the key, then those of the keys alike."""
    store = Store(folder)
    trie, near = store.trie, fuzzy.Fuzzy(store.array)

    def look_up(mention: str, k: int) -> list[int]:
        found: dict[int, None] = {}
        words = NAMES.key(mention)
        if (key := trie.find(words)) >= 0:
            found |= dict.fromkeys(store.row_concepts[store.key_rows[key] : store.key_rows[key + 1]])
        if len(found) < k:
            for key, _ in near.search(" ".join(words), threshold=THRESHOLD, limit=2 * k):
                found |= dict.fromkeys(store.row_concepts[store.key_rows[key] : store.key_rows[key + 1]])
        return list(found)[:k]

    return _looked_up("exact, then fuzzy", store, medic, corpus, look_up)


def looking_up(folder: Path, medic: Path, corpus: Path) -> Table:
    """The index that users have, without vectors."""
    store = Store(folder)
    index = Lookup(store, matches=("exact", "fuzzy"))

    def look_up(mention: str, k: int) -> list[int]:
        numbers = (store.number_of(hit.concept.id) for hit in index.lookup([mention], k=k)[0])
        return [number for number in numbers if number is not None]

    return _looked_up("Lookup", store, medic, corpus, look_up)


def _looked_up(
    name: str, store: Store, medic: Path, corpus: Path, look_up: Callable[[str, int], list[int]]
) -> Table:
    lines = medic.read_text("utf-8").splitlines()
    same = {line.partition("|")[0]: set(line.partition("||")[0].split("|")) for line in lines}
    mentions = read_mentions(corpus)
    table: Table = {}
    look_up("warm up", 5)
    for k in (1, 5):
        begun = time.perf_counter()
        found = [look_up(text, k) for text, _ in mentions]
        table[f"{name}: mentions/s, k={k}"] = len(mentions) / (time.perf_counter() - begun)
        right = sum(
            any(same.get(store.concept(number).id.rpartition(":")[2], set()) & ids for number in numbers)
            for numbers, (_, ids) in zip(found, mentions, strict=True)
        )
        table[f"{name}: recall@{k}"] = right / len(mentions)
    return table


def every_name(folder: Path, corpus: Path, number: int) -> Table:
    """The first mentions against every name by ``process.extract``."""
    from rapidfuzz import fuzz, process

    store = Store(folder)
    mentions = [" ".join(NAMES.key(text)) for text, _ in read_mentions(corpus)[:number]]
    keys = [store.key(key) for key in range(store.manifest.keys)]
    begun = time.perf_counter()
    for mention in mentions:
        process.extract(mention, keys, scorer=fuzz.ratio, limit=30)
    return {"rapidfuzz extract: mentions/s": number / (time.perf_counter() - begun)}


def tagging(folder: Path, corpus: Path) -> Table:
    texts, gold = read_corpus(corpus)
    tagger = DictionaryTagger(Lookup(Store(folder), matches=["exact"]), ["disease"], english())
    begun = time.perf_counter()
    taggings = list(tagger.tag(Segment(0, text, number) for number, text in enumerate(texts)))
    seconds = time.perf_counter() - begun
    predicted = {(n, e.start, e.end) for n, tagging in enumerate(taggings) for e in tagging.entities}
    wanted = {(n, start, end) for n, spans in enumerate(gold) for start, end, _, _ in spans}
    correct = len(predicted & wanted)
    precision, recall = correct / len(predicted), correct / len(wanted)
    f1 = 2 * precision * recall / (precision + recall)
    return {"precision": precision, "recall": recall, "f1": f1, "abstracts/s": len(texts) / seconds}


def _apart(pipe: multiprocessing.connection.Connection, step: Callable[..., Table], *values: object) -> None:
    table = step(*values)
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    pipe.send(table | ({f"{step.__name__}: peak MiB": int(peak[1]) / 1024} if peak else {}))


def apart(step: Callable[..., Table], *values: object) -> None:
    """Print the table of a step that runs in a new process, with its peak of memory."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_apart, args=(there, step, *values))
    process.start()
    there.close()
    table: Table = here.recv()
    process.join()
    for name, value in table.items():
        print(f"{name:<40} {value:10,.3f}" if value < 100 else f"{name:<40} {value:10,.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", choices=["train", "develop", "test"], default="test")
    options = parser.parse_args()
    medic = options.data / "vocab/medic/medic_06Jul2012.txt"
    corpus = options.data / f"corpora/ncbi-disease/NCBI{options.split}set_corpus.txt"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "medic"
        apart(build, medic, folder)
        apart(opening, folder)
        apart(spelling, folder, medic, corpus)
        apart(looking_up, folder, medic, corpus)
        apart(every_name, folder, corpus, 100)
        apart(tagging, folder, corpus)


if __name__ == "__main__":
    main()
