"""Links of the gold mentions of clinical notes: the share that gets a concept by type, and how fast.

    python tests/benchmarks/note_links.py ../shared/data [--kb default] [--sample 150 --seed 0]

Each note's mentions are linked by their own type, with the note. ``--sample`` prints so many distinct links,
drawn by chance, as rows to be judged: type, mention, id and name of the concept, score.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from dirag.assembly.sources import DEFAULT_TYPES, read_base
from dirag.data import Hit
from dirag.knowledge.base import KnowledgeBase


class Link(NamedTuple):
    """A gold mention and its concept, if any."""

    type: str
    mention: str
    hit: Hit | None

    @property
    def row(self) -> str:
        """The link as it is judged; blanks in a mention are single."""
        id, name = (self.hit.concept.id, self.hit.concept.name) if self.hit else ("", "")
        return "\t".join((self.type, " ".join(self.mention.split()), id, name))


def links(base: KnowledgeBase, notes: Path) -> Iterator[Link]:
    """Links every gold mention of a file of notes, note by note."""
    linkers = base.linkers_for(DEFAULT_TYPES)
    for line in notes.read_text("utf-8").splitlines():
        note = json.loads(line)
        mentions: defaultdict[str, list[str]] = defaultdict(list)
        for entity in note["entities"]:
            mentions[entity["type"]].append(note["text"][entity["start"] : entity["end"]])
        for type_, texts in mentions.items():
            linker = linkers.get(type_)
            every = linker.lookup(texts, k=1, text=note["text"]) if linker else [[] for _ in texts]
            for text, hits in zip(texts, every, strict=True):
                yield Link(type_, text, hits[0] if hits else None)


def coverage(every: list[Link]) -> dict[str, tuple[int, int]]:
    """By type the mentions with a link, and all."""
    linked = Counter(link.type for link in every if link.hit)
    return {type_: (linked[type_], number) for type_, number in Counter(link.type for link in every).items()}


def sample(every: list[Link], size: int, seed: int) -> list[Link]:
    """So many distinct links, drawn by chance: where few links change, most of the sample stays."""
    rows = {link.row: link for link in every if link.hit}
    return [
        rows[row] for row in sorted(rows, key=lambda row: sha256(f"{seed} {row}".encode()).digest())[:size]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--kb", default="default")
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    base = read_base(arguments.kb)
    begun = time.perf_counter()
    every = list(links(base, arguments.data / "corpora/clinical-notes/devel.jsonl"))
    seconds = time.perf_counter() - begun
    for type_, (linked, number) in sorted(coverage(every).items()):
        print(f"{type_:<10} {linked:>4} of {number:>4} = {linked / number:.3f}")
    print(f"{len(every) / seconds:,.0f} mentions a second")
    for link in sample(every, arguments.sample, arguments.seed):
        print(f"{link.row}\t{link.hit.score if link.hit else 0:.3f}")


if __name__ == "__main__":
    main()
