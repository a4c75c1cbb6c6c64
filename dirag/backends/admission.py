"""Which prompts an engine takes, and in which words all engines refuse the others."""

from __future__ import annotations

from collections.abc import Callable

from dirag.data import Completion, Prompt

EMPTY = "the prompt is empty"
UNSPELLABLE = "the prompt holds a lone surrogate, which no token can spell"


def without_room(prompt: Prompt) -> Completion | None:
    """Returns the failed completion of a prompt that leaves no room for an answer, else None."""
    if prompt.max_tokens < 1:
        return Completion.failed(f"max_tokens is {prompt.max_tokens}, which leaves no room for an answer")
    return None


def admit(
    prompt: Prompt, encode: Callable[[str], list[int]], *, context: int
) -> tuple[list[int], int] | Completion:
    """Returns the tokens of a prompt and the most that its answer may have; a completion where it is refused.

    ``encode`` raises UnicodeEncodeError for what it cannot spell.
    """
    if refused := without_room(prompt):
        return refused
    try:
        tokens = encode(prompt.text)
    except UnicodeEncodeError:
        return Completion.failed(UNSPELLABLE)
    if not tokens:
        return Completion.failed(EMPTY)
    room = context - len(tokens)
    if room < 1:
        return Completion.failed(f"the prompt has {len(tokens)} tokens, more than the context of {context}")
    return tokens, min(room, prompt.max_tokens)
