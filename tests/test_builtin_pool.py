"""The built-in pool: its markup, and that each sentence can serve as an example."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag import answers
from dirag.assembly.sources import DEFAULT_TYPES
from dirag.data import Document, Entity
from dirag.errors import ExamplesError
from dirag.examples import builtin
from dirag.examples.selection import near_copy
from dirag.files import paths
from dirag.text.align import place

POOL = builtin.documents()
TYPES = {"disease", "symptom", "chemical", "procedure", "test", "gene", "anatomy"}


def test_there_are_enough_sentences_of_both_kinds() -> None:
    assert len(POOL) >= 300
    files = Counter(document.id.partition(":")[0] for document in POOL)
    assert set(files) == {"abstracts", "notes"}
    assert min(files.values()) >= 100


def test_ids_are_unique_and_name_the_line() -> None:
    assert len({document.id for document in POOL}) == len(POOL)
    for document in POOL[:: len(POOL) // 10]:
        stem, _, number = document.id.partition(":")
        line = (
            paths.path("prompts", "examples", f"{stem}.txt").read_text("utf-8").split("\n")[int(number) - 1]
        )
        assert re.sub(r"\[(.*?)\|.*?\]", r"\1", line).strip() == document.text


def test_every_type_has_its_share_and_there_is_no_other() -> None:
    counts = Counter(entity.type for document in POOL for entity in document.entities)
    assert set(counts) == TYPES == set(DEFAULT_TYPES)
    assert min(counts.values()) >= 80
    assert any(not document.entities for document in POOL)


def test_entities_stand_side_by_side_between_words() -> None:
    for document in POOL:
        end = 0
        for entity in document.entities:
            assert end <= entity.start, document.id
            end = entity.end
            assert document.text[entity.start : entity.end] == entity.text == entity.text.strip(), document.id
            around = document.text[max(0, entity.start - 1) : entity.start], document.text[entity.end :][:1]
            assert not any(char.isalnum() for char in around), document.id


def test_no_sentence_comes_twice_or_almost() -> None:
    pairs = ((one, other) for i, one in enumerate(POOL) for other in POOL[:i])
    assert [(one.id, other.id) for one, other in pairs if near_copy(one.text, other.text)] == []


def test_the_same_string_always_has_the_same_type() -> None:
    types: dict[str, set[str]] = defaultdict(set)
    for document in POOL:
        for entity in document.entities:
            types[entity.text].add(entity.type)
    assert {text: found for text, found in types.items() if len(found) > 1} == {}


@pytest.mark.parametrize("name", sorted(answers.ANSWERS))
def test_every_sentence_can_be_rendered_and_read_back(name: str) -> None:
    made = answers.make(name, DEFAULT_TYPES)
    for document in POOL:
        answer = made.render(document.text, document.entities)
        mentions, issues = made.parse(document.text, answer)
        assert not issues, document.id
        assert tuple(place(document.text, mentions)[0]) == document.entities, document.id


@settings(deadline=None)
@given(st.lists(st.tuples(st.text("ab .", max_size=5), st.text("xyz", min_size=1, max_size=5)), max_size=4))
def test_markup_is_read_back(parts: list[tuple[str, str]]) -> None:
    line = "".join(f"{before}[{mention}|gene]" for before, mention in parts)
    document = builtin.parse(line, name="x")
    assert document.text == "".join(before + mention for before, mention in parts)
    assert [entity.text for entity in document.entities] == [mention for _, mention in parts]


def test_markup_by_example() -> None:
    assert builtin.parse("[p53|gene]-mutated", name="x") == Document(
        "x", "p53-mutated", (Entity(0, 3, "gene", "p53"),)
    )


@pytest.mark.parametrize("line", ["[p53|gene", "p53|gene]", "[p53]", "[|gene] x", "[a [b|gene]|gene]"])
def test_a_bracket_that_is_no_markup_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "mine.txt"
    path.write_text(f"# a comment with [brackets]\n\n{line}\n", encoding="utf-8")
    with pytest.raises(ExamplesError, match="mine:3"):
        list(builtin.read(path))
