"""The token classifier of a run from its ``Config``: its folder, its types, and what decides its entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dirag.config import DECISION, Config
from dirag.corpora.labels import type_of
from dirag.encoders import token_model
from dirag.encoders.token_model import read_labels
from dirag.errors import UsageError
from dirag.examples.pool import Pool
from dirag.files import fingerprint, paths
from dirag.files.artifacts import locate
from dirag.knowledge.base import KnowledgeBase
from dirag.protocols import Tagger
from dirag.taggers.decision import Decision
from dirag.taggers.ensemble import EnsembleTagger
from dirag.taggers.token_classifier import TokenClassifier, read_calibration
from dirag.taggers.token_labels import LabelSet

#: The libraries whose versions decide the scores.
_LIBRARIES = ("openvino", "tokenizers", "torch", "transformers")


def open_tagger(
    config: Config, types: Sequence[str], *, base: KnowledgeBase | None, examples: Pool | None
) -> Tagger:
    """Opens a token classifier; it reads neither the knowledge base nor the examples.

    Where its folder has a decision.json, that decides over its spans in place of its best path.
    """
    classifier = open_classifier(config, types)
    path = folder(replace(config, types=tuple(types))) / DECISION
    return EnsembleTagger(classifier, None, None, Decision.read(path)) if path.is_file() else classifier


def open_classifier(config: Config, types: Sequence[str]) -> TokenClassifier:
    """Opens the token classifier of a run.

    Raises UsageError where it has none of the types, ArtifactError where its folder cannot be used.
    """
    path = folder(replace(config, types=tuple(types)))
    wanted = _wanted(path, types)
    if lacking := [type_ for type_ in types if type_ not in wanted.values()]:
        raise UsageError(
            f"the token classifier {str(path)!r} finds no {', '.join(lacking)}",
            hint=f"its types: {', '.join(dict.fromkeys(_types_by_label(path).values()))}",
        )
    model = token_model.open_model(path, threads=config.threads)
    return TokenClassifier(model, wanted, window=config.window, calibration=read_calibration(path))


def missing(types: Sequence[str]) -> list[str]:
    """Returns the types that the token classifier of the package lacks which has most of them."""
    return _lacking(_best_folder(types), types)


def types_of(config: Config) -> tuple[str, ...]:
    """Returns the types that a token classifier finds, in the order of its labels."""
    return tuple(dict.fromkeys(_types_by_label(folder(config)).values()))


def identity(config: Config) -> dict[str, str]:
    """Returns what decides the entities: the content of the folder, and the libraries that run it."""
    return fingerprint.versions(*_LIBRARIES) | {"token classifier": fingerprint.digest(folder(config))}


def folder(config: Config) -> Path:
    """Returns the folder that ``--model`` names, else that of the package which has most of a run's types."""
    if not config.model:
        return _best_folder(config.types)
    path = locate(config.model, offline=config.offline)
    if not path.is_dir():
        raise UsageError(
            f"--tagger token-classifier takes no file, and {str(path)!r} is one",
            hint="name the folder that holds its config.json",
        )
    return path


def _best_folder(types: Sequence[str]) -> Path:
    """Returns the folder of the token classifier which has most of the types, of equal ones the first."""
    return min(paths.token_classifiers(), key=lambda path: len(_lacking(path, types)))


def _lacking(path: Path, types: Sequence[str]) -> list[str]:
    wanted = _wanted(path, types).values()
    return [type_ for type_ in types if type_ not in wanted]


def _wanted(path: Path, types: Sequence[str]) -> dict[str, str]:
    """Returns the type that is asked for by each label that means it, under another name too."""
    names = {type_of(type_): type_ for type_ in types} | {type_: type_ for type_ in types}
    return {label: names[of] for label, of in _types_by_label(path).items() if of in names}


def _types_by_label(path: Path) -> Mapping[str, str]:
    labels = LabelSet(read_labels(path), origin=str(path / "config.json"))
    return {label: type_of(label) for label in labels.types}
