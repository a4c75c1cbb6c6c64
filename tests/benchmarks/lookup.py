"""Concept look-up and dictionary tagging on MEDIC and NCBI-disease, as one small table.

    python tests/benchmarks/lookup.py ../shared/data [--split test]

Look-up: each gold mention by its string alone; a hit is any gold id. Tagging: strict spans of the abstracts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from dirag.data import Segment
from dirag.knowledge import base
from dirag.taggers.dictionary import DictionaryTagger


def read_corpus(path: Path) -> tuple[list[str], list[list[tuple[int, int, str, set[str]]]]]:
    """Texts (title, blank, abstract) and their gold spans with ids."""
    texts: list[str] = []
    gold: list[list[tuple[int, int, str, set[str]]]] = []
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


def evaluate(data: Path, split: str) -> dict[str, float]:
    """Every figure of the table, by its name; ``split`` is train, develop or test."""
    medic = data / "vocab/medic/medic_06Jul2012.txt"
    texts, gold = read_corpus(data / f"corpora/ncbi-disease/NCBI{split}set_corpus.txt")
    lines = medic.read_text("utf-8").splitlines()
    same = {line.partition("|")[0]: set(line.partition("||")[0].split("|")) for line in lines}
    mentions = [(text, ids) for spans in gold for _, _, text, ids in spans]
    table = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "medic"
        begun = time.perf_counter()
        table["names"] = float(base.build([base.Vocabulary(medic, "medic")], folder).names)
        table["build s"] = time.perf_counter() - begun
        begun = time.perf_counter()
        kb = base.KnowledgeBase(folder)
        index = kb.index_for(["disease"], threshold=0.0)
        table["open s"] = time.perf_counter() - begun
        index.lookup(["warm up"])
        for k in (1, 5):
            begun = time.perf_counter()
            found = index.lookup([text for text, _ in mentions], k=k)
            table[f"mentions/s, k={k}"] = len(mentions) / (time.perf_counter() - begun)
            right = [
                [bool(same[hit.concept.id] & ids) for hit in hits]
                for hits, (_, ids) in zip(found, mentions, strict=True)
            ]
            table[f"recall@{k}"] = sum(map(any, right)) / len(mentions)
        best = [(hits[0].score, correct[0]) for hits, correct in zip(found, right, strict=True) if hits]
        for cut in (0.6, 0.7, 0.8, 0.9):
            kept = [correct for score, correct in best if score >= cut]
            table[f"answered with score >= {cut}"] = len(kept) / len(mentions)
            table[f"precision with score >= {cut}"] = sum(kept) / len(kept)
        table |= tagging(DictionaryTagger(index, ["disease"]), texts, gold)
        kb.close()
    return table


def tagging(
    tagger: DictionaryTagger, texts: list[str], gold: list[list[tuple[int, int, str, set[str]]]]
) -> dict[str, float]:
    begun = time.perf_counter()
    taggings = list(tagger.tag(Segment(0, text) for text in texts))
    seconds = time.perf_counter() - begun
    predicted = {(n, e.start, e.end) for n, tagging in enumerate(taggings) for e in tagging.entities}
    wanted = {(n, start, end) for n, spans in enumerate(gold) for start, end, _, _ in spans}
    correct = len(predicted & wanted)
    precision, recall = correct / len(predicted), correct / len(wanted)
    f1 = 2 * precision * recall / (precision + recall)
    return {"precision": precision, "recall": recall, "f1": f1, "abstracts/s": len(texts) / seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", choices=["train", "develop", "test"], default="test")
    options = parser.parse_args()
    for name, value in evaluate(options.data, options.split).items():
        print(f"{name:<30} {value:10,.3f}" if value < 100 else f"{name:<30} {value:10,.0f}")


if __name__ == "__main__":
    main()
