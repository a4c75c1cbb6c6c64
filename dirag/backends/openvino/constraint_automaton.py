"""A constraint as the tokens of a model see it: byte by byte, from one set of states to the next.

In: the automaton of a segment. Out: whether a token may come next, and where it leads. An answer may end in
a final state, with newlines behind it, as in ``Constraint.gbnf``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from dirag.constraint import START, Constraint

States = frozenset[int]


@dataclass(slots=True)
class ConstraintAutomaton:
    """``steps`` leads from a state by a byte; states past those of the constraint lie inside its literals."""

    steps: list[dict[int, list[int]]]
    free: list[list[int]]
    end: int
    start: States = field(init=False)
    _known: dict[tuple[States, int], States] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.start = self._closed([START])

    @classmethod
    def of(cls, constraint: Constraint) -> ConstraintAutomaton:
        size = len(constraint.edges)
        steps: list[dict[int, list[int]]] = [{} for _ in range(size + 1)]
        free: list[list[int]] = [[] for _ in range(size + 1)]
        for state, edges in enumerate(constraint.edges):
            for literal, target in edges:
                # Answer formats write no lone surrogates; a constraint of others that has one must not raise.
                spelled = literal.encode("utf-8", "surrogatepass")
                if not spelled:
                    free[state].append(target)
                    continue
                at = state
                for byte in spelled[:-1]:
                    steps.append({})
                    free.append([])
                    steps[at].setdefault(byte, []).append(len(steps) - 1)
                    at = len(steps) - 1
                steps[at].setdefault(spelled[-1], []).append(target)
        for state in constraint.final:
            free[state].append(size)
        steps[size][ord("\n")] = [size]
        return cls(steps, free, size)

    def advance(self, states: States, piece: Iterable[int]) -> States:
        """Returns the states after some bytes, none if they are not admissible."""
        for byte in piece:
            # Kept, since at every token many candidates are walked from the same states.
            following = self._known.get((states, byte))
            if following is None:
                reached = [to for state in states for to in self.steps[state].get(byte, ())]
                following = self._known[states, byte] = self._closed(reached)
            states = following
            if not states:
                break
        return states

    def next_bytes(self, states: States) -> Iterator[int]:
        """Yields the bytes that may come next, with repeats."""
        for state in states:
            yield from self.steps[state]

    def may_end(self, states: States) -> bool:
        return self.end in states

    def _closed(self, reached: Iterable[int]) -> States:
        """Returns the states with those that free steps lead to."""
        seen = set(reached)
        agenda = list(seen)
        for state in agenda:
            for target in self.free[state]:
                if target not in seen:
                    seen.add(target)
                    agenda.append(target)
        return frozenset(seen)
