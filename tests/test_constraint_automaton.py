"""The constraint byte by byte says what the automaton says of whole answers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dirag import answers
from dirag.backends.openvino.constraint_automaton import ConstraintAutomaton
from dirag.constraint import Constraint

texts = st.text("ab ;[|\\é😀#.", max_size=12)


def accepts(constraint: Constraint, answer: str) -> bool:
    automaton = ConstraintAutomaton.of(constraint)
    return automaton.may_end(automaton.advance(automaton.start, answer.encode()))


@settings(deadline=None)
@given(st.sampled_from(["mentions", "inline"]), texts, texts, st.integers(0, 2))
def test_the_automaton_accepts_what_the_constraint_accepts(
    name: str, text: str, answer: str, newlines: int
) -> None:
    constraint = answers.make(name, ("disease", "chemical")).constrain(text)
    assert accepts(constraint, answer + "\n" * newlines) == constraint.accepts(answer)


@settings(deadline=None)
@given(texts, st.randoms(use_true_random=False))
def test_whatever_walks_to_an_end_is_accepted(text: str, chance: object) -> None:
    """From every state that is reached some answer can be finished: a model is never trapped."""
    import random

    assert isinstance(chance, random.Random)
    constraint = answers.make("mentions", ("disease",)).constrain(text)
    automaton = ConstraintAutomaton.of(constraint)
    states, written = automaton.start, bytearray()
    for _ in range(60):
        if automaton.may_end(states):
            assert constraint.accepts(written.decode())
            if chance.random() < 0.3:
                break
        following = sorted(set(automaton.next_bytes(states)) - {ord("\n")})
        if not following:
            assert automaton.may_end(states)
            break
        byte = chance.choice(following)
        written.append(byte)
        states = automaton.advance(states, [byte])
        assert states
