"""Names that servers give to what the API leaves open (constraints, tokenizing), and which server this is.

In: what a server says of itself. Out: its models, its dialect, its context. A server that does not say what
it is gets the bare API: no constraint is sent, and no field that it may refuse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import orjson

from dirag.backends.http.client import Client, RequestFailed
from dirag.data import Json

_PLAIN: Mapping[str, Json] = MappingProxyType({})
#: What servers say of a model that stays the same as long as its weights do: not prices, not the time of day.
_LASTING = ("root", "parent", "max_model_len", "meta")


@dataclass(frozen=True, slots=True)
class Dialect:
    """``grammar``: the keys under which a grammar is sent, the outer one first; none, and none is sent.

    ``always`` goes with each request. ``tokenize`` is the key of the text in a call of ``/tokenize``.
    ``sampling`` goes with each sample, so that nothing but temperature and seed decides it; it is empty where
    the same seed may give another sample.
    """

    grammar: tuple[str, ...] = ()
    always: Mapping[str, Json] = field(default_factory=lambda: _PLAIN)
    tokenize: str = ""
    sampling: Mapping[str, Json] = field(default_factory=lambda: _PLAIN)

    def constraint(self, gbnf: str) -> dict[str, Json]:
        value: Json = gbnf
        for key in reversed(self.grammar[1:]):
            value = {key: value}
        return {self.grammar[0]: value} if self.grammar else {}


#: Models come with a repetition penalty of their own, which vLLM applies where a request does not say 1.
_UNPENALISED: Mapping[str, Json] = MappingProxyType({"repetition_penalty": 1.0})
#: They also come with limits on what may be drawn.
_UNCUT: Mapping[str, Json] = MappingProxyType({"top_p": 1.0, "top_k": -1, "min_p": 0.0})

DIALECTS: Mapping[str, Dialect] = {
    "vllm": Dialect(("structured_outputs", "grammar"), _UNPENALISED, "prompt", _UNCUT),
    "vllm-guided": Dialect(("guided_grammar",), _UNPENALISED, "prompt", _UNCUT),  # vLLM before 0.12
    "sglang": Dialect(("ebnf",), _UNPENALISED, "prompt"),
    "llamacpp": Dialect(
        ("grammar",), {"post_sampling_probs": False}, "content", {"samplers": ["temperature"]}
    ),
    "none": Dialect(),
}


@dataclass(frozen=True, slots=True)
class Served:
    """What a server says of itself; ``contexts`` holds the tokens of those models for which it gives them.

    ``about`` holds, by model, what does not change while the server serves the same weights.
    """

    models: tuple[str, ...] = ()
    contexts: Mapping[str, int] = field(default_factory=dict)
    dialect: str = ""
    version: str = ""
    about: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)


def look(client: Client) -> Served:
    """Asks a server what it is and what it serves; no text is sent.

    One that has no list of models says nothing. Raises RequestFailed where it refuses the key.
    """
    try:
        cards = client.ask(f"{client.address.api}/models", None, _cards)
    except RequestFailed as trouble:
        if trouble.status not in (404, 405, 501):
            raise
        return Served()
    owners = {str(card.get("owned_by")) for card in cards}
    dialect = next((name for name in ("vllm", "sglang", "llamacpp") if name in owners), "")
    contexts = {str(card["id"]): tokens for card in cards if (tokens := _context(card))}
    version = _version(client) if dialect == "vllm" else ""
    if _is_old(version):
        dialect = "vllm-guided"
    about = {str(card["id"]): {key: card[key] for key in _LASTING if key in card} for card in cards}
    return Served(tuple(about), contexts, dialect, version, about)


def _cards(content: bytes) -> list[dict[str, Json]]:
    cards = orjson.loads(content)["data"]
    if not all(isinstance(card["id"], str) for card in cards):
        raise TypeError
    return list(cards)


def _context(card: Mapping[str, Json]) -> int:
    """Tokens of context of a model: vLLM and SGLang say ``max_model_len``, llama.cpp ``n_ctx``."""
    meta = card.get("meta")
    tokens = card.get("max_model_len") or (meta.get("n_ctx") if isinstance(meta, dict) else None)
    return tokens if isinstance(tokens, int) else 0


def _version(client: Client) -> str:
    """Asks for the version of vLLM; empty where it does not say."""
    try:
        return client.ask(
            f"{client.address.root}/version", None, lambda content: str(orjson.loads(content)["version"])
        )
    except RequestFailed:
        return ""


def _is_old(version: str) -> bool:
    """Tells whether this is vLLM before 0.12; an unknown version, or an untagged build (0.1.dev), is new."""
    release = re.match(r"v?(\d+)\.(\d+)", version)
    return release is not None and (0, 1) != (int(release[1]), int(release[2])) < (0, 12)
