"""What a run is made of: one frozen ``Config``, and the ``dirag.toml`` that may set it.

The fields of ``Config`` are the single list of options: the command line makes its flags from them, the
file its keys, the environment its ``DIRAG_*`` variables, under the same words.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from dirag.data import Match
from dirag.errors import InputError, UsageError, unknown
from dirag.files import paths

T = TypeVar("T")

FILE_NAME = "dirag.toml"
#: The settings that an adapter was trained for, in its folder.
ADAPTER_SETTINGS_FILE = "settings.toml"
#: The weights of an engine in this process where none are named.
MODEL = "smollm2-135m-instruct"
#: The adapter as GGUF in a folder of `dirag train adapter`.
ADAPTER_WEIGHTS = "adapter.gguf"


@dataclass(frozen=True, slots=True)
class TaggerKind:
    """A tagger by the function that opens it (``module:function``), and what its entities depend on.

    ``prompts``: it prompts an engine, so the options of engines, prompts and weighing decide its entities.
    ``pool``: it reads the pool of examples. ``base``: it reads the knowledge base, whatever the options.
    """

    open: str
    prompts: bool = False
    pool: bool = False
    base: bool = False


@dataclass(frozen=True, slots=True)
class SelectorKind:
    """A selector by the function that opens it (``module:function``), and what it needs.

    ``encoder``: it compares sentence vectors. ``base``: it looks names up in the knowledge base.
    """

    open: str
    encoder: bool = False
    base: bool = False


@dataclass(frozen=True, slots=True)
class EngineKind:
    """An engine by the function that opens it (``module:function``), and what is known of it unopened.

    The function takes the config of a run, with paths in its ``model`` and ``adapter`` and a number above 0
    in its ``parallel``. ``source``: what the answers come from; the engine of a server has an ``identity``,
    what the server says of itself, and a recording takes any adapter, since it holds its answers already.
    ``parallel``: requests in flight where none are asked for. ``libraries``: those whose versions decide the
    answers. ``adapters``: the form of the LoRA adapters that it runs, if any. ``model``: what ``--model``
    must name, where there is no default.
    """

    open: str
    source: Literal["weights", "server", "recording"] = "weights"
    parallel: int = 1
    libraries: tuple[str, ...] = ()
    adapters: Literal["", "gguf", "peft"] = ""
    model: str = ""


TAGGERS = {
    "llm": TaggerKind("dirag.assembly.tagging:llm_tagger", prompts=True, pool=True),
    "dictionary": TaggerKind("dirag.assembly.tagging:dictionary_tagger", base=True),
}
ENGINES = {
    "llamacpp": EngineKind(
        "dirag.backends.llamacpp.engine:open_engine", libraries=("xllamacpp",), adapters="gguf"
    ),
    "openai": EngineKind("dirag.backends.http.remote:open_engine", source="server", parallel=32),
    "openvino": EngineKind(
        "dirag.backends.openvino.engine:open_engine",
        parallel=16,
        libraries=("openvino", "openvino-genai", "gguf", "tokenizers"),
        adapters="gguf",
    ),
    "replay": EngineKind(
        "dirag.backends.cached.replay:open_engine",
        source="recording",
        model="a file that --record has written",
    ),
    "vllm": EngineKind(
        "dirag.backends.vllm.engine:open_engine",
        parallel=256,
        libraries=("vllm", "torch", "transformers", "xgrammar"),
        adapters="peft",
        model="a folder of weights in the format of Hugging Face",
    ),
}
SELECTORS = {
    "random": SelectorKind("dirag.examples.selection:open_random"),
    "bm25": SelectorKind("dirag.examples.selection:open_bm25"),
    "tfidf": SelectorKind("dirag.examples.selection:open_tfidf"),
    "knn": SelectorKind("dirag.examples.selection:open_knn", encoder=True),
    "mmr": SelectorKind("dirag.examples.selection:open_mmr", encoder=True),
    "coverage": SelectorKind("dirag.examples.selection:open_coverage", encoder=True, base=True),
}
RETRIEVALS = ("text", "llm")
POOLINGS = ("auto", "mean", "cls", "pooler")
ANSWERS = {
    "mentions": "dirag.answers.mentions:Mentions",
    "inline": "dirag.answers.inline:Inline",
    "template": "dirag.answers.template:TemplateAnswer",
    "json": "dirag.answers.objects:JsonObject",
}


@dataclass(frozen=True, slots=True)
class Option:
    """How a field of ``Config`` is shown to users, and what it bears on: the one place that says so.

    ``decides``: it changes what a run says, and not only how the run goes; runs that differ in it are not
    resumed or compared as one. ``engine``: an answer of the engine depends on it beyond prompt and weights,
    so it is part of a cached answer's key. ``grid``: `dirag eval` takes several values. ``training``: `dirag
    train adapter` has it. ``adapter``: the settings of an adapter may set it.
    """

    help: str
    metavar: str = ""
    choices: Sequence[str] = ()
    minimum: float | None = None
    maximum: float | None = None
    decides: bool = True
    engine: bool = False
    grid: bool = True
    training: bool = True
    adapter: bool = False

    @property
    def varies(self) -> bool:
        """Whether an evaluation may have several values of it: what decides nothing has one for all runs."""
        return self.decides and self.grid


def option(default: T, shown: Option) -> T:
    """Declares a field of ``Config`` with its default."""
    declared: T = field(default=default, metadata={"option": shown})
    return declared


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that decides what a run predicts; two runs with equal configs give equal results."""

    types: tuple[str, ...] = option(
        (), Option("Entity types to find, comma-separated [default: all that the pool has]", "TYPES")
    )
    tagger: str = option(
        "llm", Option("What tags: an LLM, or the knowledge base alone.", choices=[*TAGGERS], training=False)
    )
    backend: str = option("openvino", Option("Engine that runs the LLM.", choices=[*ENGINES], engine=True))
    model: str = option(
        "",
        Option(
            "Known model name, or path of its weights (a folder for --backend vllm, which has no default); "
            f"with --backend openai the name that the server gives it [default: {MODEL}; with --backend "
            "openai the only one that is served].",
            "NAME|PATH",
        ),
    )
    adapter: str = option(
        "default",
        Option(
            "LoRA adapter of the model: a folder of `dirag train adapter`, for vllm any of PEFT, for the "
            f"others a GGUF file; default is that of {MODEL}, and none for other models.",
            "default|none|PATH",
            training=False,
        ),
    )
    engine_options: tuple[str, ...] = option(
        (),
        Option(
            "Options of vLLM by their own names, comma-separated: tensor_parallel_size=2,quantization=fp8.",
            "NAME=VALUE,…",
            engine=True,
            training=False,
        ),
    )
    base_url: str = option(
        "",
        Option(
            "Address of the server of --backend openai, which has no default: text is sent there and nowhere "
            "else, also with --offline.",
            "URL",
            decides=False,
            engine=True,
            training=False,
        ),
    )
    key_env: str = option(
        "",
        Option(
            "Variable that holds the server's key; none is sent without it.",
            "NAME",
            decides=False,
            training=False,
        ),
    )
    api: str = option(
        "completions",
        Option(
            "What the server is asked: to go on, or as a user's message.",
            choices=["completions", "chat"],
            engine=True,
            training=False,
        ),
    )
    dialect: str = option(
        "auto",
        Option(
            "How the server takes constraints [auto: as it says of itself].",
            choices=["auto", "vllm", "vllm-guided", "sglang", "llamacpp", "none"],
            engine=True,
            training=False,
        ),
    )
    timeout: float = option(
        120.0,
        Option("Seconds that the server has for one request.", minimum=0.001, decides=False, training=False),
    )
    retries: int = option(
        5,
        Option(
            "How often a request that the server fails is sent again.",
            minimum=0,
            decides=False,
            training=False,
        ),
    )
    encoder: str = option("all-minilm-l6-v2", Option("Sentence encoder: known name or path.", "NAME|PATH"))
    pooling: str = option(
        "auto",
        Option(
            "What of its tokens makes a vector [auto: as its folder says, else mean].", choices=[*POOLINGS]
        ),
    )
    kb: str = option(
        "default", Option("Knowledge base: a directory, a vocabulary file, or none.", "default|none|PATH")
    )
    pool: str = option(
        "default",
        Option("In-context examples: a pool, or any annotated corpus.", "default|POOL", training=False),
    )
    shots: int = option(8, Option("In-context examples a prompt.", minimum=0, adapter=True))
    selector: str = option("knn", Option("How examples are chosen.", choices=[*SELECTORS]))
    example_order: str = option(
        "best-last",
        Option("Where the most useful example stands.", choices=["best-last", "best-first"], adapter=True),
    )
    concepts: int = option(
        0, Option("Lines of retrieved concepts a prompt, at most.", minimum=0, adapter=True)
    )
    retrieval: str = option(
        "text",
        Option(
            "Whose concepts: names in the text, or candidates that the LLM is asked for first.",
            choices=RETRIEVALS,
            training=False,
        ),
    )
    concept_matches: tuple[Match, ...] = option(
        ("exact",),
        Option(
            "How they are found, comma-separated: exact, fuzzy, dense (needs vectors in the knowledge base).",
            "MATCHES",
            choices=("exact", "fuzzy", "dense"),
        ),
    )
    concept_lines: str = option(
        "type",
        Option(
            "What each line tells: the semantic type, or the definition too.",
            choices=["type", "definition"],
            adapter=True,
        ),
    )
    answer: str = option("mentions", Option("Answer format.", choices=[*ANSWERS], adapter=True))
    prompt: str = option(
        "auto",
        Option(
            "Words of the prompt: those of the answer format, a file of prompts/ (inline-chat.en), or your "
            "own.",
            "auto|NAME|PATH",
            adapter=True,
        ),
    )
    descriptions: bool = option(
        False, Option("Say what each entity type is, in the prompt or its answers.", adapter=True)
    )
    constrain: bool = option(True, Option("Let the answer be nothing but spans of the text.", adapter=True))
    lexicon: bool = option(
        True,
        Option("Weigh the answer against names known from the pool and the knowledge base.", adapter=True),
    )
    confidence: float = option(
        0.2,
        Option(
            "Probability of a mention's words from which the model is believed.",
            minimum=0,
            maximum=1,
            adapter=True,
        ),
    )
    known: float = option(
        0.1,
        Option(
            "Share of a known name's places that are mentions from which it is one where the model is "
            "silent.",
            minimum=0,
            maximum=1,
            adapter=True,
        ),
    )
    samples: int = option(
        1,
        Option(
            "Answers drawn a prompt; entities stay that at least half of them name.",
            minimum=1,
            training=False,
        ),
    )
    temperature: float = option(
        0.7, Option("At which answers are drawn, with --samples above 1.", minimum=0, training=False)
    )
    min_score: float = option(
        0.0, Option("Leave out entities that score less.", minimum=0, maximum=1, training=False, adapter=True)
    )
    context: int = option(2048, Option("Tokens of context, prompt and answer together.", minimum=256))
    parallel: int = option(
        0,
        Option(
            "Requests in flight; 0 is the engine's own default: "
            f"{', '.join(f'{kind.parallel} for {name}' for name, kind in ENGINES.items())}.",
            minimum=0,
            decides=False,
        ),
    )
    threads: int = option(0, Option("Threads of the engine; 0 takes all cores.", minimum=0, decides=False))
    record: str = option(
        "",
        Option(
            "Keep the engine's answers in this file, for --backend replay --model FILE.",
            "FILE",
            decides=False,
            training=False,
        ),
    )
    cache: str = option(
        "none",
        Option(
            "Keep the engine's answers for later runs, in the user's cache or a folder.",
            "none|default|PATH",
            decides=False,
            training=False,
        ),
    )
    cache_size: int = option(
        1024,
        Option(
            "MiB of answers kept by --cache; those used longest ago go first.",
            minimum=1,
            decides=False,
            training=False,
        ),
    )
    seed: int = option(0, Option("Seed of everything random.", grid=False))
    offline: bool = option(False, Option("Never fetch weights or vocabularies.", decides=False))


def options() -> dict[str, Option]:
    """Field name -> option, in the order in which they are shown."""
    return {f.name: f.metadata["option"] for f in fields(Config)}


def adapter_settings() -> tuple[str, ...]:
    """Returns the names of the options that the settings of an adapter may set."""
    return tuple(name for name, shown in options().items() if shown.adapter)


def tagger_kind(config: Config) -> TaggerKind:
    """Returns the record of a run's tagger; raises UsageError for a name that is not in the table."""
    if config.tagger not in TAGGERS:
        raise unknown("tagger", config.tagger, TAGGERS)
    return TAGGERS[config.tagger]


def selector_kind(name: str) -> SelectorKind:
    """Returns the record of a selector; raises UsageError for a name that is not in the table."""
    if name not in SELECTORS:
        raise unknown("selector", name, SELECTORS)
    return SELECTORS[name]


def engine_kind(config: Config) -> EngineKind:
    """Returns the record of a run's engine; raises UsageError for a name that is not in the table."""
    if config.backend not in ENGINES:
        raise unknown("backend", config.backend, ENGINES)
    return ENGINES[config.backend]


def adapter_of(config: Config) -> Path | None:
    """The folder or file of a run's adapter: the one asked for, or that of the default model."""
    if config.adapter == "none":
        return None
    if config.adapter != "default":
        return Path(config.adapter).expanduser()
    kind = engine_kind(config)
    takes_default = kind.adapters == "gguf" and config.model in ("", MODEL)
    return paths.adapter(MODEL) if takes_default else None


def configure(**values: Any) -> Config:
    """Returns the config of these options; the others have the values that the command line would give them.

    A list of names may be given as any sequence, or with commas. Raises UsageError for an unknown option, or
    a value that it cannot have.
    """
    checked = {name: checked_value(name, value) for name, value in values.items()}
    return configured(checked, explicitly_set=checked)


def checked_value(name: str, value: Any) -> Any:
    """Returns the value of an option in the type of its field; raises UsageError where it cannot have it."""
    if name not in options():
        raise unknown("option", name, options())
    shown, default = options()[name], getattr(Config(), name)
    if isinstance(default, tuple):
        names = split_names(value) if isinstance(value, str) else value
        if isinstance(names, Sequence) and all(isinstance(n, str) and _admits(shown, n) for n in names):
            return tuple(names)
    else:
        if isinstance(default, float) and type(value) is int:
            value = float(value)
        if type(value) is type(default) and _admits(shown, value):
            return value
    raise UsageError(f"option {name!r} is {value!r}", hint=f"give {_domain(shown, default)}")


def _admits(shown: Option, value: Any) -> bool:
    """Tells whether a value is one of an option's choices and within its bounds."""
    return (
        (not shown.choices or value in shown.choices)
        and (shown.minimum is None or value >= shown.minimum)
        and (shown.maximum is None or value <= shown.maximum)
    )


def _domain(shown: Option, default: object) -> str:
    """Says in words which values an option can have."""
    if shown.choices:
        return f"{'some' if isinstance(default, tuple) else 'one'} of {', '.join(shown.choices)}"
    kinds = {bool: "True or False", int: "a whole number", float: "a number", str: "a string"}
    kind = kinds.get(type(default), "names, as a list or with commas between them")
    lowest = "" if shown.minimum is None else f", {shown.minimum:g} or more"
    highest = "" if shown.maximum is None else f", {shown.maximum:g} at most"
    return kind + lowest + highest


def configured(values: Mapping[str, Any], *, explicitly_set: Collection[str]) -> Config:
    """Returns the config of these values, in which an adapter's settings replace what is not explicitly set.

    Raises UsageError or InputError for a settings file that cannot be used.
    """
    config = Config(**values)
    adapter = adapter_of(config)
    if adapter is None or not (path := adapter / ADAPTER_SETTINGS_FILE).is_file():
        return config
    settings = {}
    for name, value in read_file(path, known=adapter_settings()).items():
        try:
            settings[name] = checked_value(name, value)
        except UsageError as error:
            raise UsageError(f"{path}: {error.message}", hint=error.hint) from error
    return replace(config, **{name: v for name, v in settings.items() if name not in explicitly_set})


def split_names(value: str) -> tuple[str, ...]:
    """Names of a comma-separated list, without blanks and repeats."""
    return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))


def find_file(folder: Path) -> Path | None:
    """The nearest ``dirag.toml`` in the folder or above it."""
    for place in (folder, *folder.parents):
        if (place / FILE_NAME).is_file():
            return place / FILE_NAME
    return None


def read_file(path: Path, *, known: Sequence[str]) -> Mapping[str, object]:
    """The settings of a TOML file, keys with underscores; unknown keys and wrong kinds are refused."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"cannot read the settings in {path}: {error}") from error
    settings: dict[str, object] = {}
    for key, value in raw.items():
        name = key.replace("-", "_")
        if name not in known:
            refused = unknown("setting", key, [k.replace("_", "-") for k in known])
            raise UsageError(f"{path}: {refused.message}", hint=refused.hint)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            value = ",".join(value)
        if not isinstance(value, str | int | float | bool):
            raise UsageError(f"{path}: setting {key!r} is a {type(value).__name__}", hint="give one value")
        settings[name] = value
    return settings
