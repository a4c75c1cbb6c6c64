"""The options of a run: one frozen ``Config``, whose fields are the single list of them.

The command line makes its flags from the fields, ``dirag.toml`` its keys and the environment its ``DIRAG_*``
variables, under the same words. A new option is a new field, and touches nothing else of these.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from dirag.config.kinds import ANSWERS as ANSWERS
from dirag.config.kinds import ENGINES as ENGINES
from dirag.config.kinds import POOLINGS, RETRIEVALS, EngineKind, SelectorKind
from dirag.config.kinds import SELECTORS as SELECTORS
from dirag.config.kinds import TAGGERS as TAGGERS
from dirag.config.kinds import TaggerKind as TaggerKind
from dirag.config.option import Option, option
from dirag.config.settings_file import read_file
from dirag.data import Match
from dirag.errors import UsageError, unknown
from dirag.files import paths

#: The settings that an adapter was trained for, in its folder.
ADAPTER_SETTINGS_FILE = "settings.toml"
#: The adapter as GGUF in a folder of `dirag train adapter`.
ADAPTER_WEIGHTS = "adapter.gguf"
#: The weights by which an ensemble with an adapter, or a token classifier, decides: in the folder of either.
DECISION = "decision.json"
#: The weights of an engine in this process where none are named.
MODEL = "smollm2-135m-instruct"


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that decides what a run predicts; two runs with equal configs give equal results."""

    types: tuple[str, ...] = option(
        (),
        Option(
            "Entity types to find, comma-separated [default: all that the tagger or its pool has]", "TYPES"
        ),
    )
    map: tuple[str, ...] = option(
        (),
        Option(
            "What labels of a corpus or pool mean, comma-separated, before the table of the package.",
            "LABEL=TYPE,…",
            grid=False,
        ),
    )
    tagger: str = option(
        "auto",
        Option(
            "What tags: an LLM, the names of the knowledge base, an encoder with a layer of labels, or all "
            "together (ensemble); auto finds each type by the one of the package that knows it best, else "
            "by the LLM.",
            choices=["auto", *TAGGERS],
            training=False,
        ),
    )
    backend: str = option("openvino", Option("Engine that runs the LLM.", choices=[*ENGINES], engine=True))
    model: str = option(
        "",
        Option(
            "Known model name, or path of its weights (a folder for --backend vllm, which has no default); "
            f"with --backend openai the name that the server gives it; of a token classifier its folder "
            f"[default: {MODEL}; with --backend openai the only one that is served].",
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
        "auto",
        Option(
            "In-context examples: a pool, or any annotated corpus; default is the built-in one, as is auto, "
            "but for a corpus that is evaluated, whose train split it is.",
            "auto|default|POOL",
            training=False,
        ),
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
            "Probability of a mention's words from which the model is believed, with --tagger llm.",
            minimum=0,
            maximum=1,
            adapter=True,
        ),
    )
    known: float = option(
        0.1,
        Option(
            "Share of a known name's places that are mentions from which it is one where the model is "
            "silent, with --tagger llm.",
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
    status: bool = option(
        True,
        Option(
            "Say of diseases and symptoms whether they are negated, uncertain, hypothetical, historical or "
            "of the family.",
            grid=False,
            training=False,
        ),
    )
    window: str = option(
        "sentence",
        Option(
            "What --tagger token-classifier reads at once: a sentence, or as much around it as there is room "
            "for.",
            choices=["sentence", "context"],
            training=False,
        ),
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
    """Returns the options by the name of their field, in the order in which they are shown."""
    return {f.name: f.metadata["option"] for f in fields(Config)}


def adapter_settings() -> tuple[str, ...]:
    """Returns the names of the options that the settings of an adapter may set."""
    return tuple(name for name, shown in options().items() if shown.adapter)


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
    """Returns the folder or file of a run's adapter: the one asked for, or that of the default model."""
    if config.adapter == "none":
        return None
    if config.adapter != "default":
        return Path(config.adapter).expanduser()
    kind = engine_kind(config)
    # It was trained on the default model alone, and is in the package as GGUF alone.
    takes_default = kind.adapters == "gguf" and config.model in ("", MODEL)
    return paths.adapter(MODEL) if takes_default else None


def decision_of(config: Config) -> Path | None:
    """Returns the file of the weights by which an ensemble with the adapter of a run decides, if any."""
    adapter = adapter_of(config)
    path = adapter / DECISION if adapter else None
    return path if path and path.is_file() else None


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
    return options()[name].checked(name, value, getattr(Config(), name))


def configured(values: Mapping[str, Any], *, explicitly_set: Collection[str]) -> Config:
    """Returns the config of these values, in which an adapter's settings replace what is not explicitly set.

    Raises UsageError or InputError for a settings file that cannot be used.
    """
    config = Config(**values)
    adapter = adapter_of(config)
    if adapter is None or not (path := adapter / ADAPTER_SETTINGS_FILE).is_file():
        return config
    # An adapter has learnt prompts of certain settings: with others it would be asked what it never saw.
    settings = {}
    for name, value in read_file(path, known=adapter_settings()).items():
        try:
            settings[name] = checked_value(name, value)
        except UsageError as error:
            raise UsageError(f"{path}: {error.message}", hint=error.hint) from error
    return replace(config, **{name: v for name, v in settings.items() if name not in explicitly_set})
