"""Scores of mentions from the log-probabilities of the tokens that a model wrote."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from dirag.data import Completion, Mention


def add_scores(mentions: Sequence[Mention], completion: Completion, *, opening: str = "") -> list[Mention]:
    """Returns the mentions with their scores: the geometric mean of the raw probabilities of their tokens.

    A mention is looked for in the answer after the one before it, right behind ``opening``; one that is
    spelled otherwise there (with escapes) gets no score.
    """
    written = "".join(token.text for token in completion.tokens)
    ends = list(accumulate(len(token.text) for token in completion.tokens))
    scored, cursor = [], 0
    for mention in mentions:
        # From behind the mention before it: a string that is listed twice has two places in the answer.
        start = written.find(opening + mention.text, max(cursor, mention.after))
        if start < 0:
            scored.append(mention)
            continue
        start += len(opening)
        cursor = start + len(mention.text)
        # Every token with a character of the mention counts; the first may begin with the blank before it.
        logprobs = [
            token.logprob
            for token, end in zip(completion.tokens, ends, strict=True)
            if end > start and end - len(token.text) < cursor
        ]
        scored.append(replace(mention, score=math.exp(sum(logprobs) / len(logprobs))))
    return scored
