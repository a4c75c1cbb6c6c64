"""The page as a file: what texts hold is shown and never obeyed, and nothing is asked for from anywhere."""

from __future__ import annotations

import ast
import base64
import hashlib
import re
import shutil
from collections.abc import Mapping
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import orjson
import pytest
from command import dirag
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag.data import Document, Entity, Json
from dirag.evaluate import page as page_package
from dirag.evaluate.analysis import Analysis, analyse
from dirag.evaluate.kinds import KINDS
from dirag.evaluate.page import page
from dirag.evaluate.page.charts import around
from dirag.evaluate.page.markup import Fragments, embedded, joined
from dirag.evaluate.page.tables import TableRow, grouped_table

HOSTILE = "</script><script>alert(1)</script><img src=http://x.example/ onerror=alert(2)>&lt;\u2028'\"`"


class Parsed(HTMLParser):
    """The elements of a page with their attributes, and the text of each script and style."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.raw.append((tag, ""))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] in ("script", "style") and self.cdata_elem:
            self.raw[-1] = (self.raw[-1][0], self.raw[-1][1] + data)
        else:
            self.text += data

    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(next(text for tag, text in self.raw if tag == "script"))
        return found


def made(
    text: str = "She has asthma.", name: str = "run", kind: str = "disease", id: str = "1", shots: int = 4
) -> tuple[Analysis, Document]:
    """A run over one text, of which the first character is a gold entity and the last a predicted one."""
    gold = Document(id, text, (Entity(0, 1, kind, text[0]),))
    answer = Document(id, text, (Entity(len(text) - 1, len(text), kind, text[-1], 0.5),))
    correct = len(text) == 1
    report: Mapping[str, Json] = {
        "dataset": name,
        "split": kind,
        "gold": 1,
        "predicted": 1,
        "correct": int(correct),
        "tokens": {"prompt": 3, "completion": 4},
        "seconds": 1.5,
        "config": {"shots": shots, "selector": name, "note": text, "types": [kind]},
    }
    analysis = analyse(name, [gold], [answer], report=report, types=[kind], novelty=lambda mention: "neither")
    return analysis, gold


TEXTS = st.text(min_size=1) | st.sampled_from([HOSTILE, "<!--", "]]>", "\u2029<b>", "{{x}}", "$&\\u003c"])


@settings(deadline=None, max_examples=50)
@given(st.recursive(TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_embedded_json_says_the_same_and_nothing_to_a_parser(value: Json) -> None:
    text = embedded(value)
    assert orjson.loads(text.encode()) == value
    assert not set(text) & set("<>&\u2028\u2029")


@settings(deadline=None, max_examples=10)
@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_no_text_becomes_an_element_or_an_attribute(text: str, name: str, kind: str, id: str) -> None:
    plain, _ = made()
    analysis, gold = made(text, name, kind, id)
    written = page([analysis], [gold], types=[kind], notes=[text])
    parsed = Parsed(written)
    expected = Parsed(page([plain], [gold], types=["disease"], notes=["x"]))
    assert parsed.raw[0] == expected.raw[0]
    assert [tag for tag, _ in parsed.raw] == ["style", "script", "script"]
    shape = [
        (tag, sorted(attributes)) for tag, attributes in parsed.elements if tag not in ("tr", "th", "td")
    ]
    # Where the text is one character long, the entity is correct and found: rows differ, nothing else does.
    svg = ("svg", "path", "circle", "g", "text")
    assert [each for each in shape if each[0] not in svg] == [
        (tag, sorted(attributes))
        for tag, attributes in expected.elements
        if tag not in ("tr", "th", "td", *svg)
    ]
    data = parsed.data()
    assert data["documents"] == [[id, text]]
    assert data["types"] == [kind]


@pytest.mark.parametrize("runs", [1, 3])
def test_the_page_asks_for_nothing_and_lets_nothing_else_run(runs: int) -> None:
    several = [made(HOSTILE, f"{HOSTILE}{n}", shots=n) for n in range(runs)]
    written = page([run for run, _ in several], [several[0][1]], types=["disease"])
    parsed = Parsed(written)
    fetching = {"src", "srcset", "data", "action", "formaction", "poster", "background", "ping", "xlink:href"}
    for tag, attributes in parsed.elements:
        assert not fetching & set(attributes)
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert (attributes.get("href") or "#").startswith("#")
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "template")
    code = [text for tag, text in parsed.raw if tag == "style"] + [parsed.raw[-1][1]]
    for text in code:
        assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttpRequest|innerHTML|eval\(", text)
    [policy] = [
        attributes["content"] or ""
        for tag, attributes in parsed.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in code]
    assert rules == {
        "default-src": "'none'",
        "style-src": f"'sha256-{digests[0]}'",
        "script-src": f"'sha256-{digests[1]}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_every_kind_and_type_has_its_row_and_every_id_is_there_once() -> None:
    analysis, gold = made()
    parsed = Parsed(page([analysis], [gold], types=["disease"]))
    buttons = [a["data-kind"] for tag, a in parsed.elements if tag == "button" and "data-kind" in a]
    assert buttons == list(KINDS)
    ids = [a["id"] for _, a in parsed.elements if "id" in a]
    assert len(ids) == len(set(ids))
    labelled = {a["for"] for tag, a in parsed.elements if tag == "label"}
    assert labelled == {a["id"] for tag, a in parsed.elements if tag in ("input", "select")}


@given(TEXTS)
def test_what_goes_into_a_template_is_escaped_unless_it_is_html(text: str) -> None:
    cell = Fragments("tables.html").fill("cell", content=text)
    assert cell == f"<td>{escape(text)}</td>"
    assert Fragments("tables.html").fill("cell", content=joined([cell, cell])) == f"<td>{cell}{cell}</td>"


@pytest.mark.parametrize("fields", [{}, {"content": "x", "more": "y"}, {"contents": "x"}])
def test_a_template_takes_the_values_of_its_fields_and_no_others(fields: dict[str, str]) -> None:
    with pytest.raises(AssertionError):
        Fragments("tables.html").fill("cell", **fields)


def test_nothing_but_files_and_templates_becomes_html() -> None:
    """No module of the page but that of templates calls text HTML, unless the text stands in the code."""
    modules = [path for path in Path(page_package.__file__).parent.glob("*.py") if path.name != "markup.py"]
    nodes = [node for path in modules for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    calls = [n for n in nodes if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "Html"]
    assert calls
    assert all(isinstance(argument, ast.Constant) for call in calls for argument in call.args)


def test_rows_that_share_a_heading_have_it_once() -> None:
    rows = [TableRow("1", ["a"], "x"), TableRow("2", ["b"], "x"), TableRow("1", ["c"], "y")]
    written = grouped_table("t", ("what", "run"), ["is"], rows)
    assert re.findall(r'rowspan="(\d)">(\w)', written) == [("2", "x"), ("1", "y")]
    assert written.count("<tbody>") == written.count("</tbody>") == 2
    assert written.count("<tr>") == 4


def test_f1_is_drawn_against_a_number_in_which_runs_differ() -> None:
    several = [made(name="same", shots=n) for n in (0, 4, 8)]
    written = page([run for run, _ in several], [several[0][1]], types=["disease"])
    assert "F1 against shots" in written
    assert "F1 against shots" not in page(
        [run for run, _ in several], [several[0][1]], types=["disease"], operation=["shots"]
    )
    assert "F1 against" not in page([several[0][0]], [several[0][1]], types=["disease"])


@given(st.lists(st.floats(0, 1), min_size=1))
def test_ticks_enclose_what_is_drawn_and_are_few(ratios: list[float]) -> None:
    ticks = around(ratios)
    assert ticks[0] <= min(ratios) + 1e-9
    assert ticks[-1] >= max(ratios) - 1e-9
    assert 2 <= len(ticks) <= 11


# -- the command -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gold standard of two texts, a vocabulary that names one of its mentions, and a run."""
    folder = tmp_path_factory.mktemp("ready")
    spans = [{"start": 0, "end": 6, "type": "disease"}, {"start": 11, "end": 21, "type": "chemical"}]
    records = [{"text": "asthma and salbutamol", "entities": spans}, {"text": HOSTILE, "entities": []}]
    (folder / "gold.jsonl").write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))
    (folder / "names.tsv").write_text("id\tname\tsynonyms\ttypes\nX:1\tasthma\t\tdisease\n", encoding="utf-8")
    asked = ["--dataset", "gold.jsonl", "--tagger", "dictionary", "--kb", "names.tsv"]
    assert dirag(folder, "eval", *asked, "--types", "disease", "--out", "run").returncode == 0
    return folder


