"""Measures how well an adapter tags held-out sentences: by the engine that will run it, as strict micro F1.

Prompts are bare, without examples and concept lines: they show what the adapter itself has learnt, in less
time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from dirag.assembly import engines, tagging
from dirag.backends.openvino import model
from dirag.config import ADAPTER_WEIGHTS, MODEL, Config
from dirag.files.artifacts import locate
from dirag.knowledge.base import KnowledgeBase
from dirag.taggers.llm import LlmTagger
from dirag.taggers.weighing import Weigher
from dirag.training.corpora import HeldOut


def weighers(held_out: Iterable[HeldOut], config: Config, base: KnowledgeBase | None) -> tuple[Weigher, ...]:
    """Returns what answers are weighed against: of each corpus the names that its training split knows."""
    pools = ((corpus.types, corpus.corpus.pool.restricted(corpus.types)) for corpus in held_out)
    return tuple(tagging.weigher(config, types, base=base, examples=pool) for types, pool in pools)


def f1(
    held_out: Sequence[HeldOut], weighers: Sequence[Weigher], config: Config, adapter: Path
) -> dict[str, float]:
    """Returns the strict micro F1 on each corpus with the adapter of a folder."""
    config = replace(config, adapter=str(adapter), shots=0, concepts=0)
    result = {}
    with closing(engines.backend(config)) as engine:
        for corpus, weigher in zip(held_out, weighers, strict=True):
            builder = tagging.builder(config, corpus.types, context=engine.context, count=engine.count_tokens)
            tagger = LlmTagger(engine, builder, weigher=weigher)
            result[corpus.name] = corpus.f1(corpus.tag(tagger))
    if config.backend == "openvino":  # its copy of the model with this adapter will not be asked for again
        model.discard(locate(config.model or MODEL, offline=config.offline), adapter / ADAPTER_WEIGHTS)
    return result
