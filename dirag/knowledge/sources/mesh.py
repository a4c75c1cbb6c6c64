"""MeSH descriptors as XML (``desc2026.xml``): a descriptor is a concept, its names are all terms under it.

A descriptor's parents are those one step up in each of its tree numbers, its semantic types go by tree
number. The file is read twice, as a stream: first for the tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from xml.etree import ElementTree

from dirag.data import Concept
from dirag.knowledge.sources.identifiers import registry
from dirag.knowledge.sources.opening import elements
from dirag.knowledge.sources.reading import Reading, Rejected, clean

_PREFERRED = "ConceptList/Concept[@PreferredConceptYN='Y']"


def read(path: Path, reading: Reading) -> Iterator[Concept]:
    """Yields a concept for each descriptor with an id and a name."""
    tree = {
        number: _text(record, "DescriptorUI")
        for record in _records(path, Rejected())  # what is wrong is counted in the second pass
        for number in _tree_numbers(record)
    }
    for position, record in enumerate(_records(path, reading.rejected), 1):
        identifier, name = _text(record, "DescriptorUI"), _text(record, "DescriptorName/String")
        if not identifier or not name:
            reading.rejected.add("record without id or name", f"{path.name}: record {position}")
            continue
        numbers = _tree_numbers(record)
        parents = []
        for above in filter(None, (number.rpartition(".")[0] for number in numbers)):
            if above in tree:
                parents.append(f"MESH:{tree[above]}")
            else:
                reading.rejected.add(
                    "tree number of no descriptor", f"{path.name}: {above} over {identifier}"
                )
        registered = (
            registry(number.text or "") for number in record.iterfind(f"{_PREFERRED}//RegistryNumber")
        )
        yield Concept(
            f"MESH:{identifier}",
            name,
            clean([term.text or "" for term in record.iterfind(".//TermList/Term/String")], name),
            semantic_types(numbers, reading),
            _text(record, f"{_PREFERRED}/ScopeNote"),
            reading.source,
            tuple(dict.fromkeys(parents)),
            tuple(dict.fromkeys(filter(None, registered))),
        )


def _records(path: Path, rejected: Rejected) -> Iterator[ElementTree.Element]:
    root = None
    # The root is emptied too: iterparse hangs every record on it, 30,000 of them by the end of the file.
    for event, element in elements(path, "MeSH XML", rejected):
        root = element if root is None else root
        if event == "end" and element.tag == "DescriptorRecord":
            yield element
            root.clear()


def _tree_numbers(record: ElementTree.Element) -> list[str]:
    return [number.text or "" for number in record.iterfind("TreeNumberList/TreeNumber")]


def semantic_types(numbers: Sequence[str], reading: Reading) -> tuple[str, ...]:
    """Returns for each tree number the type of its longest beginning in the type map."""
    types: list[str] = []
    for number in numbers:
        beginnings = [number[:1], *accumulate(number.split("."), "{}.{}".format)]
        matching = [reading.types.mesh[part] for part in beginnings if part in reading.types.mesh]
        types += matching[-1:]
    return tuple(dict.fromkeys(types))


def _text(element: ElementTree.Element, path: str) -> str:
    return " ".join(element.findtext(path, "").split())
