"""What a list of mentions cannot say: which of several equal strings was meant, counted over gold.

Prints, for each corpus, what would be lost and wrongly added without ordinals under two conventions: one
item a place (read as the next place not yet passed), and one item a string (read as every place
between token boundaries that no longer mention covers); how many items each has to write; and how many
gold mentions have an end between two letters or two digits.

    python tests/benchmarks/repeats.py [DATA_DIR]
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dirag.data import Document, Mention
from dirag.formats import read
from dirag.text.align import occurrences, place
from dirag.text.occurrences import is_boundary

CORPORA = {
    "ncbi-disease-bio": "conll",
    "bc5cdr-bio": "conll",
    "bc2gm-bio": "conll",
    "ncbi-disease": "pubtator",
    "bc5cdr-pubtator": "pubtator",
}
#: NCBI-disease in PubTator parts diseases in four; a mention list is asked for diseases.
ONE_TYPE = {"SpecificDisease", "Modifier", "DiseaseClass", "CompositeMention"}
Found = set[tuple[int, int, str]]


def disease(type_: str) -> str:
    return "Disease" if type_ in ONE_TYPE else type_


def one_item_a_place(document: Document) -> Found:
    found: Found = set()
    spans = occurrences(document.text, sorted({e.text for e in document.entities}))
    cursor = 0
    for entity in document.entities:
        later = [span for span in spans[entity.text] if span[0] >= cursor]
        start, end = later[0] if later else (0, 0)
        found.add((start, end, disease(entity.type)))
        cursor = end
    return found


def one_item_a_string(document: Document) -> Found:
    names = dict.fromkeys((e.text, disease(e.type)) for e in document.entities)
    entities, _ = place(document.text, [Mention(name, type_) for name, type_ in names])
    return {(e.start, e.end, e.type) for e in entities}


def row(name: str, documents: list[Document]) -> str:
    items = strings = inside = 0
    wrong = [0, 0, 0, 0]
    for document in documents:
        text, entities = document.text, document.entities
        gold = {(e.start, e.end, disease(e.type)) for e in entities}
        items += len(gold)
        strings += len({(e.text, disease(e.type)) for e in entities})
        inside += sum(not (is_boundary(text, e.start) and is_boundary(text, e.end)) for e in entities)
        for i, found in enumerate((one_item_a_place(document), one_item_a_string(document))):
            wrong[2 * i] += len(gold - found)
            wrong[2 * i + 1] += len(found - gold)
    a_place, a_string = f"{items}, {wrong[0]}, {wrong[1]}", f"{strings}, {wrong[2]}, {wrong[3]}"
    return f"| {name} | {len(documents)} | {items} | {a_place} | {a_string} | {inside} |"


def main() -> None:
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    data = Path(sys.argv[1] if sys.argv[1:] else os.environ.get("DIRAG_TEST_DATA", default)) / "corpora"
    print(
        "| corpus | texts | gold | an item a place: items, lost, added | a string: the same | inside words |"
    )
    print("|---|---|---|---|---|---|")
    for name, format_ in CORPORA.items():
        print(row(name, list(read([str(data / name)], format=format_))))


if __name__ == "__main__":
    main()
