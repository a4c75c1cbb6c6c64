"""Silver sentences: whole, sure and once, with the mentions that their documents have there."""

from __future__ import annotations

import os
import random
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import orjson
from command import DIRAG
from hypothesis import given
from hypothesis import strategies as st

from dirag import formats
from dirag.data import Concept, Document, Entity, Hit, Issue, Result
from dirag.formats import jsonl
from dirag.text.segment import segments
from dirag.training.adapter.silver import completed, sentences

WORDS = ("gout", "CKD", "aspirin", "was", "given", "after", "severe", "asthma", "in", "old", "rats")
HIT = Hit(Concept("X:1", "gout"), "gout", "exact", 1.0, 0, 4)


def tagged(seed: int) -> Document:
    """A document of sentences, some of which stand twice, with entities of all scores, and issues."""
    chance = random.Random(seed)
    lines = [" ".join(chance.choices(WORDS, k=chance.randint(1, 4))) for _ in range(3)]
    text = " ".join(f"{line.capitalize()}." for line in chance.choices(lines, k=chance.randint(0, 5)))
    entities, end = [], 0
    while (start := end + chance.randint(0, 12)) < len(text):
        end = min(len(text), start + chance.randint(1, 9))
        score = chance.choice([None, chance.random()])
        hit = chance.choice([None, HIT])
        entities.append(Entity(start, end, "disease", text[start:end], score, hit))
    codes = ("invented", "examples-dropped")
    issues = [Issue(chance.choice(codes), s.where) for s in segments(text) if chance.random() < 0.2]
    return Document(str(seed), text, tuple(entities), issues=tuple(issues))


@given(st.lists(st.integers(0, 10**6), max_size=4), st.floats(0, 1), st.booleans())
def test_a_sentence_is_taken_whole_or_counted(seeds: list[int], least: float, linked: bool) -> None:
    documents = {str(seed): tagged(seed) for seed in seeds}
    left_out: Counter[str] = Counter()
    taken = list(sentences(documents.values(), left_out, min_score=least, linked=linked))
    pieces = sum(len(segments(document.text)) for document in documents.values())
    assert len(taken) + left_out.total() - left_out["documents without text"] == pieces
    assert len({sentence.text.lower() for sentence in taken}) == len(taken)
    for sentence in taken:
        id, start = sentence.id.rsplit(":", 1)
        document, end = documents[id], int(start) + len(sentence.text)
        assert document.text[int(start) : end] == sentence.text
        there = [e for e in document.entities if e.start < end and e.end > int(start)]
        assert [(e.start + int(start), e.end + int(start)) for e in sentence.entities] == [
            (e.start, e.end) for e in there
        ]
        assert all(e.score is None or e.score >= least for e in sentence.entities)
        assert not linked or all(e.link for e in sentence.entities)
        lost = [i.where for i in document.issues if i.code == "invented"]
        assert f"characters {start}-{end}" not in lost


def _moved(entity: Entity, text: str) -> Entity:
    """The entity in another text, and of another type there if its start is even."""
    kind = "disease" if entity.start % 2 else "test"
    return replace(entity, type=kind, text=text[entity.start : entity.end])


@given(st.lists(st.integers(0, 10**6), max_size=4, unique=True), st.integers(0, 10**6))
def test_gold_mentions_stay_and_others_join_them(seeds: list[int], other: int) -> None:
    gold = {document.text: document for document in map(tagged, seeds)}
    tags = [
        Document("tagged", text, tuple(_moved(e, text) for e in tagged(other).entities if e.end <= len(text)))
        for text in gold
    ]
    left_out: Counter[str] = Counter()
    strange = Document("strange", "is in no corpus")
    made = list(completed([*tags, strange], gold.values(), {"disease"}, left_out))
    assert left_out == {"documents that the gold corpus lacks": 1}
    for before, after in zip(tags, made, strict=True):
        own = gold[before.text].entities
        assert [e for e in after.entities if e.type == "disease"] == list(own)
        others = [e for e in after.entities if e.type != "disease"]
        taken = {p for e in own for p in range(e.start, e.end)}
        assert others == [
            e for e in before.entities if e.type == "test" and taken.isdisjoint(range(e.start, e.end))
        ]


