"""Everything that decides the records of a run, by name and by content."""

from __future__ import annotations

from pkgutil import resolve_name

from dirag.assembly.choice import tagger_kind
from dirag.assembly.engines import engine_identity
from dirag.assembly.sources import pool
from dirag.config import Config, options, selector_kind
from dirag.files import fingerprint
from dirag.files.artifacts import locate
from dirag.knowledge.base import KnowledgeBase
from dirag.prompting.builder import sources

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


def provenance(config: Config, base: KnowledgeBase | None) -> dict[str, str]:
    """Returns everything that decides the records of a run, by the name under which a user knows it."""
    parts = {
        f"--{name.replace('_', '-')}": str(getattr(config, name))
        for name, shown in options().items()
        if shown.decides
    }
    parts |= fingerprint.versions("dirag", *RETRIEVAL)
    if base is not None:
        parts["knowledge base"] = base.digest
    kind = tagger_kind(config)
    if kind.pool:
        parts["examples"] = pool(config).manifest.sha256
    if kind.prompts:
        candidate_prompt = sources("candidates") if config.retrieval == "llm" else []
        parts["prompt"] = fingerprint.of(*sources(config.answer, config.prompt), *candidate_prompt)
        if selector_kind(config.selector).encoder and config.shots and config.encoder != "hash":
            parts["encoder"] = fingerprint.digest(locate(config.encoder, offline=config.offline))
        parts |= engine_identity(config)
    if kind.identity:
        parts |= resolve_name(kind.identity)(config)
    return parts
