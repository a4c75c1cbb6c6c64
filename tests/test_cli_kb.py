"""``dirag kb`` as scripts see it."""

from __future__ import annotations

import random
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from dirag.cli.kb import kb
from dirag.errors import KnowledgeError, UsageError

DISEASES = (
    "id\tname\tsynonyms\tparents\nD:1\tHeart disease\t\t\nD:2\tHeart attack\tinfarct\tD:1\nD:3\tGout\t\t\n"
)
DRUGS = (
    '{"id": "C:1", "name": "Salbutamol", "synonyms": ["albuterol"], "types": ["chemical"]}\n{"id": "C:2"}\n'
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIRAG_HOME", str(tmp_path / "home"))


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    result = CliRunner().invoke(kb, arguments, input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def base(tmp_path: Path) -> str:
    (tmp_path / "diseases.tsv").write_text(DISEASES)
    (tmp_path / "drugs.jsonl").write_text(DRUGS)
    folder = str(tmp_path / "base")
    sources = (str(tmp_path / "diseases.tsv"), f"mine={tmp_path / 'drugs.jsonl'}")
    told = run("build", *sources, "-o", folder, "--encoder", "hash")
    assert told.stdout == ""
    assert "6 names of 4 concepts" in told.stderr
    assert "mine: 1 x row without id or name, first at drugs.jsonl:2" in told.stderr
    return folder


def test_what_is_inside_is_told(base: str) -> None:
    shown = run("info", base, "--check").stdout
    for part in ("6 names of 4 concepts", "vocabulary  diseases: 3 concepts", "mine: 1 concepts", "hash"):
        assert part in shown
    manifest = orjson.loads(run("info", base, "--json").stdout)
    assert [source["name"] for source in manifest["sources"]] == ["diseases", "mine"]
    assert manifest["names"] == 6


def test_each_query_is_answered_in_order(base: str) -> None:
    asked = b"albuterol\n\nheart atack\r\n" + b"gout\n" * 300
    answers = [
        orjson.loads(line) for line in run("search", base, "-", "--json", stdin=asked).stdout.splitlines()
    ]
    assert [answer["query"] for answer in answers[:4]] == ["albuterol", "", "heart atack", "gout"]
    assert len(answers) == 303
    [drug] = answers[0]["hits"][:1]
    assert set(drug) == {"id", "name", "alias", "types", "source", "score", "how", "parents"}
    assert (drug["id"], drug["alias"], drug["how"], drug["source"]) == ("C:1", "albuterol", "exact", "mine")
    assert answers[1]["hits"] == []
    assert (answers[2]["hits"][0]["id"], answers[2]["hits"][0]["how"]) == ("D:2", "fuzzy")
    assert answers[2]["hits"][0]["parents"] == [{"id": "D:1", "name": "Heart disease"}]
    assert all(1 >= hit["score"] >= 0 for answer in answers for hit in answer["hits"])


@pytest.mark.parametrize(
    "options, ids",
    [
        (["--how", "exact"], ["D:2"]),
        (["--sources", "mine"], []),
        (["--types", "chemical"], []),
        (["--under", "D:1"], ["D:2"]),
        (["--under", "D:3"], []),
    ],
)
def test_what_is_asked_for_is_found_and_nothing_else(base: str, options: list[str], ids: list[str]) -> None:
    how = [] if "--how" in options else ["--how", "exact"]
    answer = orjson.loads(run("search", base, "heart attack", "--json", *how, *options).stdout)
    assert [hit["id"] for hit in answer["hits"]] == ids


def test_a_query_that_is_an_id_finds_its_concept_first(base: str) -> None:
    """But for a name that looks like one, and where ids are not asked for."""
    queries = ("d:2", "2", "C:1", "D:9")
    answers = [orjson.loads(line) for line in run("search", base, *queries, "--json").stdout.splitlines()]
    first = [answer["hits"][0] if answer["hits"] else None for answer in answers]
    assert [hit and (hit["id"], hit["how"], hit["alias"], hit["score"]) for hit in first[:3]] == [
        ("D:2", "exact", "D:2", 1.0),
        ("D:2", "exact", "D:2", 1.0),
        ("C:1", "exact", "C:1", 1.0),
    ]
    assert first[3] is None or first[3]["how"] != "exact"
    for options in (["--how", "fuzzy"], ["--sources", "mine"], ["--types", "chemical"], ["--under", "d:3"]):
        answer = orjson.loads(run("search", base, "D:2", "--json", *options).stdout)
        assert "D:2" not in [hit["id"] for hit in answer["hits"]]
    assert run("search", base, "d:2", "-k", "1").stdout.splitlines()[1].split() == [
        "1.000", "exact", "D:2", "Heart", "attack", "(D:2)",
    ]  # fmt: skip


def test_a_concept_is_shown(base: str) -> None:
    shown = run("show", "D:1", "2", "--kb", base).stdout.splitlines()
    assert shown == [
        "D:1  Heart disease",
        "  vocabulary  diseases",
        "  children    D:2               Heart attack",
        "D:2  Heart attack",
        "  synonyms    infarct",
        "  vocabulary  diseases",
        "  parents     D:1               Heart disease",
    ]
    [record] = [orjson.loads(line) for line in run("show", "c:1", "--kb", base, "--json").stdout.splitlines()]
    assert record == {
        "query": "c:1",
        "id": "C:1",
        "name": "Salbutamol",
        "synonyms": ["albuterol"],
        "definition": "",
        "semantic_types": ["chemical"],
        "entity_types": ["chemical"],
        "source": "mine",
        "parents": [],
        "children": [],
        "xrefs": [],
    }


def test_an_id_that_is_not_there_costs_only_itself(base: str) -> None:
    alone = CliRunner().invoke(kb, ["show", "D:12", "--kb", base])
    assert isinstance(alone.exception, KnowledgeError)
    assert "'D:12'" in alone.exception.message
    several = CliRunner().invoke(kb, ["show", "-", "--kb", base, "--json"], input=b"D:12\nD:3\n")
    assert isinstance(several.exception, KnowledgeError)
    assert several.exception.message.startswith("1 of the ids")
    assert orjson.loads(several.stdout)["name"] == "Gout"
    assert "D:12" in several.stderr


def test_what_cannot_be_is_said_in_one_sentence(base: str, tmp_path: Path) -> None:
    runner = CliRunner()
    refused = runner.invoke(kb, ["build", str(tmp_path / "none.obo"), "-o", base])
    assert isinstance(refused.exception, UsageError)
    meant = runner.invoke(kb, ["search", str(tmp_path / "diseases.tsv"), "--how", "dense", "gout"])
    assert isinstance(meant.exception, UsageError)
    (tmp_path / "empty.obo").touch()
    empty = runner.invoke(kb, ["build", str(tmp_path / "empty.obo"), "-o", base, "--no-dense"])
    assert isinstance(empty.exception, KnowledgeError)
    assert "empty.obo" in empty.exception.message
    assert "6 names" in run("info", base).stdout  # the old base is there as it was


def test_a_damaged_base_is_noticed(base: str) -> None:
    victim = Path(base, "concepts.B")
    data = bytearray(victim.read_bytes())
    data[10] ^= 1
    victim.write_bytes(data)
    found = CliRunner().invoke(kb, ["info", base, "--check"])
    assert isinstance(found.exception, KnowledgeError)
    assert "concepts.B" in found.exception.message


def test_a_sequence_is_a_name_like_any_other(tmp_path: Path) -> None:
    letters = random.Random(0)
    proteins = ["".join(letters.choices("ACDEFGHIKLMNPQRSTVWY", k=size)) for size in (255, 256, 300, 100_000)]
    rows = "".join(f"P:{len(protein)}\t{protein}\n" for protein in proteins)
    (tmp_path / "proteins.tsv").write_text(f"id\tname\n{rows}")
    folder = str(tmp_path / "base")
    run("build", str(tmp_path / "proteins.tsv"), "-o", folder, "--encoder", "hash")
    misspelt = [f"{protein[:9]}X{protein[10:]}" for protein in proteins]
    asked = "\n".join([*proteins, *misspelt]).encode()
    answers = [
        orjson.loads(line) for line in run("search", folder, "-", "--json", stdin=asked).stdout.splitlines()
    ]
    assert [(answer["hits"][0]["id"], answer["hits"][0]["how"]) for answer in answers] == [
        (f"P:{len(protein)}", how) for how in ("exact", "fuzzy") for protein in proteins
    ]
