"""The two ways to ask a server for a continuation, and how its answers are read.

``completions`` sends the prompt as it is; ``chat`` sends it as one message of a user, which the server puts
into the model's chat template. What is read comes from outside: a ValueError, TypeError, LookupError or
AttributeError means that it is not an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from dirag.backends.http.dialects import Dialect
from dirag.backends.openvino.decoding import before_stop
from dirag.data import Completion, Json, Prompt, Token, Usage

PATHS: Mapping[str, str] = {"completions": "/completions", "chat": "/chat/completions"}
#: OpenAI's own servers take no more stop strings; the text is cut at the others here.
STOPS = 4


def body(prompt: Prompt, *, api: str, model: str, dialect: Dialect, top: int) -> bytes:
    """Returns the request for one prompt as JSON; raises UnicodeEncodeError where it cannot be spelled."""
    prompt.text.encode()
    request: dict[str, Json] = {"model": model, "max_tokens": prompt.max_tokens}
    request["temperature"] = prompt.temperature
    if api == "chat":
        request |= {"messages": [{"role": "user", "content": prompt.text}]}
        request |= {"logprobs": True, "top_logprobs": max(1, top)}
    else:
        request |= {"prompt": prompt.text, "logprobs": max(1, top)}
    if prompt.stop:
        request["stop"] = list(prompt.stop[:STOPS])
    request |= dialect.always
    if prompt.temperature:
        request |= {"seed": prompt.seed, **dialect.sampling}
    if prompt.constraint is not None and dialect.grammar:
        request |= dialect.constraint(prompt.constraint.gbnf())
    return orjson.dumps(request)


def read(content: bytes, prompt: Prompt, *, top: int) -> Completion:
    """Reads the completion that an answer of either API holds."""
    answer = orjson.loads(content)
    choice = answer["choices"][0]
    # A model that refuses, or only thinks, writes null.
    content_text = choice["message"]["content"] or "" if "message" in choice else choice["text"]
    if not isinstance(content_text, str):
        raise TypeError
    usage = _usage(answer.get("usage") or {})
    reason = choice.get("finish_reason")
    if reason in ("content_filter", "abort", "error"):
        return Completion.failed(f"the server ended it: {reason}", usage)
    text = before_stop(content_text, prompt.stop)
    length = reason == "length" and text == content_text
    if length:
        text = text.rstrip("\ufffd")  # a character that was cut in its middle
    tokens = tuple(joined(_tokens(choice.get("logprobs") or {}, top), text))
    return Completion(text, tokens, "length" if length else "stop", usage)


def joined(tokens: Iterable[Token], text: str) -> list[Token]:
    """Cuts tokens so that their texts join to ``text``; returns none where they do not spell it.

    Tokens that hold a part of a character are shown in many ways: such a run is one token, with the
    log-probability of its last. What comes after the text (a stop string, the mark of the end) is left out.
    """
    # Servers spell a token that ends inside a character as they like: as U+FFFD, as bytes in words, or empty.
    # So one that does not stand at ``at`` waits; the next that is found in the text shows how much of it the
    # run of such tokens has spelled.
    result: list[Token] = []
    at, unplaced = 0, None
    for token in tokens:
        if at == len(text):
            break
        start = text.find(token.text, at) if unplaced or text.startswith(token.text, at) else -1
        if token.text and start >= 0:
            if unplaced and start > at:
                result.append(replace(unplaced, text=text[at:start]))
            result.append(token)
            at, unplaced = start + len(token.text), None
        elif token.text.startswith(text[at:]):  # a stop string begins inside it
            result.append(replace(token, text=text[at:]))
            at = len(text)
        else:
            unplaced = token
    if at == len(text):
        return result
    # Where not one token is spelled, as with names like "token_id:5", nothing is known of any.
    return [*result, replace(unplaced, text=text[at:])] if unplaced and result else []


def _usage(raw: dict[str, Any]) -> Usage:
    details = raw.get("prompt_tokens_details") or {}
    counts = (raw.get("prompt_tokens"), raw.get("completion_tokens"), details.get("cached_tokens"))
    return Usage(*(int(count or 0) for count in counts))


def _tokens(logprobs: dict[str, Any], top: int) -> Iterator[Token]:
    """Yields the tokens of either spelling: that of chat, llama.cpp's everywhere, or that of completions."""
    if "content" in logprobs:
        for entry in logprobs["content"] or ():
            others = [(other["token"], other["logprob"]) for other in entry.get("top_logprobs") or ()]
            yield _token(entry["token"], entry["logprob"], others, top)
        return
    texts, values = logprobs.get("tokens") or (), logprobs.get("token_logprobs") or ()
    tops = logprobs.get("top_logprobs") or [None] * len(texts)
    for text, value, best in zip(texts, values, tops, strict=True):
        yield _token(text, value, list((best or {}).items()), top)


def _token(text: str, logprob: float, others: list[tuple[str, float]], top: int) -> Token:
    # Rounding makes a certain token's log-probability a hair over 0.
    best = sorted(((name, min(0.0, float(p))) for name, p in others), key=lambda other: -other[1])
    return Token(str(text), min(0.0, float(logprob)), tuple(best[:top]))
