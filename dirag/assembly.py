"""From a ``Config`` to the stages that it names: the only place where names become objects."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from dirag import answers
from dirag.answers.candidates import Candidates
from dirag.config import MODEL, PARALLEL, Config, adapter_of
from dirag.corpora import catalogue, datasets
from dirag.data import Entity, Segment
from dirag.encoders.sentence import open_encoder
from dirag.errors import ExamplesError, PromptError, UsageError
from dirag.examples import builtin, selection
from dirag.examples import pool as pools
from dirag.examples.pool import Pool
from dirag.files import fingerprint
from dirag.files.artifacts import locate
from dirag.files.paths import private_folder
from dirag.formats import FORMATS
from dirag.knowledge.base import KnowledgeBase, open_default, open_path
from dirag.prompting.builder import PromptBuilder, load_template, prompt_file, sources
from dirag.prompting.concept_lines import Retriever
from dirag.protocols import Backend, ExampleSelector, Index, Tagger
from dirag.taggers.dictionary import DictionaryTagger
from dirag.taggers.known_names import Lexicon
from dirag.taggers.llm import Evidence, LlmTagger
from dirag.taggers.voting import Sampling

if TYPE_CHECKING:
    from dirag.backends.cached.cache_store import CacheStore
    from dirag.backends.http.remote import Remote

#: The entity types of the built-in pool, and what the knowledge base is searched for where nothing is said.
DEFAULT_TYPES = ("disease", "symptom", "chemical", "procedure", "test", "gene", "anatomy")

#: The engines that can run a model with an adapter.
ADAPTING = ("llamacpp", "openvino", "vllm")
#: The adapter as GGUF in a folder of `dirag train adapter`.
ADAPTER_FILE = "adapter.gguf"
#: Options that change how a run goes, not what it says.
OPERATION = (
    *("threads", "parallel", "offline", "record", "cache", "cache_size"),
    *("timeout", "retries", "key_env", "base_url"),
)
#: What the engines in this process are made of.
ENGINES = {
    "llamacpp": ("xllamacpp",),
    "openvino": ("openvino", "openvino-genai", "gguf", "tokenizers"),
    "vllm": ("vllm", "torch", "transformers", "xgrammar"),
}
#: What retrieval and linking are made of.
RETRIEVAL = (
    "faiss-cpu",
    "numpy",
    "openvino",
    "rapidfuzz",
    "sentence-transformers",
    "tokenizers",
    "torch",
    "transformers",
)


def types_of(config: Config) -> tuple[str, ...]:
    """The entity types that a run looks for: those asked for, else all that its pool has."""
    if config.types or config.tagger == "dictionary":
        return config.types or DEFAULT_TYPES
    annotated = pool(config).manifest.types
    return (*(t for t in DEFAULT_TYPES if t in annotated), *(t for t in annotated if t not in DEFAULT_TYPES))


def knowledge_base(config: Config) -> KnowledgeBase | None:
    """The knowledge base of the option ``kb``, or None where it is switched off."""
    return None if config.kb == "none" else read_base(config.kb, offline=config.offline)


def read_base(name_or_path: str, *, offline: bool = False) -> KnowledgeBase:
    """The default knowledge base ("default"), a built one, or that of a vocabulary file."""
    if name_or_path == "default":
        return open_default(offline=offline)
    path = Path(name_or_path).expanduser()
    if not path.exists():
        raise UsageError(f"no knowledge base {name_or_path!r}", hint="give a directory or a vocabulary file")
    return open_path(path)


@cache
def pool(config: Config) -> Pool:
    """The pool of the option ``pool``, read once."""
    return read_pool(config.pool, offline=config.offline)


def read_pool(name_or_path: str, *, data_dir: str | None = None, offline: bool = False) -> Pool:
    """The built-in pool ("default"), a pool directory, or any corpus: a train split, a file, a folder."""
    if name_or_path == "default":
        return Pool.from_documents(
            builtin.documents(), sources=["built-in"], licence="Apache-2.0", as_sentences=True
        )
    path = Path(name_or_path).expanduser()
    if pools.is_pool(path):
        return pools.open(path)
    return corpus_pool(name_or_path, data_dir=data_dir, offline=offline)[1]


def corpus_pool(
    name_or_path: str, *, data_dir: str | None = None, offline: bool = False
) -> tuple[datasets.Dataset, Pool]:
    """An annotated corpus and the pool of its sentences."""
    dataset, as_sentences = corpus(name_or_path, data_dir=data_dir, offline=offline)
    made = Pool.from_documents(
        dataset.documents,
        sources=[dataset.name, *dataset.sha256],
        licence=dataset.licence or None,
        as_sentences=as_sentences,
    )
    if not made.examples:
        raise ExamplesError(f"no example in {name_or_path!r}", hint="give an annotated corpus or a pool")
    return dataset, made


def corpus(
    name_or_path: str, *, data_dir: str | None = None, offline: bool = False
) -> tuple[datasets.Dataset, bool]:
    """An annotated corpus, and whether its documents are sentences already (as those of CoNLL/BIO are)."""
    dataset = datasets.load(name_or_path, split="train", data_dir=data_dir, offline=offline, kept=True)
    known = catalogue.known().get(name_or_path)
    if known is not None:
        return dataset, known.format == "conll"
    return dataset, all(name.lower().endswith(FORMATS["conll"]) for name in dataset.sha256)


def selector(config: Config, examples: Pool, index: Index | None = None) -> ExampleSelector | None:
    """The selector over a pool; None where a prompt takes no examples.

    ``index`` finds the concepts that the selector ``coverage`` takes into account.
    """
    if config.shots == 0:
        return None
    embedder = None
    if config.selector in selection.EMBEDDING:
        embedder = open_encoder(config.encoder, offline=config.offline, pooling=config.pooling)
        examples = examples.embedded(embedder)
    scan = index.scan if index else None
    return selection.make(config.selector, examples, embedder=embedder, seed=config.seed, scan=scan)


def reads_base(config: Config) -> bool:
    """Whether what a run predicts depends on its knowledge base."""
    choosing = config.shots > 0 and config.selector == "coverage"
    return config.tagger == "dictionary" or config.lexicon or config.concepts > 0 or choosing


def backend(config: Config) -> Backend:
    """The engine with its weights loaded, or its server found."""
    from dirag.backends.cached.cache import Cached
    from dirag.backends.cached.replay import Recorder, Replay

    if config.backend == "replay":
        return Replay(_weights(config))
    makers = {"openai": _remote, "llamacpp": _llamacpp, "openvino": _openvino, "vllm": _vllm}
    if adapter_of(config) and config.backend not in ADAPTING:
        raise UsageError(
            f"--backend {config.backend} takes no --adapter", hint=f"these do: {', '.join(ADAPTING)}"
        )
    store = _cache_store(config)  # before the weights, whose loading takes long
    engine = makers[config.backend](config)
    if store is not None:
        engine = Cached(engine, store, request_identity(config))
    return Recorder(engine, Path(config.record)) if config.record else engine


def _cache_store(config: Config) -> CacheStore | None:
    from dirag.backends.cached.cache_store import CacheStore

    if config.cache == "none":
        return None
    is_default = config.cache == "default"
    folder = private_folder("answers") if is_default else Path(config.cache).expanduser()
    return CacheStore(folder, limit=config.cache_size << 20)


def request_identity(config: Config) -> dict[str, str]:
    """Everything but the prompt that decides what the engine answers, on this machine."""
    options = ("backend", "base_url", "api", "dialect", "engine_options")
    told = {name: str(getattr(config, name)) for name in options} | fingerprint.versions("dirag")
    here = {"processor": fingerprint.processor()} if config.backend in ENGINES else {}
    return told | _engine(config) | here


def made_of(config: Config, base: KnowledgeBase | None) -> dict[str, str]:
    """Everything that decides the records of a run, by the name under which a user knows it."""
    told = {
        f"--{name.replace('_', '-')}": str(v) for name, v in asdict(config).items() if name not in OPERATION
    }
    told |= fingerprint.versions("dirag", *RETRIEVAL)
    if base is not None:
        files = (file.sha256.encode() for file in base.manifest.files.values())
        told["knowledge base"] = fingerprint.of(*files, repr(base.types).encode())
    if config.tagger == "llm":
        told["examples"] = pool(config).manifest.sha256
        asked_first = sources("candidates") if config.retrieval == "llm" else []
        told["prompt"] = fingerprint.of(*sources(config.answer, config.prompt), *asked_first)
        if config.selector in selection.EMBEDDING and config.shots and config.encoder != "hash":
            told["encoder"] = fingerprint.digest(locate(config.encoder, offline=config.offline))
        told |= _engine(config)
    return told


def _engine(config: Config) -> dict[str, str]:
    """The engine by its content: weights, adapter, libraries; a server by what it says of itself."""
    if config.backend == "openai":
        with closing(_remote(config)) as server:
            return server.identity
    told = fingerprint.versions(*ENGINES.get(config.backend, ()))
    told["weights"] = fingerprint.digest(_weights(config))
    adapter = _adapter(config)
    return told | ({"adapter": fingerprint.digest(adapter)} if adapter else {})


def _weights(config: Config) -> Path:
    """The weights of an engine in this process, or a recording in their place."""
    if config.backend == "replay":
        if not config.model:
            raise UsageError("--backend replay needs --model FILE", hint="a file that --record has written")
        return Path(config.model)
    if config.backend == "vllm" and not config.model:
        raise UsageError(
            "--backend vllm needs --model FOLDER", hint="it has no default and downloads nothing"
        )
    return locate(config.model or MODEL, offline=config.offline)


def _llamacpp(config: Config) -> Backend:
    from dirag.backends.llamacpp.engine import LlamaCpp

    return LlamaCpp(
        _weights(config),
        context=config.context,
        parallel=_parallel(config),
        threads=config.threads or None,
        adapter=_adapter(config),
    )


def _openvino(config: Config) -> Backend:
    from dirag.backends.openvino.engine import OpenVino

    return OpenVino(
        _weights(config),
        context=config.context,
        parallel=_parallel(config),
        threads=config.threads or None,
        adapter=_adapter(config),
    )


def _vllm(config: Config) -> Backend:
    from dirag.backends.vllm.engine import Vllm

    return Vllm(
        _weights(config),
        context=config.context,
        parallel=_parallel(config),
        adapter=_adapter(config),
        options=config.engine_options,
    )


def _parallel(config: Config) -> int:
    return config.parallel or PARALLEL[config.backend]


def _adapter(config: Config) -> Path | None:
    """The adapter in the form that the engine reads."""
    path = adapter_of(config)
    return path / ADAPTER_FILE if path and path.is_dir() and config.backend != "vllm" else path


def _remote(config: Config) -> Remote:
    from dirag.backends.http.client import Patience
    from dirag.backends.http.remote import Remote

    if not config.base_url:
        raise UsageError(
            "--backend openai needs --base-url URL",
            hint="as in --base-url http://127.0.0.1:8000; it has no default",
        )
    key = os.environ.get(config.key_env, "").strip() if config.key_env else ""
    if config.key_env and not key:
        raise UsageError(f"--key-env names {config.key_env!r}, which is not set", hint="export it first")
    return Remote(
        config.base_url,
        model=config.model,
        api=config.api,
        dialect=config.dialect,
        key=key or None,
        context=config.context,
        parallel=_parallel(config),
        patience=Patience(timeout=config.timeout, retries=config.retries),
    )


def builder(
    config: Config, types: Sequence[str], *, context: int, count: Callable[[str], int]
) -> PromptBuilder:
    """What makes the prompts of a run."""
    template = load_template(config.answer, path=prompt_file(config.answer, config.prompt))
    described = template.describe(types) if config.descriptions else {}
    if described and not (template.describes or config.answer in answers.DESCRIBING):
        raise PromptError(
            f"--descriptions would change nothing: the prompt {config.prompt!r} has no $descriptions",
            hint="write the field into its head",
        )
    return PromptBuilder(
        template,
        answers.make(config.answer, types, descriptions=described),
        tuple(types),
        context=context,
        count_tokens=count,
        constrain=config.constrain,
        descriptions=described,
        definitions=config.concept_lines == "definition",
        best_last=config.example_order == "best-last",
    )


def candidates(config: Config, made: PromptBuilder) -> PromptBuilder | None:
    """What asks for candidates first, made after the builder of a run; None where nothing does."""
    if config.retrieval != "llm":
        return None
    return replace(made, template=load_template("candidates"), answer=Candidates())


def retriever(config: Config, types: Sequence[str], base: KnowledgeBase | None) -> Retriever | None:
    """What finds the concepts that prompts tell; None where they tell none."""
    number, matches = config.concepts, config.concept_matches
    if not number:
        if config.retrieval == "llm":
            raise UsageError(
                "--retrieval llm asks for candidates of which --concepts 0 tells none",
                hint="give --concepts 8",
            )
        return None
    if base is None:
        raise UsageError(f"--concepts {number} needs a knowledge base", hint="leave out --kb none")
    if "dense" in matches and base.meaning is None:
        raise UsageError(
            f"--concept-matches {','.join(matches)} needs a knowledge base with vectors",
            hint="build it with dirag kb build --encoder, or leave out dense",
        )
    return Retriever(base.index_for(types, how=matches, threshold=0.0), limit=number, matches=matches)


def tagger(
    config: Config, types: Sequence[str], *, base: KnowledgeBase | None, examples: Pool | None = None
) -> Tagger:
    """The tagger of a run; ``base`` is its knowledge base, ``examples`` stand in for those of ``pool``."""
    index = base.index_for(types) if base else None
    if config.tagger == "dictionary":
        if base is None or index is None:
            raise UsageError("--tagger dictionary needs a knowledge base", hint="leave out --kb none")
        _check_types(base, types)
        return DictionaryTagger(index, types)
    examples = (examples or pool(config)).restricted(types)
    retrieving = retriever(config, types, base)
    engine = backend(config)
    made = builder(config, types, context=engine.context, count=engine.count_tokens)
    return LlmTagger(
        engine,
        made,
        selector(config, examples, index),
        shots=config.shots,
        retriever=retrieving,
        candidates=candidates(config, made),
        lexicon=lexicon(config, types, examples, index),
        evidence=evidence(config),
        sampling=Sampling(config.samples, config.temperature, config.seed),
    )


def evidence(config: Config) -> Evidence:
    return Evidence(confidence=config.confidence, adding=config.known)


def lexicon(config: Config, types: Sequence[str], examples: Pool, index: Index | None) -> Lexicon | None:
    """What is known of names from a pool and from the knowledge base; None where it is switched off."""
    names = partial(_named, DictionaryTagger(index, types)) if index else None
    return Lexicon(examples.examples, names=names) if config.lexicon else None


def _named(dictionary: Tagger, text: str) -> tuple[Entity, ...]:
    """The names of the knowledge base that stand in a text."""
    [tagging] = dictionary.tag([Segment(0, text)])
    return tagging.entities


def _check_types(base: KnowledgeBase, types: Sequence[str]) -> None:
    """Refuses types of which no concept can be an entity: nothing would be found, and nothing said."""
    kinds = {kind for kinds in base.manifest.types for kind in kinds}
    known = {name for kind in kinds for name in base.types.entities((kind,))}
    if not known.intersection(types):
        raise UsageError(
            f"the knowledge base has no entities of type {', '.join(types)}",
            hint=f"its types: {', '.join(sorted(known)) or 'none'}",
        )