@pytest.fixture
def folder(ready: Path, tmp_path: Path) -> Path:
    return shutil.copytree(ready, tmp_path / "folder")


def test_a_run_becomes_a_page(folder: Path) -> None:
    done = dirag(folder, "report", "run", "-o", "page.html")
    assert done.returncode == 0, done.stderr
    assert "page.html: 2 texts" in done.stderr
    parsed = Parsed((folder / "page.html").read_text(encoding="utf-8"))
    data = parsed.data()
    assert data["documents"] == [["gold:1", "asthma and salbutamol"], ["gold:2", HOSTILE]]
    assert data["types"] == ["disease"]
    assert [shown["gold"] for shown in data["runs"]] == [[[[0, 6, 0, 0]], []]]
    assert "pool and knowledge base" in parsed.text


def test_a_grid_becomes_a_page_of_its_runs_in_order(folder: Path) -> None:
    for shots in (4, 16, 0):
        at = shutil.copytree(folder / "run", folder / "grid" / f"shots={shots}")
        report = orjson.loads((at / "report.json").read_bytes())
        report["config"]["shots"] = shots
        (at / "report.json").write_bytes(orjson.dumps(report))
    done = dirag(folder, "report", "grid", "-o", "page.html")
    assert done.returncode == 0, done.stderr
    parsed = Parsed((folder / "page.html").read_text(encoding="utf-8"))
    assert [shown["name"] for shown in parsed.data()["runs"]] == ["shots=0", "shots=4", "shots=16"]
    assert "F1 against shots" in parsed.text


