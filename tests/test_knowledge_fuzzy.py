"""Fuzzy search: the answers of brute force, misspellings found, and no word that is alike overlooked."""

from __future__ import annotations

import random
import time
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from fuzzy_oracle import BruteForce
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz import fuzz

from dirag.data import Concept
from dirag.knowledge.index import fuzzy, word_index
from dirag.knowledge.index.word_index import ALIKE, SHORTEST, Strings, WordIndex
from dirag.knowledge.store import writer
from dirag.knowledge.store.store import Store

# few letters, so that words are often alike; one that shares its bit with "a" (97 and 33 are 33 modulo 64)
LETTERS = "abcd!"
WORDS = st.text(LETTERS, min_size=1, max_size=14)


def edited(words: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Words with a letter put in, taken out or exchanged, up to three times."""
    edits = st.lists(
        st.tuples(st.integers(0, 14), st.sampled_from(["", *LETTERS]), st.booleans()), max_size=3
    )

    def apply(word: str, changes: list[tuple[int, str, bool]]) -> str:
        for place, letter, over in changes:
            word = word[:place] + letter + word[place + over :]
        return word or "a"

    return st.builds(apply, words, edits)


FAMILIES = WORDS.flatmap(lambda word: st.lists(edited(st.just(word)), min_size=1, max_size=12))
VOCABULARIES = st.lists(FAMILIES, min_size=1, max_size=3).map(lambda groups: [w for g in groups for w in g])


def opener(files: dict[str, bytes]) -> Callable[[str], memoryview]:
    return lambda file: memoryview(files[file]).cast(file.rpartition(".")[2])  # type: ignore[call-overload]


def strings(name: str, values: Sequence[str]) -> dict[str, bytes]:
    starts = array("q", [0])
    for value in values:
        starts.append(starts[-1] + len(value.encode("utf-8")))
    return {f"{name}.B": "".join(values).encode("utf-8"), f"{name}.q": starts.tobytes()}


def spelled(words: Sequence[str]) -> WordIndex:
    built = {file: values.tobytes() for file, values in word_index.build(words).items()}
    return WordIndex(opener(built | strings("words", words)))


def indexed(keys: Sequence[str]) -> fuzzy.Fuzzy:
    """The index over keys, without a knowledge base around it."""
    words = sorted({word for key in keys for word in key.split(" ")})
    number = {word: place for place, word in enumerate(words)}
    starts, flat = array("i", [0]), array("i")
    for key in keys:
        flat.extend(number[word] for word in key.split(" "))
        starts.append(len(flat))
    arrays = word_index.build(words) | fuzzy.build(
        np.asarray(starts), np.asarray(flat), vocabulary=len(words)
    )
    files = {file: values.tobytes() for file, values in arrays.items()}
    return fuzzy.Fuzzy(opener(files | strings("words", words) | strings("keys", keys)))


@settings(deadline=None, max_examples=300)
@given(VOCABULARIES, edited(WORDS), st.integers(0, 40))
def test_no_word_that_is_alike_is_overlooked(vocabulary: list[str], other: str, pick: int) -> None:
    words = sorted(set(vocabulary))
    found = spelled(words)
    for word in (other, words[pick % len(words)]):
        assert found.alike(word) == expected_alike(word, words)


def expected_alike(word: str, words: Sequence[str]) -> list[tuple[int, float]]:
    """What a look at every word finds."""
    return [
        (number, fuzz.ratio(word, name) / 100)
        for number, name in enumerate(words)
        if word == name or (min(len(word), len(name)) >= SHORTEST and fuzz.ratio(word, name) >= ALIKE)
    ]


@settings(deadline=None, max_examples=60)
@given(VOCABULARIES, st.integers(1, 400), edited(WORDS), st.integers(0, 40))
def test_long_words_are_like_each_other_as_short_ones_are(
    vocabulary: list[str], times: int, other: str, pick: int
) -> None:
    """Sequences of proteins and of DNA are words of hundreds of letters that repeat few trigrams."""
    words = sorted({word * times for word in vocabulary})
    for word in (other * times, words[pick % len(words)], words[pick % len(words)][:-1] + "?"):
        assert spelled(words).alike(word) == expected_alike(word, words)


@pytest.mark.parametrize("length", [255, 256, 257, 300, 65_536, 100_000])
def test_a_word_of_any_length_is_looked_up_at_once(length: int) -> None:
    bases = random.Random(length)
    sequence = "".join(bases.choices("acgt", k=length))
    words = sorted({sequence, *("".join(bases.choices("acgt", k=12)) for _ in range(3000))})
    found = spelled(words)
    started = time.perf_counter()
    [(number, likeness)] = found.alike(sequence[:-1] + "?")
    assert words[number] == sequence
    assert likeness > 0.99
    assert time.perf_counter() - started < 5


@given(st.lists(st.text(), min_size=1, unique=True), st.text())
def test_words_have_numbers(words: list[str], other: str) -> None:
    found = spelled(sorted(words))
    assert [found.number(word) for word in sorted(words)] == list(range(len(words)))
    assert (found.number(other) >= 0) == (other in words)


NAMES = VOCABULARIES.flatmap(
    lambda words: st.tuples(
        st.lists(
            st.lists(st.sampled_from(words), min_size=1, max_size=4).map(" ".join),
            min_size=1,
            max_size=25,
            unique=True,
        ),
        st.lists(st.sampled_from(words) | edited(st.sampled_from(words)), min_size=1, max_size=4).map(
            " ".join
        ),
    )
)


@settings(deadline=None, max_examples=300)
@given(NAMES, st.sampled_from([0.0, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99]), st.integers(1, 30))
def test_answers_are_those_of_brute_force(names: tuple[list[str], str], threshold: float, limit: int) -> None:
    keys, mention = sorted(names[0]), names[1]
    found = indexed(keys).search(mention, threshold=threshold, limit=limit)
    assert found == BruteForce(keys).search(mention, threshold=threshold, limit=limit)


@settings(deadline=None, max_examples=100)
@given(NAMES, st.sampled_from([0.0, 0.3, 0.6, 0.8]), st.integers(1, 10), st.data())
def test_a_part_has_the_answers_of_the_whole_that_lie_in_it(
    names: tuple[list[str], str], threshold: float, limit: int, data: st.DataObject
) -> None:
    keys, mention = sorted(names[0]), names[1]
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=len(keys), max_size=len(keys))))
    index = indexed(keys)
    every = index.search(mention, threshold=threshold, limit=len(keys))
    part = index.search(mention, threshold=threshold, limit=limit, allowed=allowed)
    assert part == [(key, score) for key, score in every if allowed[key]][:limit]


KEYS = (
    "breast cancer",
    "cancer of the breast",
    "colorectal carcinoma",
    "lung cancer",
    "thalassemia",
    "x linked ichthyosi",
)


@pytest.mark.parametrize(
    "mention, best",
    [
        ("colorectl carcinoma", "colorectal carcinoma"),  # misspelt
        ("carcinoma colorectal", "colorectal carcinoma"),  # another order
        ("breast the of cancer", "cancer of the breast"),
        ("sporadic colorectal carcinoma", "colorectal carcinoma"),  # a word too many
        ("linked ichthyosi", "x linked ichthyosi"),  # a word too few
        ("thallassemia", "thalassemia"),
    ],
)
def test_kinds_of_difference(mention: str, best: str) -> None:
    found = indexed(KEYS).search(mention, threshold=0.5, limit=3)
    assert KEYS[found[0][0]] == best
    assert 0.5 <= found[0][1] <= fuzzy.BEST


def test_strangers_have_no_answer() -> None:
    index = indexed(KEYS)
    for mention in ("", " ", "zebra", "☃", "a\x00b", "lun"):
        assert index.search(mention, threshold=0.0, limit=5) == []


def test_ties_come_by_number_and_limits_hold() -> None:
    index = indexed(["a fever", "b fever", "c fever"])
    found = index.search("fever", threshold=0.0, limit=5)
    assert [key for key, _ in found] == [0, 1, 2]
    assert len({score for _, score in found}) == 1
    assert index.search("fever", threshold=0.0, limit=2) == found[:2]


def test_it_opens_from_a_knowledge_base(tmp_path: Path) -> None:
    folder = tmp_path / "kb"
    writer.write(
        [Concept("D:1", "Colorectal Carcinomas", ("Neoplasm, Breast", "+ -")), Concept("D:2", "?")], folder
    )
    store = Store(folder)
    index = fuzzy.Fuzzy(store.array)
    ((key, score),) = index.search("colorctal carcinoma", threshold=0.5, limit=1)
    assert store.key(key) == "colorectal carcinoma"
    assert 0.8 < score < 1
    words = Strings(store.array, "words")
    assert [*words] == [words[number] for number in range(len(words))] == sorted(words)
    assert store.key(index.search("- +", threshold=0.5, limit=1)[0][0]) == "+ -"
