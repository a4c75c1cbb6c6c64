"""Every figure of the page against the report of its run: tables, boxes, shares, points of charts.

The page is read once as a file and once, where there is one, as a browser has built it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import browser
import numpy as np
import pytest
import scored_runs
from command import output
from hypothesis import given
from hypothesis import strategies as st

from dirag.evaluate.bootstrap import interval
from dirag.evaluate.kinds import KINDS
from dirag.evaluate.page.charts import RATIO, Axis, Series, lines

RUNS = ("A", "A-sure", "B")
PAGES = {"one.html": RUNS[:1], "three.html": RUNS}
#: What the runs had seen: mentions of a pool of examples, and names of a vocabulary.
POOL = ("asthma", "copper", "zinc", "lead poisoning")
NAMES = ("asthma", "gout", "zinc", "fever", "iron", "pain")
Page = Callable[[str], Element]


class _Tree(HTMLParser):
    """The elements of a page as a tree."""

    _VOID = ("meta", "input", "br", "img", "link")

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.builder = ElementTree.TreeBuilder()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.builder.start(tag, {name: value or "" for name, value in attrs})
        if tag in self._VOID:
            self.builder.end(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self._VOID:
            self.builder.end(tag)

    def handle_endtag(self, tag: str) -> None:
        self.builder.end(tag)

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.builder.data(data)


def tree(text: str) -> Element:
    return _Tree(text).builder.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    scored_runs.write(folder)
    entities = [{"start": 0, "end": len(name), "type": "disease"} for name in POOL]
    records = zip(POOL, entities, strict=True)
    lines = (json.dumps({"text": name, "entities": [entity]}) + "\n" for name, entity in records)
    (folder / "pool.jsonl").write_text("".join(lines), encoding="utf-8")
    rows = (f"X:{number}\t{name}\tdisease\n" for number, name in enumerate(NAMES))
    (folder / "names.tsv").write_text("id\tname\ttypes\n" + "".join(rows), encoding="utf-8")
    for run in RUNS:
        told = report(folder, run)
        told["config"] |= {"pool": str(folder / "pool.jsonl"), "kb": str(folder / "names.tsv")}
        (folder / run / "report.json").write_text(json.dumps(told), encoding="utf-8")
    for page, runs in PAGES.items():
        output(folder, "report", *runs, "-o", page)
    return folder


@pytest.fixture(scope="module", params=["file", "browser"])
def opened(request: pytest.FixtureRequest, folder: Path) -> Iterator[Page]:
    """A function from the name of a page to its elements."""
    if request.param == "file":
        yield lambda name: tree((folder / name).read_text(encoding="utf-8"))
        return
    if (path := browser.find()) is None:
        pytest.skip(f"no browser: install one of {', '.join(browser.NAMES)}")
    window = browser.Browser(path, folder / "profile")

    def elements(name: str) -> Element:
        window.open(folder / name)
        return tree(window.run("document.documentElement.outerHTML"))

    yield elements
    window.close()


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, opened: Page) -> tuple[Element, Sequence[str]]:
    return opened(request.param), PAGES[request.param]


def text(element: Element) -> str:
    return "".join(element.itertext())


def rows_of(root: Element, caption: str) -> list[Element]:
    [named] = [each for each in root.iter("table") if text(each[0]) == caption]
    return named.findall("tbody/tr")


def table(root: Element, caption: str) -> list[dict[str, str]]:
    """The rows of a table by their headings; the label of a group of rows is that of each of them."""
    [named] = [each for each in root.iter("table") if text(each[0]) == caption]
    head = [text(cell) or f"picture {place}" for place, cell in enumerate(named.iterfind("thead/tr/*"))]
    rows, group = [], ""
    for row in rows_of(root, caption):
        cells = [text(cell) for cell in row]
        if row[0].get("scope") == "rowgroup":
            group = cells[0]
        rows.append(dict(zip(head, cells if len(cells) == len(head) else [group, *cells], strict=True)))
    return rows


def report(folder: Path, run: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((folder / run / "report.json").read_text(encoding="utf-8"))
    return made


def figures(counts: Mapping[str, Any], ci95: Sequence[float]) -> dict[str, str]:
    """The cells of some counts as JSON has them."""
    return {
        "gold": f"{counts['gold']:,}",
        "found": f"{counts['predicted']:,}",
        "right": f"{counts['correct']:,}",
        **{head: f"{counts[name]:.3f}" for head, name in (("P", "precision"), ("R", "recall"), ("F1", "f1"))},
        "95% interval": "{:.3f}–{:.3f}".format(*ci95),
    }


def agree(row: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """The row has the expected cells; JSON has four digits, so the third may differ by rounding."""
    for name, value in expected.items():
        shown = row[name].split("–")
        assert [float(part.replace(",", "")) for part in shown] == pytest.approx(
            [float(part.replace(",", "")) for part in value.split("–")], abs=0.00101
        ), (name, row)


def embedded(root: Element) -> Any:
    [data] = [each for each in root.iter("script") if each.get("id") == "data"]
    return json.loads(data.text or "")


def test_boxes_show_the_figures_that_they_name(opened: Page, folder: Path) -> None:
    told = report(folder, "A")
    [boxes] = [each for each in opened("one.html").iter("dl") if each.get("class") == "boxes"]
    shown = {text(box[0]): text(box[1]) for box in boxes}
    low, high = told["ci95"]
    assert shown == {
        "F1": f"{told['f1']:.3f} 95% interval {low:.3f} to {high:.3f}",
        "Precision": f"{told['precision']:.3f} {told['correct']} of {told['predicted']} found",
        "Recall": f"{told['recall']:.3f} {told['correct']} of {told['gold']} gold",
        "Cost": "7.5 s 1,540 tokens",
    }


def test_runs_have_a_row_each_with_their_figures(opened: Page, folder: Path) -> None:
    rows = table(opened("three.html"), "All types")
    assert [row["run"] for row in rows] == list(RUNS)
    for row in rows:
        told = report(folder, row["run"])
        agree(row, figures(told, told["ci95"]))
        trust = {"ECE": f"{told['calibration']['ece']:.3f}", "Brier": f"{told['calibration']['brier']:.3f}"}
        tokens = told["tokens"]["prompt"] + told["tokens"]["completion"]
        agree(row, trust | {"tokens": f"{tokens}", "seconds": f"{told['seconds']:.1f}"})
        assert row["min_score"] == str(told["config"]["min_score"])


def test_types_have_the_figures_of_the_report(page: tuple[Element, Sequence[str]], folder: Path) -> None:
    root, runs = page
    rows = table(root, "By type")
    assert [(row["type"], row.get("run", runs[0])) for row in rows] == [
        (kind, run) for kind in ("all", "chemical", "disease") for run in runs
    ]
    for row in rows:
        run = row.get("run", runs[0])
        compared = json.loads(output(folder, "compare", run, run, "--json"))  # has intervals by type
        told = compared if row["type"] == "all" else compared["per_type"][row["type"]]
        agree(row, figures(told["a"], told["a"]["ci95"]))


def counted(data: Any, place: int, group: Callable[[str], str], name: str) -> dict[str, str]:
    """The cells of the mentions of a run that are of a group, from the spans that the page's script has."""
    run, rows = data["runs"][place], []
    for (_, content), gold, found in zip(data["documents"], run["gold"], run["found"], strict=True):
        sides = [
            [span for span in side if group(content[span[0] : span[1]]) == name] for side in (gold, found)
        ]
        rows.append([*map(len, sides), sum(span[3] == 0 for span in sides[0]), 0, 0])
    gold, found, right = (sum(column) for column in list(zip(*rows, strict=True))[:3])
    if not gold + found:
        return {}
    ratios = {"precision": right / max(1, found), "recall": right / max(1, gold)}
    counts = {"gold": gold, "predicted": found, "correct": right, "f1": 2 * right / (gold + found)}
    return figures(counts | ratios, interval(np.array(rows, np.int64)))


