"""The automaton admits what brute force admits, stays linear, and llama.cpp reads its spelling."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import combinations, pairwise, product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.answers import ANSWERS, make
from dirag.constraint import Builder, Constraint
from dirag.data import Entity
from dirag.text.occurrences import flatten, is_boundary, is_bounded

SENTENCES = [
    "Mutations of the APC gene cause familial adenomatous polyposis and colorectal cancer.",
    'A man with "Sjögren\'s" syndrome [SS-A+] took 5-FU; β-blockers\\ACE | \x00 were\r\nnot 😀 (none).',
]


def language(constraint: Constraint, longest: int) -> set[str]:
    """Every string of at most this length that leads to a final state, but for ordinals of two digits."""
    found: set[str] = set()
    seen = {("", 0)}
    agenda = [("", 0)]
    for written, state in agenda:
        if state in constraint.final:
            found.add(written)
        for literal, target in constraint.edges[state]:
            step = (written + literal, target)
            if len(step[0]) <= longest and step not in seen and not re.search(r"#\d\d", step[0]):
                seen.add(step)
                agenda.append(step)
    return found


def lists(text: str, types: tuple[str, ...]) -> Iterator[str]:
    """All lists of bounded strings of the text, in order and apart, by trying every set of spans.

    A string that stands several times may have its ordinal, unless it has no letter, or the function word "a"
    at an end.
    """
    bounds = [i for i in range(len(text) + 1) if is_boundary(text, i)]
    spans = [(a, b) for a, b in combinations(bounds, 2) if text[a] != " " != text[b - 1]]
    labels = [""] if len(types) == 1 else [f" ({label})" for label in types]
    forms: dict[tuple[int, int], list[str]] = {}
    for a, b in spans:
        string = text[a:b]
        same = [span for span in spans if text[slice(*span)] == string]
        name = re.search("[ab]", string) and not re.search(r"^a(?!b)|(?<!b)a$", string)
        mark = f"#{same.index((a, b)) + 1} " if name and len(same) > 1 else ""
        forms[a, b] = [f"{m}{string}{label}" for m in {"", mark} for label in labels]
    for size in range(1, 5):
        for chosen in combinations(spans, size):
            if all(one[1] <= other[0] for one, other in combinations(chosen, 2)):
                yield from map("; ".join, product(*(forms[span] for span in chosen)))


@pytest.mark.parametrize("types", [("D",), ("D", "G")])
@settings(max_examples=60, deadline=None)
@given(text=st.text("ab1( ", min_size=1, max_size=5).map(str.strip))
def test_lists_are_those_of_brute_force(types: tuple[str, ...], text: str) -> None:
    text = re.sub(" +", " ", text)  # an answer shows it so
    longest = 10 if len(types) == 1 else 14
    constraint = make("mentions", types).constrain(text)
    admitted = {answer for answer in language(constraint, longest + 1) if not answer.startswith(" ")}
    expected = {"none", *lists(text, types)}
    assert {a for a in admitted if len(a) <= longest} == {a for a in expected if len(a) <= longest}


@settings(max_examples=60, deadline=None)
@given(text=st.text("ab ", max_size=4).map(str.strip))
def test_copies_are_those_of_brute_force(text: str) -> None:
    text = re.sub(" +", " ", text)
    longest = len(text) + 2 * len("[  | D ]")
    expected = {text}
    spans = [s for s in combinations(range(len(text) + 1), 2) if text[s[0]] != " " != text[s[1] - 1]]
    marks = [(a, b, f"[{text[a:b]}|D]") for a, b in spans]
    marks += [(a, b, f"[ {text[a:b]} | D ]") for a, b in spans if is_bounded(text, a, b)]
    for size in range(1, 5):
        for chosen in combinations(sorted(marks), size):
            if all(one[1] <= other[0] for one, other in pairwise(chosen)):
                copy = text
                for a, b, mark in reversed(chosen):
                    copy = copy[:a] + mark + copy[b:]
                expected |= {copy} if len(copy) <= longest else set()
    constraint = make("inline", ["D"]).constrain(text)
    assert {a for a in language(constraint, longest) if not a.startswith(" ")} == expected


@settings(max_examples=100, deadline=None)
@given(text=st.text("ab1;#.\\ ", max_size=6), answer=st.text("ab1;#.\\ none", max_size=8))
def test_accepting_is_leading_to_a_final_state(text: str, answer: str) -> None:
    constraint = make("mentions", ["D"]).constrain(text)

    def leads(state: int, rest: str) -> bool:
        steps = [
            (to, rest[len(literal) :]) for literal, to in constraint.edges[state] if rest.startswith(literal)
        ]
        return (not rest and state in constraint.final) or any(leads(*step) for step in steps)

    assert constraint.accepts(answer) == leads(0, answer)


@pytest.mark.parametrize("name", ANSWERS)
def test_states_and_edges_are_linear_in_the_text(name: str) -> None:
    def size(words: int) -> int:
        constraint = make(name, ["disease", "gene"]).constrain(" ".join(["tumor 5"] * words))
        return len(constraint.edges) + sum(map(len, constraint.edges)) + len(constraint.gbnf()) // 10

    assert size(400) - size(200) <= 1.1 * (2 * (size(200) - size(100)))


@pytest.mark.parametrize("name", ANSWERS)
@given(text=st.text(max_size=12))
@settings(max_examples=100, deadline=None)
def test_the_grammar_says_what_the_automaton_says(name: str, text: str) -> None:
    constraint = make(name, ["D", "cell line"]).constrain(text)
    rules = dict(line.split(" ::= ", 1) for line in constraint.gbnf().splitlines())
    assert rules.pop("root") == "s0"
    assert rules.pop("end") == r'"\n"*'
    assert len(rules) == len(constraint.edges)
    for state, edges in enumerate(constraint.edges):
        choices = re.findall(r'(?:"((?:[^"\\]|\\.)*)" )?(end|s\d+)(?: \| |$)', rules[f"s{state}"])
        assert [c for c in choices if c[1] != "end"] == [
            (spelled(literal), f"s{to}") for literal, to in edges
        ]
        assert (("", "end") in choices) == (state in constraint.final)


def spelled(literal: str) -> str:
    """GBNF of a literal: printable ASCII as it is, the rest by its code."""
    codes = [
        c if " " <= c <= "~" else f"\\U{ord(c):08X}" for c in literal.replace("\\", "\0").replace('"', "\1")
    ]
    short = re.sub(r"\\U0000(....)", r"\\u\1", "".join(codes))
    return short.replace("\\u0000", r"\\").replace("\\u0001", r"\"")


def test_dead_ends_are_left_out() -> None:
    builder = Builder()
    end = builder.state(final=True)
    builder.edge(builder.body, "a", end)
    builder.edge(builder.body, "b", builder.state())
    constraint = builder.build()
    assert language(constraint, 5) == {"a", " a"}
    assert "b" not in {literal for edges in constraint.edges for literal, _ in edges}


@pytest.mark.weights
@pytest.mark.parametrize("name", ANSWERS)
def test_llama_cpp_writes_only_what_is_accepted(name: str, weights: Callable[[str], Path]) -> None:
    xllamacpp = pytest.importorskip("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(weights("smollm2-135m-instruct"))
    params.n_parallel, params.n_ctx, params.warmup, params.verbosity = 1, 1024, False, 0
    server = xllamacpp.Server(params)
    answers = make(name, ["disease", "gene"])
    known = [Entity(17, 20, "gene", "APC"), Entity(67, 84, "disease", "colorectal cancer")]
    example = f"Sentence: {SENTENCES[0]}\nAnswer: {answers.render(SENTENCES[0], known)}\n\n"
    for text in SENTENCES:
        constraint = answers.constrain(text)
        request = {
            "prompt": f"{example}Sentence: {flatten(text)}\nAnswer:",
            "temperature": 0,
            "max_tokens": 300,
            "stop": list(answers.stop),
            "grammar": constraint.gbnf(),
        }
        choice = server.handle_completions(request)["choices"][0]
        assert choice["finish_reason"] == "stop"
        assert constraint.accepts(choice["text"]), choice["text"]
