"""Which tagger a run has: the one that is named, or of "auto" the best for its types and its engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dirag.assembly import token_classifier
from dirag.config import TAGGERS, Config, TaggerKind, decision_of
from dirag.errors import unknown
from dirag.taggers.decision import Decision


def tagger_kind(config: Config) -> TaggerKind:
    """Returns the record of a run's tagger; raises UsageError for a name that is not in the table."""
    name = tagger_name(config)
    if name not in TAGGERS:
        raise unknown("tagger", name, TAGGERS)
    return TAGGERS[name]


def tagger_name(config: Config) -> str:
    """Returns the name of a run's tagger: of "auto" that of the one which is meant."""
    if config.tagger != "auto":
        return config.tagger
    own_pool = config.pool not in ("auto", "default")
    # The ensemble was fitted for one engine and the types of the built-in pool; its scores are of one answer.
    if decision_of(config) is None or config.samples > 1 or (own_pool and not config.types):
        return "llm"
    names = [*taggers_by_type(config, config.types)] or ["ensemble"]
    if own_pool and names != ["ensemble"]:
        return "llm"  # which alone learns types of one's own from examples
    return names[0] if len(names) == 1 else "by-type"


def taggers_by_type(config: Config, types: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Returns names of taggers with the types that each finds best: together all.

    A token classifier of the package that has all of the types, where the ensemble lacks one, finds them all,
    since its corpora tell them apart; else each tagger finds what those before it do not.
    """
    path = decision_of(config)
    decided = Decision.read(path).types if path else ()
    rest = [type_ for type_ in types if type_ not in decided]
    if rest and not token_classifier.missing(types):
        return {"token-classifier": tuple(types)}
    others = token_classifier.missing(rest)
    parts = {
        "ensemble": [type_ for type_ in types if type_ in decided],
        "token-classifier": [type_ for type_ in rest if type_ not in others],
        "llm": others,
    }
    return {name: tuple(of_tagger) for name, of_tagger in parts.items() if of_tagger}