def test_each_doubt_has_its_name() -> None:
    text = "Gout. CKD was seen. Asthma. Gout. Aspirin was given."
    entities = (
        Entity(0, 4, "disease", "Gout", 0.9, HIT),
        Entity(6, 9, "disease", "CKD", 0.4, HIT),
        Entity(20, 26, "disease", "Asthma", 0.9),
        Entity(28, 32, "disease", "Gout", 0.9, HIT),
        Entity(34, 41, "chemical", "Aspirin", 0.9, HIT),
    )
    last = segments(text)[-1]
    document = Document("1", text, entities, issues=(Issue("truncated", last.where),))
    left_out: Counter[str] = Counter()
    taken = list(sentences([document, Document("2", " ")], left_out, min_score=0.5, linked=True))
    assert [sentence.text for sentence in taken] == ["Gout."]
    assert left_out == {
        "sentences with a score below the least": 1,
        "sentences with a mention without concept": 1,
        "sentences seen before": 1,
        "sentences with an issue": 1,
        "documents without text": 1,
    }


def test_the_command_makes_a_corpus_of_what_tag_wrote(tmp_path: Path) -> None:
    tags = tmp_path / "tagged.jsonl"
    documents = [tagged(seed) for seed in range(20)]
    tags.write_bytes(b"".join(jsonl.dumps(Result(d, d.entities, d.issues)) for d in documents) + b"{broken\n")
    target = tmp_path / "silver.jsonl"
    command = [*DIRAG, "train", "silver", str(tags), "-o", str(target)]
    run = subprocess.run([*command, "--min-score", "0.3"], capture_output=True, text=True, check=True)
    left_out: Counter[str] = Counter()
    wanted = list(sentences(formats.read([str(tags)]), left_out, min_score=0.3))
    written = map(orjson.loads, target.read_bytes().splitlines())
    assert [record["text"] for record in written] == [sentence.text for sentence in wanted]
    mentions = sum(len(sentence.entities) for sentence in wanted)
    told = "; ".join(f"{reason} {count}" for reason, count in left_out.most_common())
    assert run.stderr == f"dirag: {len(wanted)} sentences with {mentions} mentions; {told}\n"
    refused = subprocess.run([*command[:-1], str(tags)], capture_output=True, text=True, check=False)
    assert refused.returncode
    assert "is also an input" in refused.stderr


def test_a_gold_corpus_is_completed(tmp_path: Path) -> None:
    gold = tmp_path / "gold.tsv"
    gold.write_text("Gout\tB-disease\nafter\tO\naspirin\tO\n\nno\tO\ngout\tB-disease\n\n")
    entities = (Entity(0, 4, "symptom", "Gout", 0.9), Entity(11, 18, "chemical", "aspirin", 0.9))
    tags, target = tmp_path / "tagged.jsonl", tmp_path / "silver.jsonl"
    tags.write_bytes(jsonl.dumps(Result(Document("1", "Gout after aspirin"), entities)))
    command = [*DIRAG, "train", "silver", str(tags), "--gold", str(gold)]
    run = subprocess.run([*command, "-o", str(target)], capture_output=True, text=True, check=True)
    assert run.stderr == "dirag: 1 sentences with 2 mentions\n"
    (made,) = formats.read([str(target)])
    assert [(e.text, e.type) for e in made.entities] == [("Gout", "disease"), ("aspirin", "chemical")]
    alone = {
        **os.environ,
        "DIRAG_OFFLINE": "1",
        "DIRAG_HOME": str(tmp_path / "home"),
        "DIRAG_DATA": str(tmp_path),
    }
    fetching = [*command[:-1], "ncbi-disease", "-o", str(target)]
    refused = subprocess.run(fetching, capture_output=True, text=True, check=False, env=alone)
    assert refused.returncode
    assert "fetching is switched off" in refused.stderr
