"""``dirag examples`` as scripts see it."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from dirag.assembly.sources import read_pool
from dirag.cli.examples import examples
from dirag.errors import DiragError, ExamplesError
from dirag.examples import pool

SENTENCES = [
    ("Familial asthma was seen in two brothers .", "asthma"),
    ("Severe asthma was treated with steroids .", "asthma"),
    ("Mutations in BRCA1 lead to breast cancer .", "breast cancer"),
    ("No fever was seen .", "fever"),
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DIRAG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    with path.open("wb") as file:
        for text, mention in SENTENCES:
            start = text.index(mention)
            span = {"start": start, "end": start + len(mention), "type": "disease"}
            file.write(orjson.dumps({"text": text, "entities": [span]}) + b"\n")
    return path


@pytest.fixture
def built(corpus: Path, tmp_path: Path) -> Path:
    result = CliRunner().invoke(
        examples, ["build", str(corpus), "-o", str(tmp_path / "pool"), "--encoder", "hash"]
    )
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "4 examples, 4 disease" in result.stderr
    return tmp_path / "pool"


def search(*arguments: str, stdin: str | bytes | None = None) -> tuple[list[dict[str, object]], str]:
    result = CliRunner().invoke(
        examples, ["search", *arguments, "--json"], input=stdin, catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return [orjson.loads(line) for line in result.stdout.splitlines()], result.stderr


def test_search_answers_each_query_in_order(built: Path) -> None:
    [cancer, asthma], told = search(str(built), "breast cancers", "asthmatic attack", "-k", "2")
    assert told == ""
    assert (cancer["query"], asthma["query"]) == ("breast cancers", "asthmatic attack")
    hits = cancer["hits"]
    assert isinstance(hits, list)
    assert [set(hit) for hit in hits] == [{"id", "text", "score", "entities"}] * 2
    assert hits[0]["text"] == SENTENCES[2][0]
    assert hits[0]["entities"] == [{"start": 27, "end": 40, "text": "breast cancer", "type": "disease"}]
    assert 1 >= hits[0]["score"] >= hits[1]["score"] >= 0


def test_search_reads_queries_from_standard_input(built: Path) -> None:
    found, told = search(str(built), "-", stdin=b"breast cancer\n\nfev\xffer\r\n" + b"asthma\n" * 100)
    assert [answer["query"] for answer in found[:4]] == ["breast cancer", "", "fev\ufffder", "asthma"]
    assert len(found) == 103
    assert found[1]["hits"] == []
    assert found[3]["hits"] == found[102]["hits"]
    assert "line 3" in told


def test_the_query_itself_is_no_example(built: Path) -> None:
    [answer], _ = search(str(built), SENTENCES[0][0])
    hits = answer["hits"]
    assert isinstance(hits, list)
    assert {hit["text"] for hit in hits} == {text for text, _ in SENTENCES[1:]}


def test_a_corpus_serves_as_a_pool(corpus: Path, built: Path) -> None:
    assert search(str(corpus), "asthma", "--encoder", "hash") == search(str(built), "asthma")
    assert read_pool(str(corpus)).examples == pool.open(built).examples


def test_output_for_eyes(built: Path) -> None:
    result = CliRunner().invoke(examples, ["search", str(built), "breast cancers", "-k", "1"])
    assert result.stdout.splitlines()[0] == "breast cancers"
    assert SENTENCES[2][0] in result.stdout
    assert "disease: breast cancer" in result.stdout


def test_a_dataset_by_name(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIRAG_DATA", str(shared_data / "corpora"))
    made = read_pool("ncbi-disease", offline=True)
    assert made.manifest.examples == 5424
    assert made.manifest.types == {"disease": 5134}
    assert made.manifest.licence
    assert made.manifest.left_out == {}


def test_what_cannot_serve_is_refused(tmp_path: Path, built: Path) -> None:
    with pytest.raises(DiragError, match="no file or folder"):
        read_pool(str(tmp_path / "none.jsonl"))
    with pytest.raises(DiragError, match="known"):
        read_pool("ncbi-diseases")
    (built / "manifest.json").write_text("{}")
    with pytest.raises(ExamplesError, match="schema"):
        read_pool(str(built))
    assert CliRunner().invoke(examples, ["search", str(built)]).exit_code == 2
    assert CliRunner().invoke(examples, ["search", str(built), "x", "-k", "0"]).exit_code == 2
