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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test")
    options = parser.parse_args()
    medic = options.data / "vocab/medic/medic_06Jul2012.txt"
    names = {"train": "NCBItrainset", "develop": "NCBIdevelopset", "test": "NCBItestset"}
    texts, gold = read_corpus(options.data / f"corpora/ncbi-disease/{names[options.split]}_corpus.txt")
    same = {line.partition("|")[0]: set(line.partition("||")[0].split("|")) for line in medic.open()}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "medic"
        begun = time.perf_counter()
        manifest = base.build([base.Vocabulary(medic, "medic")], folder)
        built = time.perf_counter()
        kb = base.KnowledgeBase(folder)
        index = kb.index_for(["disease"], threshold=0.0)
        opened = time.perf_counter()
        megabytes = sum(manifest.files.values()) / 1e6
        print(f"names {manifest.names:,}  {megabytes:.1f} MB")
        print(f"build {built - begun:.2f} s  open {opened - built:.3f} s")
        mentions = [(text, ids) for spans in gold for _, _, text, ids in spans]
        index.lookup(["warm up"])
        for k in (1, 5):
            begun = time.perf_counter()
            found = index.lookup([text for text, _ in mentions], k=k)
            seconds = time.perf_counter() - begun
            pairs = list(zip(found, mentions, strict=True))
            recall = sum(any(same[hit.concept.id] & ids for hit in hits) for hits, (_, ids) in pairs)
            print(f"recall@{k} {recall / len(mentions):.3f}  {len(mentions) / seconds:,.0f} mentions/s")
        score_tagging(DictionaryTagger(index, ["disease"]), texts, gold)
        for cut in (0.6, 0.7, 0.75, 0.8, 0.85, 0.9):
            first = [(hits[0], ids) for hits, (_, ids) in pairs if hits and hits[0].score >= cut]
            right = sum(bool(same[hit.concept.id] & ids) for hit, ids in first)
            print(f"first hit with score >= {cut}: precision {right / len(first):.3f}, answered {len(first)}")
        kb.close()


def score_tagging(
    tagger: DictionaryTagger, texts: list[str], gold: list[list[tuple[int, int, str, set[str]]]]
) -> None:
    begun = time.perf_counter()
    taggings = list(tagger.tag(Segment(0, text) for text in texts))
    seconds = time.perf_counter() - begun
    predicted = {(n, e.start, e.end) for n, tagging in enumerate(taggings) for e in tagging.entities}
    wanted = {(n, start, end) for n, spans in enumerate(gold) for start, end, _, _ in spans}
    correct = len(predicted & wanted)
    precision, recall = correct / len(predicted), correct / len(wanted)
    f1 = 2 * precision * recall / (precision + recall)
    print(f"tagging P {precision:.3f} R {recall:.3f} F1 {f1:.3f}  {len(texts) / seconds:,.0f} abstracts/s")


if __name__ == "__main__":
    main()
