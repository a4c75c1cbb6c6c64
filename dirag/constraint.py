"""The automaton of admissible answers for one segment, and its spellings.

An answer format builds it from the segment (:class:`Builder`); engines take a spelling of it, GBNF here.
It reads what the model writes after the colon that ends a prompt: at first one space, which is
optional, then the answer as ``render`` gives it. The stop string is not part of the answer, but
``gbnf`` lets the model write it: a model that has seen examples ends a line, it does not end its text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

START = 0


@dataclass(frozen=True, slots=True)
class Constraint:
    """A finite automaton: ``edges[state]`` holds the literals it may read and where each leads.

    It starts in state 0; an empty literal is a free step, and no free steps go in a circle.
    """

    edges: tuple[tuple[tuple[str, int], ...], ...]
    final: frozenset[int]

    def accepts(self, answer: str) -> bool:
        """Tells whether the whole answer, with or without the space before it, is admissible."""
        waiting: defaultdict[int, set[int]] = defaultdict(set)
        waiting[0].add(START)
        for at in range(len(answer) + 1):
            agenda = list(waiting[at])
            for state in agenda:
                for literal, target in self.edges[state]:
                    after = at + len(literal)
                    if target not in waiting[after] and answer.startswith(literal, at):
                        waiting[after].add(target)
                        # A free step ends at this same place, so its target is looked at in this round too.
                        if after == at:
                            agenda.append(target)
        return not self.final.isdisjoint(waiting[len(answer)])

    def gbnf(self) -> str:
        """Spells the automaton as a grammar of llama.cpp: a right-linear rule a state, so nothing nests."""
        lines = ["root ::= s0", r'end ::= "\n"*']
        for state, edges in enumerate(self.edges):
            choices = [
                f"{_quote(literal)} s{target}" if literal else f"s{target}" for literal, target in edges
            ]
            if state in self.final:
                choices.append("end")
            lines.append(f"s{state} ::= {' | '.join(choices)}")
        return "\n".join(lines) + "\n"


class Builder:
    """Collects states and edges; ``build`` leaves out the states from which no answer can be completed."""

    def __init__(self) -> None:
        self._edges: list[list[tuple[str, int]]] = [[]]
        self._final: set[int] = set()
        self.body = self.state()
        self.edge(START, "", self.body)
        self.edge(START, " ", self.body)

    def state(self, *, final: bool = False) -> int:
        self._edges.append([])
        if final:
            self._final.add(len(self._edges) - 1)
        return len(self._edges) - 1

    def edge(self, source: int, literal: str, target: int) -> None:
        self._edges[source].append((literal, target))

    def build(self) -> Constraint:
        # A rule without choices is no grammar, and one that never ends traps the model.
        targets = [[target for _, target in edges] for edges in self._edges]
        sources: list[list[int]] = [[] for _ in targets]
        for state, reached in enumerate(targets):
            for target in reached:
                sources[target].append(state)
        useful = _reach({START}, targets) & _reach(self._final, sources)
        number = {state: i for i, state in enumerate(sorted(useful))}
        edges = tuple(
            [
                tuple([(literal, number[to]) for literal, to in self._edges[state] if to in number])
                for state in number
            ]
        )
        return Constraint(edges, frozenset(number[s] for s in self._final if s in number))


def _reach(starts: set[int], edges: Sequence[Sequence[int]]) -> set[int]:
    seen = set(starts)
    agenda = list(starts)
    for state in agenda:
        for target in edges[state]:
            if target not in seen:
                seen.add(target)
                agenda.append(target)
    return seen


class _Spelled(dict[int, str]):
    """Each character as it stands in a quoted literal, found when it is first needed."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if char in '"\\':
            spelled = "\\" + char
        elif 0x20 <= code < 0x7F:
            spelled = char
        else:
            spelled = f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"
        self[code] = spelled
        return spelled


_SPELLED = _Spelled()


def _quote(literal: str) -> str:
    return f'"{literal.translate(_SPELLED)}"'
