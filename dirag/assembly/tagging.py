"""The tagger of a run from its ``Config``, and the stages that it is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pkgutil import resolve_name

from dirag import answers
from dirag.answers.candidates import CandidateList
from dirag.assembly import engines, sources
from dirag.assembly.choice import tagger_kind
from dirag.assembly.sources import pool
from dirag.config import Config, selector_kind
from dirag.data import Entity, Segment
from dirag.encoders.opening import open_encoder
from dirag.errors import PromptError, UsageError
from dirag.examples import selection
from dirag.examples.pool import Pool
from dirag.knowledge.base import KnowledgeBase
from dirag.prompting.augmentation import Augmenter
from dirag.prompting.builder import PromptBuilder, load_template, prompt_file
from dirag.prompting.concept_lines import Retriever
from dirag.protocols import AssertionClassifier, ExampleSelector, Index, Tagger
from dirag.status.context import ConText
from dirag.taggers.dictionary import DictionaryTagger
from dirag.taggers.known_names import NameStatistics
from dirag.taggers.llm import LlmTagger
from dirag.taggers.voting import Sampling
from dirag.taggers.weighing import Thresholds, Weigher
from dirag.text.language import Language


def selector(
    config: Config, examples: Pool, index: Index | None = None, *, language: Language | None = None
) -> ExampleSelector | None:
    """Opens the selector over a pool; returns None where a prompt takes no examples.

    ``index`` finds the concepts that the selector ``coverage`` takes into account; without a ``language``
    the texts are English.
    """
    if config.shots == 0:
        return None
    embedder = None
    if selector_kind(config.selector).encoder:
        embedder = open_encoder(config.encoder, offline=config.offline, pooling=config.pooling)
        examples = examples.embedded(embedder)
    scan = index.scan if index else None
    return selection.make(
        config.selector, examples, embedder=embedder, seed=config.seed, scan=scan, language=language
    )


def builder(
    config: Config,
    types: Sequence[str],
    *,
    context: int,
    count: Callable[[str], int],
    language: Language | None = None,
) -> PromptBuilder:
    """Makes the builder of a run's prompts, for an engine with so much ``context`` that counts tokens so.

    Without a ``language`` texts and answers are English. Raises PromptError where descriptions are asked for
    and nothing would show them.
    """
    template = load_template(config.answer, path=prompt_file(config.answer, config.prompt))
    described = template.describe(types) if config.descriptions else {}
    if described and not (template.describes or config.answer in answers.DESCRIBING):
        raise PromptError(
            f"--descriptions would change nothing: the prompt {config.prompt!r} has no $descriptions",
            hint="write the field into its head",
        )
    return PromptBuilder(
        template,
        answers.make(config.answer, types, descriptions=described, language=language),
        tuple(types),
        context=context,
        count_tokens=count,
        constrain=config.constrain,
        descriptions=described,
        definitions=config.concept_lines == "definition",
        best_last=config.example_order == "best-last",
    )


def candidates(config: Config, entities: PromptBuilder, language: Language) -> PromptBuilder | None:
    """Makes the builder of prompts that ask for candidates first, after the one that asks for entities."""
    if config.retrieval != "llm":
        return None
    return replace(entities, template=load_template("candidates"), answer=CandidateList(language))


def retriever(config: Config, types: Sequence[str], base: KnowledgeBase | None) -> Retriever | None:
    """Opens the retriever of the concepts that prompts show; returns None where they show none."""
    number, matches = config.concepts, config.concept_matches
    if not number:
        if config.retrieval == "llm":
            raise UsageError(
                "--retrieval llm asks for candidates of which --concepts 0 shows none",
                hint="give --concepts 8",
            )
        return None
    if base is None:
        raise UsageError(f"--concepts {number} needs a knowledge base", hint="leave out --kb none")
    if "dense" in matches and base.dense_info is None:
        raise UsageError(
            f"--concept-matches {','.join(matches)} needs a knowledge base with vectors",
            hint="build it with dirag kb build --encoder, or leave out dense",
        )
    index = base.index_for(types, matches=matches)
    return Retriever(index, base.language, limit=number, matches=matches)


def tagger(
    config: Config, types: Sequence[str], *, base: KnowledgeBase | None, examples: Pool | None = None
) -> Tagger:
    """Opens the tagger of a run; ``base`` is its knowledge base, ``examples`` stand in for those of ``pool``.

    Every function that ``config.TAGGERS`` names is called alike: as :func:`llm_tagger` is.
    """
    opened: Tagger = resolve_name(tagger_kind(config).open)(config, types, base=base, examples=examples)
    return opened


def dictionary_tagger(
    config: Config, types: Sequence[str], *, base: KnowledgeBase | None, examples: Pool | None
) -> Tagger:
    """Opens a tagger of the names in a knowledge base, which must be there; it takes no examples."""
    if base is None:
        raise UsageError("--tagger dictionary needs a knowledge base", hint="leave out --kb none")
    _check_types(base, types)
    return DictionaryTagger(base.index_for(types), types, base.language)


def llm_tagger(
    config: Config, types: Sequence[str], *, base: KnowledgeBase | None, examples: Pool | None
) -> Tagger:
    """Opens a tagger by the engine of a run, with its examples, its prompts and its known names."""
    examples = (examples or pool(config)).restricted(types)
    concepts = retriever(config, types, base)  # refuses options before the weights are loaded
    engine = engines.backend(config)
    index = base.evidence_for(types) if base else None
    language = sources.language(base)
    examples_of = selector(config, examples, index, language=language)
    prompts = builder(config, types, context=engine.context, count=engine.count_tokens, language=language)
    return LlmTagger(
        engine,
        prompts,
        augmenter=Augmenter(examples_of, config.shots, concepts),
        candidates=candidates(config, prompts, language),
        weigher=weigher(config, types, base=base, examples=examples),
        sampling=Sampling(config.samples, config.temperature, config.seed),
    )


def weigher(config: Config, types: Sequence[str], *, base: KnowledgeBase | None, examples: Pool) -> Weigher:
    """Counts the names of a pool and of the knowledge base against which answers are weighed."""
    thresholds = Thresholds(confidence=config.confidence, adding=config.known)
    return Weigher(known_names(config, types, base=base, examples=examples), thresholds)


def known_names(
    config: Config, types: Sequence[str], *, base: KnowledgeBase | None, examples: Pool
) -> NameStatistics | None:
    """Counts the names of a pool and of the knowledge base; returns None with --no-lexicon."""
    if not config.lexicon:
        return None
    names = None
    if base:
        dictionary = DictionaryTagger(base.evidence_for(types), types, base.language)
        names = partial(_named, dictionary)
    return NameStatistics(examples.examples, sources.language(base), names=names)


def assertion_classifier(config: Config, base: KnowledgeBase | None) -> AssertionClassifier | None:
    """Returns what tells the status of mentions; None with --no-status, or in a language without cues."""
    language = sources.language(base)
    return ConText(language) if config.status and language.status.cues else None


def _named(dictionary: Tagger, text: str) -> tuple[Entity, ...]:
    """Returns the names of the knowledge base that stand in a text."""
    [tagging] = dictionary.tag([Segment(0, text)])
    return tagging.entities


def _check_types(base: KnowledgeBase, types: Sequence[str]) -> None:
    """Refuses types of which no concept can be an entity: nothing would be found, and nothing said."""
    if not set(base.entity_types).intersection(types):
        raise UsageError(
            f"the knowledge base has no entities of type {', '.join(types)}",
            hint=f"its types: {', '.join(base.entity_types) or 'none'}",
        )
