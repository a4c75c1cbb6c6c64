"""Scores of mentions: which tokens count, and which mentions have none."""

from __future__ import annotations

import math

import pytest

from dirag.data import Completion, Mention, Token
from dirag.taggers.scores import add_scores


def test_scores_of_repeats_and_of_what_is_spelled_otherwise() -> None:
    tokens = tuple(Token(text, math.log(p)) for text, p in [(" a", 0.5), ("; ", 0.9), ("a", 0.8), (" ", 0.7)])
    mentions = [Mention("a", "gene"), Mention("a", "gene"), Mention("other", "gene")]
    result = add_scores(mentions, Completion(" a; a ", tokens))
    assert [mention.score for mention in result] == [pytest.approx(0.5), pytest.approx(0.8), None]
    assert [mention.score for mention in add_scores(mentions, Completion("a; a"))] == [None] * 3
