"""Measures segmentation on real corpora: ``python tests/benchmarks/segmentation.py [DATA_DIR]``.

Gold mentions that no segment holds whole, lengths of segments, speed, and agreement with the sentence
boundaries of NCBI-disease in BIO. Splitters of others (sentencex, syntok, pysbd, nupunkt) are measured
beside ours, line by line of the text, where they are installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dirag.data import Document
from dirag.formats import read
from dirag.text.segment import segments

Splitter = Callable[[str], list[tuple[int, int]]]

CORPORA = {
    "NCBI-disease": ("ncbi-disease", "pubtator"),
    "BC5CDR": ("bc5cdr-pubtator", "pubtator"),
    "MACCROBAT": ("maccrobat2020-half-a", "brat"),
}
SPLITS = {
    "NCBItrainset_corpus.txt": "train",
    "NCBIdevelopset_corpus.txt": "devel",
    "NCBItestset_corpus.txt": "test",
}


def main() -> None:
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    data = Path(sys.argv[1] if sys.argv[1:] else os.environ.get("DIRAG_TEST_DATA", default)) / "corpora"
    splitters: dict[str, Splitter] = {"dirag": _ours, **_others()}
    print("| splitter | corpus | mentions | cut | segments | median | p99 | longest | MB/s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for corpus, (folder, format) in CORPORA.items():
        documents = list(read([str(data / folder)], format=format))
        for name, split in splitters.items():
            print(f"| {name} | {corpus} | {_row(documents, split)} |")
    print("\nNCBI-disease, boundaries of the BIO version, those between two digits (7. 5) left out")
    print("| splitter | precision | recall |\n|---|---|---|")
    for name, split in splitters.items():
        precision, recall = _agreement(data, split)
        print(f"| {name} | {precision:.4f} | {recall:.4f} |")


def _ours(text: str) -> list[tuple[int, int]]:
    return [(segment.start, segment.end) for segment in segments(text)]


def _row(documents: list[Document], split: Splitter) -> str:
    began = time.perf_counter()
    spans = [split(document.text) for document in documents]
    seconds = time.perf_counter() - began
    lengths = sorted(end - start for found in spans for start, end in found)
    mentions = cut = size = 0
    for document, found in zip(documents, spans, strict=True):
        size += len(document.text)
        mentions += len(document.entities)
        cut += sum(not any(a <= e.start and e.end <= b for a, b in found) for e in document.entities)
    return (
        f"{mentions} | {cut} ({cut / mentions:.3%}) | {len(lengths)} | {statistics.median(lengths):.0f} |"
        f" {lengths[len(lengths) * 99 // 100]} | {lengths[-1]} | {size / seconds / 1e6:.2f}"
    )


def _agreement(data: Path, split: Splitter) -> tuple[float, float]:
    """Precision and recall of boundaries inside documents, counted in letters and digits."""
    correct = found_count = gold_count = 0
    for file, name in SPLITS.items():
        sentences = [_letters(d.text) for d in read([str(data / f"ncbi-disease-bio/{name}.tsv")])]
        stream = "".join(sentences)
        ends: set[int] = set()
        position = 0
        for sentence in sentences:
            position += len(sentence)
            ends.add(position)
        for document in read([str(data / "ncbi-disease" / file)], format="pubtator"):
            letters = _letters(document.text)
            offset = stream.find(letters)
            if offset < 0:
                raise SystemExit(f"document {document.id} of {file} is not in the BIO version")
            # Both sides leave out places between two digits: the BIO version is cut inside "7. 5".
            places = {i for i in range(1, len(letters)) if not letters[i - 1 : i + 1].isdigit()}
            gold = {end - offset for end in ends} & places
            found = {len(_letters(document.text[:end])) for _, end in split(document.text)} & places
            correct += len(gold & found)
            found_count += len(found)
            gold_count += len(gold)
    return correct / found_count, correct / gold_count


def _letters(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


def _others() -> dict[str, Splitter]:
    return {
        name: _by_line(splitter())
        for name, splitter in {
            "sentencex": _sentencex,
            "syntok": _syntok,
            "pysbd": _pysbd,
            "nupunkt": _nupunkt,
        }.items()
        if importlib.util.find_spec(name)
    }


def _by_line(split: Splitter) -> Splitter:
    def lines(text: str) -> list[tuple[int, int]]:
        spans = []
        offset = 0
        for line in text.splitlines(keepends=True):
            for start, end in split(line):
                piece = line[start:end]
                if piece.strip():
                    first = offset + start + len(piece) - len(piece.lstrip())
                    spans.append((first, offset + start + len(piece.rstrip())))
            offset += len(line)
        return spans

    return lines


def _sentencex() -> Splitter:
    module = importlib.import_module("sentencex")
    return lambda text: [
        (b["start_index"], b["end_index"]) for b in module.get_sentence_boundaries("en", text)
    ]


def _syntok() -> Splitter:
    module = importlib.import_module("syntok.segmenter")
    return lambda text: [
        (sentence[0].offset, sentence[-1].offset + len(sentence[-1].value))
        for paragraph in module.analyze(text)
        for sentence in map(list, paragraph)
    ]


def _pysbd() -> Splitter:
    segmenter = importlib.import_module("pysbd").Segmenter(language="en", clean=False, char_span=True)
    return lambda text: [(span.start, span.end) for span in segmenter.segment(text)]


def _nupunkt() -> Splitter:
    module = importlib.import_module("nupunkt")
    return lambda text: [span for _, span in module.sent_spans_with_text(text)] if text.strip() else []


if __name__ == "__main__":
    main()
