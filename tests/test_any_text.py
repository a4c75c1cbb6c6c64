"""Documents of any content at all: never an exception, every record comes out, every offset holds."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import Scripted

import dirag
from dirag import Document, pipeline
from dirag.backends.cached.replay import Recorder
from dirag.data import Concept, Result
from dirag.knowledge.base import KnowledgeBase
from dirag.knowledge.store import writer
from dirag.taggers.dictionary import DictionaryTagger
from dirag.text.language import english

TYPES = ("disease", "gene")
LONG = "".join(random.Random(1).choices("ACGT", k=300))
CONCEPTS = [
    Concept("D1", "ataxia telangiectasia", ("AT",), ("disease",)),
    Concept("D2", "gout", ("podagra",), ("disease",)),
    Concept("G1", LONG, (), ("gene",)),
    Concept("G2", "titin" * 40, ("TTN",), ("gene",)),
]
NAMES = ["ataxia telangiectasia (AT)", "AT", " gout", "gout.", LONG, LONG[:-1] + "N", "titin" * 40, "\n\n"]
PIECES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(NAMES),
    st.characters(categories=["Cs", "Cc", "Co", "Mn"]),  # lone surrogates among them
    st.builds(lambda letter, times: letter * times, st.sampled_from("aA(é1 .\u0301"), st.integers(200, 600)),
)
TEXTS = st.one_of(st.just(""), st.just(" \n\u2028"), st.lists(PIECES, max_size=8).map("".join))
HUGE = {
    "a word": "gout " + "A" * 100_000 + " gout",
    "a sequence": "gout " + "ACGT" * 25_000,
    "brackets": "a(" * 50_000 + "gout",
    "a line of 5 MB": ("gout, " + "of no name at all, " * 2600) * 100,
    "blanks": " " * 1_000_000,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeBase]:
    folder = tmp_path_factory.mktemp("kb") / "kb"
    writer.write(CONCEPTS, folder)
    base = KnowledgeBase(folder)
    yield base
    base.close()


def check(texts: list[str], results: list[Result], *, fails: bool = False) -> None:
    assert [result.document.text for result in results] == texts
    for text, result in zip(texts, results, strict=True):
        assert fails or not [issue for issue in result.issues if issue.code == "failed"]
        for entity in result.entities:
            assert text[entity.start : entity.end] == entity.text != ""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(TEXTS, max_size=4), st.booleans())
def test_the_dictionary_and_the_links_take_any_text(
    base: KnowledgeBase, texts: list[str], as_sentences: bool
) -> None:
    index = base.index_for(TYPES)
    documents = [Document(str(number), text) for number, text in enumerate(texts)]
    tagger = DictionaryTagger(index, TYPES, english())
    check(
        texts,
        list(pipeline.tag(documents, tagger, linkers=dict.fromkeys(TYPES, index), as_sentences=as_sentences)),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS)
def test_a_mention_of_any_text_is_looked_up(base: KnowledgeBase, text: str) -> None:
    [hits] = base.index.lookup([text], k=3, text=text)
    assert all(0 < hit.score <= 1 for hit in hits)


def test_a_long_name_is_found_as_it_is_and_with_an_error(base: KnowledgeBase) -> None:
    for name in (LONG, LONG[:-1] + "N"):
        [[hit, *_]] = base.index.lookup([name], k=1)
        assert hit.concept.id == "G1"


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE)
def test_huge_lines_pass(base: KnowledgeBase, text: str) -> None:
    index = base.index_for(TYPES)
    results = list(
        pipeline.tag(
            [Document("1", text)],
            DictionaryTagger(index, TYPES, english()),
            linkers=dict.fromkeys(TYPES, index),
        )
    )
    check([text], results)
    assert bool(results[0].entities) == ("gout" in text)


@pytest.mark.parametrize("engine", ["replay", "openvino"])
def test_an_llm_takes_any_text(engine: str, tmp_path: Path, weights: Callable[[str], Path]) -> None:
    """A recording answers nothing that it has not heard: each segment has its issue, and the run goes on."""
    texts = ["", "gout", "\x00\ud800 gout", "A" * 3000 + " gout", "\u200bgo\u0301ut\U0001f600 (AT)\n"]
    options: dict[str, Any] = {"types": TYPES, "kb": "none", "shots": 0, "offline": True}
    if engine == "replay":
        recording = tmp_path / "answers.jsonl"
        Recorder(Scripted({}), recording).close()
        options |= {"backend": "replay", "model": str(recording)}
    else:
        weights("smollm2-135m-instruct")
        options |= {"context": 512}
    with dirag.open(**options) as ner:
        results = list(ner.tag(texts))
    check(texts, results, fails=engine == "replay")
    codes = {issue.code for result in results[1:] for issue in result.issues}
    assert codes == {"failed"} if engine == "replay" else "failed" not in codes


def test_the_command_line_takes_any_record(tmp_path: Path) -> None:
    """A lone surrogate, which JSON can escape and UTF-8 cannot write, costs its record."""
    vocabulary = tmp_path / "names.tsv"
    vocabulary.write_text(f"id\tname\ttypes\nD2\tgout\tdisease\nG1\t{LONG}\tgene\n")
    texts = ["\x00gout\x1b[2J", f"{LONG[:-1]}N and {LONG}", "", "gout\r\ngout", "W" * 70_000 + " gout"]
    lines = [json.dumps({"id": str(number), "text": text}) for number, text in enumerate(texts)]
    options = ("--tagger", "dictionary", "--kb", str(vocabulary), "--types", "disease,gene")
    done = subprocess.run(
        [sys.executable, "-m", "dirag", "tag", "-", "--input-format", "jsonl", *options],
        input="\n".join([*lines, "{broken", json.dumps({"text": "\ud83d gout"})]).encode(),
        capture_output=True,
        env={**os.environ, "DIRAG_HOME": str(tmp_path / "home"), "DIRAG_OFFLINE": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    *records, broken, surrogate = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["text"] for record in records] == texts
    for record in (broken, surrogate):
        assert [issue["code"] for issue in record["issues"]] == ["unreadable"]
    for record in records:
        for entity in record["entities"]:
            assert record["text"][entity["start"] : entity["end"]] == entity["text"]
    assert [len(record["entities"]) for record in records] == [1, 1, 0, 2, 1]
