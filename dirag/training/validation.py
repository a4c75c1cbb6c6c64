"""How well an adapter tags sentences that it never saw: the engine that will run it, the whole tagger, F1.

The prompts are bare, without examples and concept lines: what the adapter itself has learnt is to be seen,
and soon.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from dirag import assembly
from dirag.artifacts import locate
from dirag.assembly import ADAPTER_FILE
from dirag.backends import openvino_model
from dirag.config import MODEL, Config
from dirag.data import Document
from dirag.errors import DatasetError
from dirag.evaluate import datasets
from dirag.evaluate.score import score
from dirag.knowledge.base import KnowledgeBase
from dirag.lexicon import Lexicon
from dirag.pipeline import tag
from dirag.pool import restrict
from dirag.selection import comparison_form
from dirag.taggers.llm import LlmTagger
from dirag.training.lessons import Corpus


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Sentences of the development split of a corpus, with the names that its training split knows."""

    name: str
    documents: tuple[Document, ...]
    types: tuple[str, ...]
    whole: bool
    lexicon: Lexicon | None


def held_out(
    corpora: Sequence[Corpus],
    config: Config,
    base: KnowledgeBase | None,
    *,
    limit: int,
    data_dir: str | None = None,
) -> Iterator[HeldOut]:
    """The development splits, together at most ``limit`` documents; a corpus without one has none.

    What is trained on is left out.
    """
    seen = {comparison_form(e.text) for corpus in corpora for e in corpus.pool.examples}
    found = [(corpus, devel) for corpus in corpora if (devel := _devel(corpus, config, data_dir))]
    for corpus, dataset in found:
        types = corpus.types
        fresh = [restrict(d, types) for d in dataset.documents if comparison_form(d.text) not in seen]
        documents = datasets.sample(fresh, max(1, limit // len(found)), seed=config.seed)
        examples = corpus.pool.restricted(types)
        index = base.index_for(types) if base else None
        lexicon = assembly.lexicon(config, types, examples, index)
        yield HeldOut(dataset.name, documents, types, dataset.sentences, lexicon)


def _devel(corpus: Corpus, config: Config, data_dir: str | None) -> datasets.Dataset | None:
    try:
        split = datasets.load(corpus.dataset.name, split="devel", data_dir=data_dir, offline=config.offline)
    except DatasetError:
        return None
    return split if split.split == "devel" else None  # else it is the whole file, which is trained on


def f1(held: Sequence[HeldOut], config: Config, adapter: Path) -> dict[str, float]:
    """The strict micro F1 on each corpus with the adapter of a folder."""
    config = replace(config, adapter=str(adapter), shots=0, concepts=0)
    found = {}
    with closing(assembly.backend(config)) as engine:
        for each in held:
            builder = assembly.builder(config, each.types, context=engine.context, count=engine.count_tokens)
            tagger = LlmTagger(engine, builder, None, shots=0, lexicon=each.lexicon)
            bare = (replace(document, entities=()) for document in each.documents)
            results = tag(bare, tagger, whole=each.whole)
            predicted = (replace(result.document, entities=result.entities) for result in results)
            found[each.name] = score(each.documents, predicted, types=each.types, tokens=False).micro.f1
    if config.backend == "openvino":
        openvino_model.discard(locate(config.model or MODEL, offline=config.offline), adapter / ADAPTER_FILE)
    return found
