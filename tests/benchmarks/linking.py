"""Linking of gold mentions to concepts on MEDIC and NCBI-disease: recall, calibration and speed, or a fit.

    python tests/benchmarks/linking.py ../shared/data [--kb DIR] [--encoder NAME|PATH] [--split test]
    python tests/benchmarks/linking.py ../shared/data --fit

A hit is any gold id, or another id of the same MEDIC line. ``--fit`` prints the weights of ``ranking``,
fitted on train and development mentions; nothing of the test set is read. ``--kb`` keeps the built base.
"""

from __future__ import annotations

import argparse
import runpy
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dirag.data import Hit, Match
from dirag.knowledge import base
from dirag.knowledge.index import ranking
from dirag.knowledge.index.lookup import EVERY, LINKED, Lookup, NameMatch
from dirag.text import abbreviations
from dirag.text.language import english

SPELLING: tuple[Match, ...] = ("exact", "fuzzy")
_FIELDS = [field for group in ranking.DENSE.weights for field in group._fields]
_LOOKUP = runpy.run_path(str(Path(__file__).with_name("lookup.py")))


@dataclass(frozen=True, slots=True)
class Mention:
    """A gold mention with the ids that are right."""

    text: str
    document: str
    ids: frozenset[str]


def read(data: Path, split: str) -> list[Mention]:
    """The mentions of train, develop or test, in order."""
    texts, gold = _LOOKUP["read_corpus"](data / f"corpora/ncbi-disease/NCBI{split}set_corpus.txt")
    return [
        Mention(surface, text, frozenset(ids))
        for text, spans in zip(texts, gold, strict=True)
        for _, _, surface, ids in spans
    ]


def other_ids(data: Path) -> dict[str, set[str]]:
    """The first id of each line of MEDIC to all of its ids."""
    lines = medic(data).read_text("utf-8").splitlines()
    return {line.partition("|")[0]: set(line.partition("||")[0].split("|")) for line in lines}


def medic(data: Path) -> Path:
    return data / "vocab/medic/medic_06Jul2012.txt"


def recall(found: Sequence[Sequence[Hit]], gold: Sequence[Mention], same: dict[str, set[str]]) -> list[float]:
    """Recall@1 and @5."""
    right = [
        [bool(same[hit.concept.id.rpartition(":")[2]] & mention.ids) for hit in hits]
        for hits, mention in zip(found, gold, strict=True)
    ]
    return [sum(any(row[:k]) for row in right) / len(gold) for k in (1, 5)]


def by_string(index: Lookup, gold: Sequence[Mention], k: int = 5) -> list[list[Hit]]:
    return index.lookup([mention.text for mention in gold], k=k)


def by_document(index: Lookup, gold: Sequence[Mention], k: int = 5) -> list[list[Hit]]:
    """Each mention with its document, one call a document."""
    found: list[list[Hit]] = []
    for text in dict.fromkeys(mention.document for mention in gold):
        found += index.lookup([m.text for m in gold if m.document == text], k=k, text=text)
    return found


def evaluate(kb: base.KnowledgeBase, data: Path, split: str) -> Iterator[tuple[str, float]]:
    """Every figure by its name."""
    gold, same = read(data, split), other_ids(data)
    gold = [
        mention
        for text in dict.fromkeys(m.document for m in gold)
        for mention in gold
        if mention.document == text
    ]
    for name, how in (("spelling", SPELLING), ("with meaning", EVERY)):
        if name == "with meaning" and kb.dense_info is None:
            continue
        for way, look in (("string", by_string), ("document", by_document)):
            index = kb.index_for(["disease"], matches=how)
            index.lookup(["warm up"])
            begun = time.perf_counter()
            found = look(index, gold)
            seconds = time.perf_counter() - begun
            first, fifth = recall(found, gold, same)
            yield f"{way}, {name}: recall@1", first
            yield f"{way}, {name}: recall@5", fifth
            yield f"{way}, {name}: mentions/s in batches", len(gold) / seconds
            if way == "string":
                index = kb.index_for(["disease"], matches=how)
                begun = time.perf_counter()
                for mention in gold:
                    index.lookup([mention.text])
                yield f"{way}, {name}: mentions/s one by one", len(gold) / (time.perf_counter() - begun)
            yield from calibration(found, gold, same, f"{way}, {name}")


