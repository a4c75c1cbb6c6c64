"""The ensemble of a run from its ``Config``: token classifier, LLM, known names, and what weighs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dirag.assembly import sources, tagging, token_classifier
from dirag.config import Config, decision_of
from dirag.errors import UsageError
from dirag.examples.pool import Pool
from dirag.files import fingerprint
from dirag.knowledge.base import KnowledgeBase
from dirag.protocols import Tagger
from dirag.taggers.decision import Decision
from dirag.taggers.ensemble import EnsembleTagger
from dirag.taggers.token_classifier import TokenClassifier


def open_tagger(
    config: Config, types: Sequence[str], *, base: KnowledgeBase | None, examples: Pool | None
) -> Tagger:
    """Opens the ensemble of the package's token classifier and the engine of a run with its adapter.

    Raises UsageError where its weights were not fitted for the adapter, or for some of the types.
    """
    decision = read_decision(config)
    if missing := [type_ for type_ in types if type_ not in decision.types]:
        raise UsageError(
            f"--tagger ensemble finds no {', '.join(missing)}",
            hint=f"its types: {', '.join(decision.types)}; --tagger llm finds any",
        )
    examples = (examples or sources.pool(config)).restricted(types)
    names = tagging.known_names(config, types, base=base, examples=examples)
    return EnsembleTagger(
        classifier(config, types), names, llm(config, types, base=base, examples=examples), decision
    )


def classifier(config: Config, types: Sequence[str]) -> TokenClassifier:
    """Opens the token classifier of the package, which reads sentence by sentence, for some types."""
    return token_classifier.open_classifier(of_package(config), types)


def of_package(config: Config) -> Config:
    """Returns the config of a run as its token classifier has it: --model names the weights of the LLM."""
    return replace(config, model="", window="sentence")


def llm(config: Config, types: Sequence[str], *, base: KnowledgeBase | None, examples: Pool) -> Tagger:
    """Opens the LLM tagger of a run, whose entities are not weighed: their scores are raw."""
    bare = replace(config, tagger="llm", lexicon=False, confidence=0.0)
    return tagging.llm_tagger(bare, types, base=base, examples=examples)


def read_decision(config: Config) -> Decision:
    """Reads the weights that were fitted for the adapter of a run."""
    path = decision_of(config)
    if path is None:
        raise UsageError(
            "--tagger ensemble has no weights for this engine and adapter",
            hint="name an --adapter with a decision.json (dirag train decision), or give --tagger llm",
        )
    return Decision.read(path)


def types_of(config: Config) -> tuple[str, ...]:
    """Returns the types that the ensemble finds, in the order of the built-in pool."""
    types = read_decision(config).types
    return tuple(type_ for type_ in sources.DEFAULT_TYPES if type_ in types)


def identity(config: Config) -> dict[str, str]:
    """Returns what decides the entities beside the LLM: the classifier and the weights."""
    parts = token_classifier.identity(of_package(config))
    path = decision_of(config)
    return parts | ({"decision": fingerprint.digest(path)} if path else {})
