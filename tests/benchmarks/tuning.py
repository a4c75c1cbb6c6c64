"""What tuning an encoder to MEDIC is worth: recall of names held out and of NCBI-disease mentions.

    python tests/benchmarks/tuning.py ../shared/data WORK [--steps 100] [--split develop]

Bases and encoder are made in the folder WORK unless they are there. The training sees names of MEDIC only;
mentions are looked up by their vectors alone, and by everything that the index knows.
"""

from __future__ import annotations

import argparse
import json
import runpy
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from dirag.encoders.opening import open_encoder
from dirag.knowledge import base
from dirag.knowledge.index import dense
from dirag.knowledge.store.store import Store
from dirag.text import abbreviations
from dirag.text.language import english
from dirag.training.sentence_encoder import recall
from dirag.training.sentence_encoder.tune import CARD, Options, tune

_LINKING = runpy.run_path(str(Path(__file__).with_name("linking.py")))


def by_vectors(folder: Path, encoder: str, forms: Sequence[str], right: Sequence[set[str]]) -> list[float]:
    """Recall@1 and @5 of the concepts whose names have the nearest vectors; ``right`` are first ids."""
    store = Store(folder)
    info = dense.read_info(store.manifest.extra)
    assert info is not None
    index = dense.open_index(folder, info, open_encoder(encoder))
    keys, _ = index.search(index.embedder.embed(forms), limit=recall.NEAREST)
    found = [recall.concepts_of(store, row)[:5] for row in keys.tolist()]
    hits = [
        [store.concept(concept).id.rpartition(":")[2] in ids for concept in row]
        for row, ids in zip(found, right, strict=True)
    ]
    return [sum(any(row[:k]) for row in hits) / len(hits) for k in (1, 5)]


def evaluate(folder: Path, encoder: str, data: Path, split: str) -> Iterator[tuple[str, list[float]]]:
    """Recall@1 and @5 of the mentions of a split, by each way to look them up."""
    gold, same = _LINKING["read"](data, split), _LINKING["other_ids"](data)
    gold.sort(key=lambda mention: mention.document)
    right = [{first for first, ids in same.items() if ids & mention.ids} for mention in gold]
    defined = {
        text: abbreviations.definitions(text, english()) for text in {mention.document for mention in gold}
    }
    written = [abbreviations.expand(mention.text, defined[mention.document], english()) for mention in gold]
    yield "string, vectors alone", by_vectors(folder, encoder, [m.text for m in gold], right)
    yield "abbreviations written out, vectors alone", by_vectors(folder, encoder, written, right)
    kb = base.KnowledgeBase(folder, encoder=encoder)
    index = kb.index_for(["disease"])
    for name, look in (("string", "by_string"), ("document", "by_document")):
        yield f"{name}, whole look-up", _LINKING["recall"](_LINKING[look](index, gold), gold, same)
    kb.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--encoder", default="all-minilm-l6-v2")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rate", type=float, default=5e-5)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--hold-out", type=float, default=0.03)
    parser.add_argument("--split", choices=["train", "develop", "test"], default="develop")
    options = parser.parse_args()
    before, tuned, after = (options.work / name for name in ("base", "tuned", "base-tuned"))
    vocabulary = base.VocabularySource(_LINKING["medic"](options.data), "medic")
    if not before.exists():
        base.build([vocabulary], before, base.BuildOptions(encoder=options.encoder), progress=True)
    if not tuned.exists():
        chosen = Options(
            steps=options.steps,
            rate=options.rate,
            hold_out=options.hold_out,
            precision=options.precision,
        )
        print(json.dumps(asdict(tune(before, tuned, encoder=options.encoder, options=chosen, progress=True))))
    if not after.exists():
        base.build([vocabulary], after, base.BuildOptions(encoder=str(tuned)), progress=True)
    report = json.loads((tuned / CARD).read_text())["report"]
    for folder, encoder, name in ((before, options.encoder, "before"), (after, str(tuned), "after")):
        print(f"{name}: recall@1 and @5")
        if report[name]:
            print(f"  {'held-out synonyms':<45} {report[name]['at1']:.3f} {report[name]['at5']:.3f}")
        for way, (first, fifth) in evaluate(folder, encoder, options.data, options.split):
            print(f"  {options.split + ': ' + way:<45} {first:.3f} {fifth:.3f}")


if __name__ == "__main__":
    main()