def calibration(
    found: Sequence[Sequence[Hit]], gold: Sequence[Mention], same: dict[str, set[str]], name: str
) -> Iterator[tuple[str, float]]:
    """The expected calibration error in ten bins of the best hit's score, and what a link is worth."""
    best = [
        (hits[0].score, bool(same[hits[0].concept.id.rpartition(":")[2]] & mention.ids))
        if hits
        else (0.0, False)
        for hits, mention in zip(found, gold, strict=True)
    ]
    bins: dict[int, list[tuple[float, bool]]] = {}
    for score, correct in best:
        bins.setdefault(min(int(score * 10), 9), []).append((score, correct))
    error = sum(abs(sum(s - c for s, c in group)) for group in bins.values()) / len(best)
    yield f"{name}: calibration error", error
    kept = [correct for score, correct in best if score >= LINKED]
    yield f"{name}: linked", len(kept) / len(best)
    yield f"{name}: precision of the linked", sum(kept) / max(len(kept), 1)


def fit(kb: base.KnowledgeBase, data: Path) -> None:
    """Print the weights of both models, fitted on mentions with and without their documents."""
    same = other_ids(data)
    for name, how in (("LEXICAL", SPELLING), ("DENSE", EVERY)):
        index = kb.index_for(["disease"], matches=how)
        cases = {
            split: list(_cases(index, read(data, split), same, name == "DENSE"))
            for split in ("train", "develop")
        }
        print(
            name,
            "weights by train:",
            [round(r, 4) for r in _recalls(_fit(cases["train"]), cases["develop"])],
            "on develop",
        )
        model = _fit(cases["train"] + cases["develop"])
        for feature, weight in zip(_FIELDS, _flat(model.weights), strict=True):
            print(f"    {feature:<30} {weight:6.2f}")
        print(f"    {'none':<30} {model.none:6.2f}")


@dataclass(frozen=True, slots=True)
class _Case:
    """The evidence for a mention: a row a name, the concept of each row, and whether that is right."""

    features: NDArray[np.float64]
    concepts: NDArray[np.int64]
    right: NDArray[np.bool_]


def _cases(
    index: Lookup, gold: Sequence[Mention], same: dict[str, set[str]], meaning: bool
) -> Iterator[_Case]:
    """Each mention twice: by its string, and written out with what its document names."""
    definitions = {
        text: abbreviations.definitions(text, english()) for text in {mention.document for mention in gold}
    }
    written = [
        abbreviations.expand(mention.text, definitions[mention.document], english()) for mention in gold
    ]
    forms = list(dict.fromkeys([*written, *(mention.text for mention in gold)]))
    found = {form: _arrays(index, rows) for form, rows in index.match_names(forms, meaning=meaning) if rows}
    named = {text: index.concepts_in(text) for text in definitions}
    for mention, long in zip(gold, written, strict=True):
        for form, inside in ((mention.text, frozenset[int]()), (long, named[mention.document])):
            if form in found:
                features, concepts, ids = found[form]
                held = np.array([concept in inside for concept in concepts.tolist()], float)
                features = features.copy()
                features[:, _FIELDS.index("in_document")] = held
                features[:, _FIELDS.index("abbreviation_in_document")] = held * ranking.is_abbreviation(form)
                right = np.array([bool(same[concept.rpartition(":")[2]] & mention.ids) for concept in ids])
                yield _Case(features, concepts, right)


def _arrays(
    index: Lookup, rows: Sequence[NameMatch]
) -> tuple[NDArray[np.float64], NDArray[np.int64], list[str]]:
    concepts = [row.concept for row in rows]
    ids = [index._store.concept(concept).id for concept in concepts]
    return np.array([_flat(row.features) for row in rows]), np.array(concepts), ids


