"""What is in force in a run, in a line for eyes: tagger, model, adapter, examples, names, thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dirag.assembly import ensemble, sources
from dirag.assembly.choice import tagger_kind, tagger_name, taggers_by_type
from dirag.config import MODEL, Config, adapter_of, engine_kind


def description(config: Config, types: Sequence[str]) -> str:
    """Returns what decides the entities of a run as users name it: defaults and an adapter's settings too."""
    return "; ".join(_parts(config, types))


def _parts(config: Config, types: Sequence[str]) -> Iterator[str]:
    name, kind = tagger_name(config), tagger_kind(config)
    shares = taggers_by_type(config, types) if name == "by-type" else {name: tuple(types)}
    for tagger, of_tagger in shares.items():
        yield f"{tagger} finds {', '.join(of_tagger)}"
    if kind.prompts:
        model = config.model or (MODEL if engine_kind(config).source == "weights" else "what is served")
        adapter = config.adapter if adapter_of(config) else "none"
        yield f"{model} by {config.backend}, adapter {adapter}, {config.shots} examples a prompt"
    if kind.pool:
        yield f"pool {'built-in' if config.pool in ('auto', 'default') else config.pool}"
    if sources.reads_base(config):
        yield f"knowledge base {config.kb}"
    if "ensemble" in shares:
        yield f"mentions from probability {ensemble.read_decision(config).threshold:g} on"
    if "llm" in shares:
        yield f"confidence {config.confidence:g}, known {config.known:g}"
    if config.min_score:
        yield f"score {config.min_score:g} at least"
