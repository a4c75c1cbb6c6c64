"""Tables of what options name: taggers, engines, selectors and answer formats, with what opens each.

A new one is a row of its table: flags, help and checks follow from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class TaggerKind:
    """A tagger by the function that opens it (``module:function``), and what its entities depend on.

    ``prompts``: it prompts an engine, so the options of engines, prompts and weighing decide its entities.
    ``pool``: it reads the pool of examples. ``base``: it reads the knowledge base, whatever the options.
    Of a tagger with a model of its own two more functions take the config of a run: ``types`` returns what it
    finds, which is found where no types are asked for, and ``identity`` what decides its entities.
    """

    open: str
    prompts: bool = False
    pool: bool = False
    base: bool = False
    types: str = ""
    identity: str = ""


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
    "ensemble": TaggerKind(
        "dirag.assembly.ensemble:open_tagger",
        prompts=True,
        pool=True,
        types="dirag.assembly.ensemble:types_of",
        identity="dirag.assembly.ensemble:identity",
    ),
    "by-type": TaggerKind(
        "dirag.assembly.by_type:open_tagger",
        prompts=True,
        pool=True,
        types="dirag.assembly.ensemble:types_of",
        identity="dirag.assembly.by_type:identity",
    ),
    "dictionary": TaggerKind("dirag.assembly.tagging:dictionary_tagger", base=True),
    "token-classifier": TaggerKind(
        "dirag.assembly.token_classifier:open_tagger",
        types="dirag.assembly.token_classifier:types_of",
        identity="dirag.assembly.token_classifier:identity",
    ),
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