def test_what_cannot_be_opened_is_told_and_the_rest_is_shown(folder: Path) -> None:
    (folder / "names.tsv").unlink()
    done = dirag(folder, "report", "run", "-o", "page.html")
    assert done.returncode == 0, done.stderr
    assert "what was seen in the knowledge base is not told" in done.stderr
    assert "what was seen in the knowledge base is not told" in (folder / "page.html").read_text("utf-8")


@pytest.mark.parametrize("lost", ["report.json", "gold.jsonl", "predictions.jsonl"])
def test_a_folder_that_is_no_whole_run_is_refused(folder: Path, lost: str) -> None:
    (folder / "run" / lost).unlink()
    done = dirag(folder, "report", "run", "-o", "page.html")
    assert done.returncode != 0
    assert "run is no run of dirag eval --out that ended" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "page.html").exists()


def test_a_place_that_cannot_be_written_is_told(folder: Path) -> None:
    done = dirag(folder, "report", "run", "-o", "absent/page.html")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "dirag: cannot write absent/page.html: No such file or directory"


def test_runs_over_other_gold_are_refused(folder: Path) -> None:
    asked = ["--dataset", "gold.jsonl", "--tagger", "dictionary", "--kb", "names.tsv"]
    assert (
        dirag(folder, "eval", *asked, "--types", "disease", "--limit", "1", "--out", "less").returncode == 0
    )
    done = dirag(folder, "report", "run", "less", "-o", "page.html")
    assert done.returncode != 0
    assert "run and less were scored on different gold" in done.stderr