def groups_agree(root: Element, runs: Sequence[str], caption: str, group: Callable[[str], str]) -> list[str]:
    """Every row of a table has the figures of its group of mentions; returns the groups."""
    data, rows = embedded(root), table(root, caption)
    for row in rows:
        name = next(iter(row.values()))
        place = runs.index(row.get("run", runs[0]))
        expected = counted(data, place, group, name)
        assert (row["F1"] == "–") == (not expected)
        agree(row, expected)
    return list(dict.fromkeys(next(iter(row.values())) for row in rows))


def test_lengths_are_those_of_the_mentions(page: tuple[Element, Sequence[str]]) -> None:
    def length(mention: str) -> str:
        return ("1 word", "2 words", "3 words")[mention.count(" ")]

    groups = groups_agree(*page, "By length of the mention", length)
    assert groups == ["1 word", "2 words", "3 words"]


def test_novelty_is_what_the_pool_and_the_vocabulary_lack(page: tuple[Element, Sequence[str]]) -> None:
    def novelty(mention: str) -> str:
        places = {"pool": POOL, "knowledge base": NAMES}
        seen = [place for place, names in places.items() if mention.lower() in names]
        return " and ".join(seen) or "neither"

    groups = groups_agree(*page, "By novelty: where the mention was seen", novelty)
    assert groups == ["knowledge base", "neither", "pool", "pool and knowledge base"]


