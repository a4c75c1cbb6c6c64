"""From corpora to the weights of the ensemble: tags their development splits by every witness, and fits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dirag.assembly import ensemble, sources, tagging, token_classifier
from dirag.config import ADAPTER_WEIGHTS, Config, adapter_of
from dirag.corpora import datasets
from dirag.data import Entity, Json, Segment
from dirag.encoders.token_openvino import OPENVINO_WEIGHTS
from dirag.errors import DatasetError
from dirag.evaluate.calibration import calibration
from dirag.files import atomic, fingerprint
from dirag.files.progress import Meter
from dirag.knowledge.base import KnowledgeBase
from dirag.taggers.decision import Decision, gather, with_answer
from dirag.training.corpora import HeldOut, TrainingData
from dirag.training.decision import fitting
from dirag.training.decision.fitting import Fitted, JudgedSentence


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionSpec:
    """What the weights are fitted to: of each of ``corpora`` so many ``sentences`` of its development split.

    The classifier's spans are judged from the probability ``least`` on, and the LLM is asked of a sentence
    where that of a span lies within ``doubt``. ``command`` is kept with the weights.
    """

    corpora: Sequence[str]
    config: Config
    sentences: int = 900
    least: float = 0.03
    doubt: tuple[float, float] = (0.2, 0.8)
    data_dir: str | None = None
    command: str = ""


def train(spec: DecisionSpec, output: Path, *, notify: Callable[[str], None] = lambda line: None) -> Fitted:
    """Fits the weights for the engine and the adapter of a run, and writes them to ``output``.

    Of a run without adapter they are for the token classifier alone, that of ``model``: neither names nor the
    LLM have a part. ``notify`` gets the progress as lines. Raises DatasetError where no corpus has a
    development split with types of the token classifier.
    """
    config, adapter = spec.config, adapter_of(spec.config)
    classifier = config if adapter is None else ensemble.of_package(config)
    types = token_classifier.types_of(replace(classifier, types=()))
    corpora = _held_out(spec, types, notify)
    base = sources.knowledge_base(config) if adapter else None
    sentences = [s for held in corpora for s in _unasked(held, spec, classifier, types, base)]
    without_llm, doubts = fitting.doubted(sentences, spec.doubt)
    if adapter:
        sentences = list(_asked(sentences, doubts, corpora, config, types, base, notify))
    decision = Decision(
        types=tuple(type_ for type_ in types if any(type_ in held.types for held in corpora)),
        threshold=0.5,
        least=spec.least,
        doubt=spec.doubt,
        without_llm=without_llm,
        with_llm=without_llm,
    )
    result = fitting.fit(sentences, decision)
    made_of: dict[str, Json] = {
        "command": spec.command,
        "adapter": _digest(adapter, ADAPTER_WEIGHTS) if adapter else "none",
        "classifier": _digest(token_classifier.folder(classifier), OPENVINO_WEIGHTS),
        "corpora": {held.name: len(held.sentences) for held in corpora},
        "built-in pool": sources.read_pool("default").manifest.sha256,
        "knowledge base": base.digest if base else "none",
        **fingerprint.versions("dirag", "scikit-learn"),
    }
    with atomic.new_file(output) as part:
        part.write_text(json.dumps(_record(result, made_of), indent=1) + "\n", "utf-8")
    return result


def _digest(folder: Path, weights: str) -> str:
    """Returns the digest of the weights in a folder, or of all that there is where they are not."""
    return fingerprint.digest(folder / weights if (folder / weights).is_file() else folder)


def _held_out(spec: DecisionSpec, types: Sequence[str], notify: Callable[[str], None]) -> list[HeldOut]:
    data = TrainingData.load(
        spec.corpora,
        spec.config,
        validate=spec.sentences * len(spec.corpora),
        data_dir=spec.data_dir,
        notify=notify,
    )
    corpora = [
        replace(held, sentences=tuple(datasets.sample(held.sentences, spec.sentences, seed=spec.config.seed)))
        for held in data.held_out
        if _wanted(held, types)
    ]
    if not corpora:
        raise DatasetError(
            f"{', '.join(spec.corpora)} have no development split with entities of the token classifier",
            hint=f"its types: {', '.join(types)}",
        )
    return corpora


def _wanted(held: HeldOut, types: Sequence[str]) -> list[str]:
    return [type_ for type_ in held.types if type_ in types]


def _unasked(
    held: HeldOut,
    spec: DecisionSpec,
    classifier: Config,
    types: Sequence[str],
    base: KnowledgeBase | None,
) -> Iterator[JudgedSentence]:
    """Yields each sentence twice: with names of the corpus' own train split, and of the built-in pool.

    For a token classifier alone it comes once, without names.
    """
    wanted = _wanted(held, types)
    segments = [Segment(0, sentence.text, number) for number, sentence in enumerate(held.sentences)]
    opened = token_classifier.open_classifier(classifier, wanted)
    candidates = list(opened.candidates(segments, least=spec.least))
    pools = (held.corpus.pool, sources.read_pool("default")) if adapter_of(spec.config) else (None,)
    for pool in pools:
        names = None
        if pool:
            names = tagging.known_names(spec.config, wanted, base=base, examples=pool.restricted(wanted))
        for sentence, spans in zip(held.sentences, candidates, strict=True):
            gold = tuple(entity for entity in sentence.entities if entity.type in wanted)
            evidence = gather(spans, names.find(sentence.text) if names else ())
            yield JudgedSentence(held.name, replace(sentence, entities=gold), evidence)


def _asked(
    sentences: Sequence[JudgedSentence],
    doubts: Sequence[bool],
    corpora: Sequence[HeldOut],
    config: Config,
    types: Sequence[str],
    base: KnowledgeBase | None,
    notify: Callable[[str], None],
) -> Iterator[JudgedSentence]:
    """Yields the sentences, those in doubt with what the LLM wrote, unless its request failed."""
    texts: dict[str, list[str]] = {held.name: [] for held in corpora}
    for sentence, doubt in zip(sentences, doubts, strict=True):
        if doubt and sentence.sentence.text not in texts[sentence.corpus]:
            texts[sentence.corpus].append(sentence.sentence.text)
    answers: dict[tuple[str, str], Sequence[Entity]] = {}
    number, before = sum(map(len, texts.values())), 0
    with Meter("asking the LLM", number, unit="sentences", wanted=True, write=notify) as meter:
        for held in corpora:
            segments = [Segment(0, text, number) for number, text in enumerate(texts[held.name])]
            wanted = _wanted(held, types)
            with closing(ensemble.llm(config, wanted, base=base, examples=held.corpus.pool)) as llm:
                for done, (segment, tagging) in enumerate(zip(segments, llm.tag(segments), strict=True), 1):
                    if not tagging.has_failed:
                        answers[held.name, segment.text] = tagging.entities
                    meter.at(before + done)
            before += len(segments)
    for sentence in sentences:
        answer = answers.get((sentence.corpus, sentence.sentence.text))
        yield sentence if answer is None else replace(sentence, llm=with_answer(sentence.evidence, answer))


def _record(result: Fitted, made_of: dict[str, Json]) -> dict[str, Json]:
    """Returns the weights as JSON, with the figures of the folds and what they were made of."""
    development: dict[str, Json] = {}
    for name, scored in result.scores.items():
        figures = calibration(scored)
        bins: list[Json] = [[b.low, b.predicted, b.score, b.right] for b in figures.bins if b.predicted]
        development[name] = {
            **scored.micro.json(),
            "ece": round(figures.ece, 4),
            "llm_asked": round(result.shares[name], 3),
            "reliability": bins,
        }
    return asdict(result.decision) | {"development": development, "made_of": made_of}