def _flat(features: ranking.Features) -> list[float]:
    return [value for group in features for value in group]


def _fit(cases: Sequence[_Case], rounds: int = 3) -> ranking.Model:
    """Multinomial logistic regression over the best name of each concept, chosen by the weights so far."""
    from scipy.optimize import minimize  # type: ignore[import-untyped]

    weights = np.append(_flat(ranking.DENSE.weights), ranking.DENSE.none)
    for _ in range(rounds):
        chosen = [_best(case, weights[:-1]) for case in cases]
        rows = np.concatenate([case.features[best] for case, best in zip(cases, chosen, strict=True)])
        right = np.concatenate([case.right[best] for case, best in zip(cases, chosen, strict=True)])
        starts = np.cumsum([0] + [len(best) for best in chosen])
        weights = minimize(_loss, weights, (rows, right, starts), jac=True, method="L-BFGS-B").x
    values = iter(weights[:-1].tolist())
    spelling = ranking.SpellingFeatures(*(next(values) for _ in ranking.SpellingFeatures._fields))
    name = ranking.NameFeatures(*(next(values) for _ in ranking.NameFeatures._fields))
    concept = ranking.ConceptFeatures(*(next(values) for _ in ranking.ConceptFeatures._fields))
    features = ranking.Features(spelling, name, concept)
    return ranking.Model(features, float(weights[-1]))


def _best(case: _Case, weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """The row of each concept that scores best."""
    order = np.argsort(-(case.features @ weights), kind="stable")
    _, first = np.unique(case.concepts[order], return_index=True)
    return order[first]


def _loss(
    weights: NDArray[np.float64],
    rows: NDArray[np.float64],
    right: NDArray[np.bool_],
    starts: NDArray[np.int64],
) -> tuple[float, NDArray[np.float64]]:
    """Mean negative log-likelihood, and its gradient; the last weight is that of the choice "none"."""
    sizes = np.diff(starts)
    scores = rows @ weights[:-1]
    top = np.maximum(np.maximum.reduceat(scores, starts[:-1]), weights[-1])
    odds, none = np.exp(scores - np.repeat(top, sizes)), np.exp(weights[-1] - top)
    total = np.add.reduceat(odds, starts[:-1]) + none
    good = np.add.reduceat(odds * right, starts[:-1])
    solvable = good > 0
    likelihood = np.where(solvable, good, none) / total
    posterior = np.where(
        np.repeat(solvable, sizes), odds * right / np.repeat(np.where(solvable, good, 1), sizes), 0
    )
    gradient = np.append(
        rows.T @ (odds / np.repeat(total, sizes) - posterior), (none / total - ~solvable).sum()
    ) / len(sizes)
    penalty = 1e-4 * weights
    return float(-np.log(likelihood).mean() + penalty @ weights / 2), gradient + penalty


def _recalls(model: ranking.Model, cases: Sequence[_Case]) -> list[float]:
    weights = np.array(_flat(model.weights))
    hits = np.zeros(2)
    for case in cases:
        best = _best(case, weights)
        order = best[np.argsort(-(case.features[best] @ weights), kind="stable")]
        hits += [case.right[order[:k]].any() for k in (1, 5)]
    return [float(share) for share in hits / len(cases)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--kb", type=Path)
    parser.add_argument("--encoder", default="all-minilm-l6-v2")
    parser.add_argument("--split", choices=["train", "develop", "test"], default="test")
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.kb or Path(scratch) / "medic"
        if not folder.exists():
            vocabulary = base.VocabularySource(medic(options.data), "medic")
            base.build([vocabulary], folder, base.BuildOptions(encoder=options.encoder), progress=True)
        kb = base.KnowledgeBase(folder)
        if options.fit:
            fit(kb, options.data)
        else:
            for name, value in evaluate(kb, options.data, options.split):
                print(f"{name:<55} {value:10,.3f}")
        kb.close()


if __name__ == "__main__":
    main()