WITH_METERS = ("All types", "By type", "By length of the mention", "By novelty: where the mention was seen")


def test_pictures_of_f1_lie_where_the_figures_beside_them_say(page: tuple[Element, Sequence[str]]) -> None:
    root, runs = page
    for caption in WITH_METERS[len(runs) == 1 :]:
        pictures = [row.findall("td/svg") for row in rows_of(root, caption)]
        for row, drawn in zip(table(root, caption), pictures, strict=True):
            assert len(drawn) == (row["F1"] != "–")
            for picture in drawn:
                ends = (float(end) for end in row["95% interval"].split("–"))
                assert _meter(picture) == pytest.approx((float(row["F1"]), *ends), abs=0.0011), row


def test_bars_are_as_long_as_the_shares_beside_them(page: tuple[Element, Sequence[str]]) -> None:
    shares = 0
    for row in rows_of(page[0], "Entities by kind of error"):
        cells = list(row)
        for cell, beside in pairwise(cells):
            if text(cell).endswith("%"):
                [picture] = beside.findall("svg")
                [drawn] = picture.findall("path")
                begin, end = drawn.get("d", "").removeprefix("M").split(" 6H")
                length = (float(end) - float(begin)) / float(picture.get("width", ""))
                assert length == pytest.approx(float(text(cell)[:-1]) / 100, abs=0.0011)
                shares += 1
    assert shares == len(page[1]) * 2 * (len(KINDS) - 1)


def _meter(picture: Element) -> tuple[float, ...]:
    """The ratio and the ends of its interval, by the rail that goes from 0 to 1."""
    paths = {each.get("class"): each.get("d", "") for each in picture.findall("path")}
    first, last = (float(end) for end in paths["rail"].removeprefix("M").split(" 6H"))
    low, high = (float(end) for end in paths["bar"].removeprefix("M").split(" 6H"))
    [dot] = picture.findall("circle")
    return tuple((at - first) / (last - first) for at in (float(dot.get("cx", "")), low, high))


def test_shares_of_errors_are_of_their_own_side(page: tuple[Element, Sequence[str]], folder: Path) -> None:
    root, runs = page
    cells = [[text(cell) for cell in row] for row in rows_of(root, "Entities by kind of error")]
    data = embedded(root)
    expected = []
    for number, kind in enumerate(KINDS):
        for place, run in enumerate(runs):
            told, sides = report(folder, run), []
            for side, total, never in (("gold", "gold", "spurious"), ("found", "predicted", "missed")):
                count = Counter(span[3] for spans in data["runs"][place][side] for span in spans)[number]
                share = f"{100 * count / told[total]:.1f}%"
                sides += ["–", "–"] if kind == never else [str(count), share]
            expected.append(sides)
    skip = 1 if len(runs) == 1 else 2
    shown = [row[-8 + skip :] if len(runs) == 1 else row[-6:] for row in cells]
    assert [[*row[:2], *row[3:5]] for row in shown] == expected


def test_scores_by_tenths_are_the_calibration(page: tuple[Element, Sequence[str]], folder: Path) -> None:
    root, runs = page
    rows = table(root, "Scores by tenths")
    expected = []
    for run in runs:
        told = report(folder, run)["calibration"]
        for b, c in zip(told["bins"], told["min_score"], strict=True):
            empty = not b["predicted"]
            expected.append({
                "run": run,
                "score from": f"{b['low']:g}",
                "found": str(b["predicted"]),
                "mean score": "–" if empty else f"{b['score']:.3f}",
                "right": "–" if empty else f"{b['right']:.3f}",
                "P from here up": f"{c['precision']:.3f}",
                "R": f"{c['recall']:.3f}",
                "F1": f"{c['f1']:.3f}",
            })  # fmt: skip
    assert len(rows) == len(expected)
    for row, cells in zip(rows, expected, strict=True):
        assert {name for name in row if row[name] == "–"} == {name for name in cells if cells[name] == "–"}
        assert (row["run"], row["score from"]) == (cells["run"], cells["score from"])
        agree(row, {name: value for name, value in cells.items() if name != "run" and value != "–"})


def test_settings_are_those_of_the_run(page: tuple[Element, Sequence[str]], folder: Path) -> None:
    root, runs = page
    for row in table(root, "Settings"):
        for run in runs:
            shown = row["value" if len(runs) == 1 else run]
            assert shown == str(report(folder, run)["config"][row["setting"]])


# -- charts ----------------------------------------------------------------------------------------------


