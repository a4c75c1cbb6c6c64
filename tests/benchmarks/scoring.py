"""What scoring costs: BC5CDR test beside nervaluate and seqeval, and the memory of a million entities.

    python -m tests.benchmarks.scoring ../shared/data [--rounds N] [--entities N]

Each tool begins with what its reader gives (documents, lists of spans, lists of tags) and ends with counts or
a report; seqeval does strict scores alone, nervaluate the four schemes of SemEval-2013, with no scores by
token. The predictions are the gold entities, some missed, moved or of another type. Times are of the process,
the least of the rounds. The million are generated as they are scored, in a process
of its own; then the same is done from two JSONL files by `dirag eval --predictions`. Needs Linux.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import orjson

from dirag.data import Document, Entity
from dirag.evaluate.bootstrap import intervals
from dirag.evaluate.scoring.score import SCHEMES, score
from dirag.formats import read
from dirag.formats.bio_tags import to_bio

CORPORA = {
    "sentences": ("bc5cdr-bio/test.tsv", "conll"),
    "abstracts": ("bc5cdr-pubtator/CDR_TestSet.PubTator.txt", "pubtator"),
}
A_DOCUMENT = 4  # entities of a generated document


def noisy(document: Document, dice: random.Random) -> Document:
    """A system's output: of the entities of a document a tenth is missed, as many too long, some mistyped."""
    found = []
    for entity in document.entities:
        chance = dice.random()
        if chance < 0.1:
            continue
        if chance < 0.2:
            end = min(len(document.text), entity.end + 4)
            entity = replace(entity, end=end, text=document.text[entity.start : end])
        elif chance < 0.25:
            entity = replace(entity, type="Chemical" if entity.type == "Disease" else "Disease")
        found.append(entity)
    return replace(document, entities=tuple(found))


def tools(gold: Sequence[Document], predicted: Sequence[Document]) -> dict[str, Callable[[], object]]:
    """Each way to score, with its input ready."""
    from nervaluate import Evaluator
    from seqeval.metrics import classification_report
    from seqeval.scheme import IOB2

    sides = (gold, predicted)
    spans = [
        [[{"label": e.type, "start": e.start, "end": e.end - 1} for e in d.entities] for d in side]
        for side in sides
    ]
    tags = [[to_bio(d.text, d.entities)[1] for d in side] for side in sides]
    types = ["Chemical", "Disease"]
    return {
        "ours, all five schemes": lambda: score(gold, predicted, types=types),
        "ours, without tokens": lambda: score(gold, predicted, types=types, tokens=False),
        "nervaluate, spans": lambda: Evaluator(*spans, tags=types, loader="dict").evaluate(),
        "nervaluate, tags": lambda: Evaluator(*tags, tags=types, loader="list").evaluate(),
        "seqeval strict, tags": lambda: classification_report(
            *tags, mode="strict", scheme=IOB2, output_dict=True, zero_division=0
        ),
    }


def race(name: str, data: Path, rounds: int) -> None:
    path, format = CORPORA[name]
    dice = random.Random(0)
    # Without ids, which the others do not score.
    gold = [
        replace(d, entities=tuple(replace(e, link=None) for e in d.entities))
        for d in read([str(data / "corpora" / path)], format=format)
    ]
    predicted = [noisy(document, dice) for document in gold]
    ways = tools(gold, predicted)
    best = {
        way: min(timeit.repeat(work, number=1, repeat=rounds, timer=time.process_time))
        for way, work in ways.items()
    }
    entities = sum(len(document.entities) for document in gold)
    print(f"BC5CDR test, {len(gold):,} {name}, {entities:,} gold entities")
    for way, seconds in best.items():
        print(f"  {way:24} {seconds * 1000:8.1f} ms  {seconds / best['ours, without tokens']:6.1f}")


def generated(entities: int, dice: random.Random) -> Iterator[Document]:
    """Documents of 600 characters with four entities, about as dense as BC5CDR."""
    for number in range(entities // A_DOCUMENT):
        text = f"{number:09} " + "word " * 118
        starts = sorted(dice.sample(range(10, 590, 5), A_DOCUMENT))
        found = (Entity(s, s + 4, dice.choice(["Chemical", "Disease"]), text[s : s + 4], 0.5) for s in starts)
        yield Document(str(number), text, tuple(found))


def million(entities: int) -> None:
    """Scores and intervals of generated documents, and the memory that they take beyond the imports."""
    list(islice(generated(100, random.Random(0)), 1))
    score([Document("1", "a")], [])  # numpy is imported here
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    found = score(generated(entities, random.Random(0)), generated(entities, random.Random(1)))
    scored = time.perf_counter() - begun
    intervals({scheme: found.of(scheme).per_document for scheme in SCHEMES})
    seconds = time.perf_counter() - begun - scored
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{found.micro.gold:,} gold entities of {len(found.documents):,} documents, made while they are read"
    )
    print(f"  made and scored {scored:8.1f} s; five intervals {seconds:.1f} s")
    print(f"  memory {before / 1024:.0f} MB with the imports, {peak / 1024:.0f} MB at the peak")


def command(entities: int) -> None:
    """The same by the command line, from two files."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, seed in (("gold", 0), ("predicted", 1)):
            with Path(scratch, f"{name}.jsonl").open("wb") as file:
                for document in generated(entities, random.Random(seed)):
                    spans = [{"start": e.start, "end": e.end, "type": e.type} for e in document.entities]
                    record = {"id": document.id, "text": document.text, "entities": spans}
                    file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
        begun = time.perf_counter()
        scored = ["eval", "--dataset", "gold.jsonl", "--predictions", "predicted.jsonl", "--json"]
        subprocess.run(
            [sys.executable, "-m", "dirag", *scored], cwd=scratch, check=True, stdout=subprocess.DEVNULL
        )
        seconds = time.perf_counter() - begun
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        size = sum(path.stat().st_size for path in Path(scratch).glob("*.jsonl"))
    print(f"dirag eval --predictions, the same from {size >> 20} MB of JSONL")
    print(f"  {seconds:.1f} s, {peak / 1024:.0f} MB at the peak")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--entities", type=int, default=1_000_000)
    options = parser.parse_args()
    for name in CORPORA:
        race(name, options.data, options.rounds)
    for work in (million, command):
        process = multiprocessing.get_context("spawn").Process(target=work, args=(options.entities,))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
