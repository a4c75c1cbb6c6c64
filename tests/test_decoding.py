"""Which token comes next: the likeliest, or samples that are as frequent as they are likely."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import backend_laws as laws
import numpy as np
import pytest

from dirag.backends.openvino.decoding import Decoder
from dirag.constraint import Constraint
from dirag.data import Prompt

PIECES = (b"a", b"ab", b"b", b"c", b"")
LOGITS = np.array([1.0, 0.5, 2.0, 3.0, 0.0], np.float32)
DRAWS = 4000


def first(prompt: Prompt) -> int:
    """The first token of an answer over a tokenizer of five."""
    firsts = np.array([piece[0] if piece else 256 for piece in PIECES], np.int16)
    tokenizer = SimpleNamespace(pieces=PIECES, first_bytes=firsts)
    return Decoder(prompt, tokenizer, most=9, top=0).extend(LOGITS)  # type: ignore[arg-type]


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
@pytest.mark.parametrize("admitted, constraint", [(range(5), None), ([0, 1, 2], laws.choice("ab", "b"))])
def test_samples_are_as_frequent_as_they_are_likely(
    temperature: float, admitted: range | list[int], constraint: Constraint | None
) -> None:
    prompt = Prompt("x", constraint=constraint, temperature=temperature)
    drawn = Counter(first(replace(prompt, seed=seed)) for seed in range(DRAWS))
    weights = {n: math.exp(LOGITS[n] / temperature) for n in admitted}
    assert set(drawn) <= set(admitted)
    for token, weight in weights.items():
        share = weight / sum(weights.values())
        assert abs(drawn[token] / DRAWS - share) < 4 * math.sqrt(share * (1 - share) / DRAWS)


def test_without_temperature_the_seed_is_nothing() -> None:
    assert {first(Prompt("x", seed=seed)) for seed in range(9)} == {3}
    assert {first(Prompt("x", seed=seed, constraint=laws.choice("ab", "b"))) for seed in range(9)} == {2}