class Chart:
    """A chart as one reads it: labels, and points by the ticks of the axes."""

    def __init__(self, figure: Element) -> None:
        self.title = text(figure[0])
        [svg] = [each for each in figure.iter("svg") if "chart" in (each.get("class") or "")]
        words = svg.findall("text")
        self.y_label = next(text(each) for each in words if "rotate(-90)" in (each.get("transform") or ""))
        rest = [each for each in words if not each.get("transform")]
        self.x_label = text(rest.pop())
        self.x = {float(text(each)): float(each.get("x", "")) for each in rest if _is_below(each)}
        self.y = {float(text(each)): float(each.get("y", "")) - 4 for each in rest if not _is_below(each)}
        self.series = [self._points(group) for group in svg.findall("g")]
        self.bars = [
            [self._bar(each) for each in group.findall("path") if each.get("class") == "error"]
            for group in svg.findall("g")
        ]

    def _points(self, group: Element) -> list[tuple[float, float]]:
        drawn = [each.get("d", "") for each in group.findall("path") if each.get("class") == "line"]
        places = [place.split() for path in drawn for place in path[1:].split("L")]
        return [(_value(self.x, float(a)), _value(self.y, float(b))) for a, b in places]

    def _bar(self, path: Element) -> tuple[float, float]:
        low, high = path.get("d", "").split("M")[1].split(" ")[1].split("V")
        return _value(self.y, float(low)), _value(self.y, float(high))


def _is_below(tick: Element) -> bool:
    return tick.get("text-anchor") == "middle"


def _value(ticks: Mapping[float, float], place: float) -> float:
    """What lies at a place, by the first and last of the ticks."""
    (low, first), (high, last) = min(ticks.items()), max(ticks.items())
    return low + (high - low) * (place - first) / (last - first)


def charts(root: Element) -> dict[str, Chart]:
    read = [Chart(figure) for figure in root.iter("figure")]
    return {chart.title: chart for chart in read}


def close(points: Sequence[tuple[float, float]], expected: Sequence[tuple[float, float]]) -> None:
    """Points are drawn to a tenth of a unit, and those that fall together are drawn once."""
    assert [part for point in points for part in point] == pytest.approx(
        [part for point in dict.fromkeys(expected) for part in point], abs=0.002
    )


def test_larger_values_are_higher_and_further_right(page: tuple[Element, Sequence[str]]) -> None:
    for chart in charts(page[0]).values():
        assert all(chart.x[a] < chart.x[b] for a, b in pairwise(sorted(chart.x)))
        assert all(chart.y[a] > chart.y[b] for a, b in pairwise(sorted(chart.y)))


def test_the_curve_of_precision_and_recall_has_recall_across(page: tuple[Element, Sequence[str]]) -> None:
    root, runs = page
    chart = charts(root)["Precision and recall over score"]
    assert (chart.x_label, chart.y_label) == ("recall", "precision")
    data = embedded(root)
    for place in range(len(runs)):
        gold = sum(map(len, data["runs"][place]["gold"]))
        found = [(span[4], span[3] == 0) for spans in data["runs"][place]["found"] for span in spans]
        thresholds = sorted({score for score, _ in found if score is not None}, reverse=True)
        expected = []
        for least in ([2.0] if any(score is None for score, _ in found) else []) + thresholds:
            kept = [right for score, right in found if score is None or score >= least]
            expected.append((sum(kept) / gold, sum(kept) / len(kept)))
        close(chart.series[place], expected)


def test_the_curve_of_calibration_has_scores_across(
    page: tuple[Element, Sequence[str]], folder: Path
) -> None:
    root, runs = page
    chart = charts(root)["Calibration: how often entities of a score are right"]
    assert (chart.x_label, chart.y_label) == ("mean score", "share that is right")
    for run, points in zip(runs, chart.series, strict=True):
        bins = report(folder, run)["calibration"]["bins"]
        close(points, [(b["score"], b["right"]) for b in bins if b["predicted"]])


def test_f1_against_a_setting_lies_where_the_runs_say(opened: Page, folder: Path) -> None:
    chart = charts(opened("three.html"))["F1 against min_score, with 95% intervals"]
    assert (chart.x_label, chart.y_label) == ("min_score", "F1")
    told = {run: report(folder, run) for run in RUNS}
    for place, names in enumerate((("A", "A-sure"), ("B",))):
        close(chart.series[place], [(told[n]["config"]["min_score"], told[n]["f1"]) for n in names])
        close(chart.bars[place], [tuple(told[n]["ci95"]) for n in names])


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5))
def test_any_point_lies_where_its_axes_say(points: list[tuple[float, float]]) -> None:
    drawn = lines("t", [Series("s", points)], x=Axis("across", RATIO), y=Axis("up", RATIO))
    chart = Chart(tree(drawn))
    assert (chart.x_label, chart.y_label) == ("across", "up")
    for point in points:
        assert any(point == pytest.approx(place, abs=0.002) for place in chart.series[0])
