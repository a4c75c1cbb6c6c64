"""The page in a real browser: no complaint, no request; keys, names for screen readers, contrast, width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import browser
import pytest
from browser import Browser

from dirag.data import Document, Entity, Json
from dirag.evaluate.analysis import Analysis, analyse
from dirag.evaluate.page import page
from dirag.evaluate.scoring.score import score

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> & asthma"
)
TYPES = ("disease", "chemical")


def entity(text: str, mention: str, kind: str, score: float | None = None) -> Entity:
    start = text.index(mention)
    return Entity(start, start + len(mention), kind, mention, score)


def texts() -> Iterator[tuple[Document, Document]]:
    """Gold and predicted: a text a kind, a hostile one, one of characters beyond 16 bits, many more."""
    sides: Sequence[tuple[str, Sequence[tuple[str, str]], Sequence[tuple[str, str]]]] = [
        ("Gout and flu.", [("Gout", "disease")], [("flu", "disease")]),
        ("Zinc deficiency rose.", [("Zinc deficiency", "disease")], [("Zinc", "chemical")]),
        ("An acute kidney injury.", [("kidney injury", "disease")], [("acute kidney injury", "disease")]),
        ("Chronic pain of joints.", [("Chronic pain of joints", "disease")], [("pain", "disease")]),
        ("A b c d.", [("A b", "disease")], [("b c", "disease")]),
        ("Aspirin.", [("Aspirin", "chemical")], [("Aspirin", "disease")]),
        ("One two three.", [("One two three", "disease")], [("One", "disease"), ("three", "disease")]),
        ("Un deux trois.", [("Un", "disease"), ("trois", "disease")], [("Un deux trois", "disease")]),
        ("Uno due tre.", [("Uno due tre", "disease")], [("Uno due", "disease"), ("due tre", "disease")]),
        (HOSTILE, [("asthma", "disease")], [("<img", "chemical")]),
        ("\U0001f9ec\U0001f48a then gout.", [("gout", "disease")], [("gout", "disease")]),
    ]
    sides = [
        *sides,
        *((f"Case {n} of flu.", [("flu", "disease")], [("Case", "disease")]) for n in range(120)),
    ]
    for n, (text, *both) in enumerate(sides):
        wanted, found = (tuple(entity(text, *each) for each in side) for side in both)
        yield Document(f"t{n}", text, wanted), Document(f"t{n}", text, found)


def analysed(name: str, gold: Sequence[Document], predicted: Sequence[Document], shots: int) -> Analysis:
    micro = score(gold, predicted, types=TYPES).micro
    report: dict[str, Json] = {
        "dataset": "toy",
        "gold": micro.gold,
        "predicted": micro.predicted,
        "correct": micro.correct,
        "config": {"shots": shots, "selector": "knn"},
    }
    return analyse(name, gold, predicted, report=report, types=TYPES, novelty=lambda mention: "neither")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages: of one run, and of two."""
    folder = tmp_path_factory.mktemp("pages")
    gold, predicted = zip(*texts(), strict=True)
    scored = [
        Document(d.id, d.text, tuple(Entity(e.start, e.end, e.type, e.text, 0.75) for e in d.entities))
        for d in predicted
    ]
    one, two = analysed("knn", gold, scored, 4), analysed("<b>perfect</b>", gold, gold, 8)
    (folder / "one.html").write_text(page([one], gold, types=TYPES, notes=["a note"]), "utf-8")
    (folder / "two.html").write_text(page([one, two], gold, types=TYPES), "utf-8")
    return folder


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = browser.find()
    if path is None:
        pytest.skip(f"no browser: install one of {', '.join(browser.NAMES)}")
    made = Browser(path, tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


def shown(opened: Browser) -> list[str]:
    """The ids of the texts that are shown."""
    found: list[str] = opened.run("[...document.querySelectorAll('#list h3')].map((h) => h.textContent)")
    return found


def choose(opened: Browser, name: str, value: str, event: str = "change") -> None:
    opened.run(
        f"(() => {{ const e = document.getElementById('{name}'); e.value = {value!r};"
        f" e.dispatchEvent(new Event('{event}')); }})()"
    )


@pytest.mark.parametrize("name", ["one", "two"])
def test_it_opens_without_complaint_and_asks_for_nothing(opened: Browser, folder: Path, name: str) -> None:
    opened.open(folder / f"{name}.html")
    assert shown(opened)[:3] == ["t0", "t1", "t2"]
    assert opened.complaints == []
    assert opened.requests == [(folder / f"{name}.html").as_uri()]


def test_a_complaint_and_a_request_would_be_seen(opened: Browser, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text("<script>missing()</script><img src=absent.png>", "utf-8")
    opened.open(tmp_path / "bad.html")
    assert any("missing" in complaint for complaint in opened.complaints)
    assert any(url.endswith("absent.png") for url in opened.requests)


def test_script_in_a_text_is_shown_and_not_run(opened: Browser, folder: Path) -> None:
    opened.open(folder / "two.html")
    choose(opened, "search", "owned", "input")
    assert shown(opened) == ["t9"]
    assert HOSTILE[:9] in opened.run("document.getElementById('list').textContent")
    assert "owned" not in opened.run("document.title")
    assert opened.run("document.querySelectorAll('img, #list script, b').length") == 0
    opened.run(
        "(() => { const s = document.createElement('script'); s.textContent = 'document.title = 1';"
        " document.body.append(s); })()"
    )
    assert opened.run("document.title") != "1"  # the policy holds even where a script gets in
    assert any("Content Security Policy" in complaint for complaint in opened.complaints)


def test_spans_stand_where_they_are(opened: Browser, folder: Path) -> None:
    opened.open(folder / "one.html")
    choose(opened, "kind", "any")
    choose(opened, "search", "then gout", "input")
    marks = opened.run("[...document.querySelectorAll('#list mark')].map((m) => m.firstChild.data)")
    assert marks == ["gout", "gout"]
    labels = opened.run("[...document.querySelectorAll('#list .label')].map((m) => m.textContent)")
    assert labels == ["disease", "disease · 0.75"]
    choose(opened, "search", "uno due", "input")
    pieces = opened.run(
        "[...document.querySelectorAll('.sides > div')].map((d) => [...d.querySelectorAll('mark')]"
        ".map((m) => m.firstChild.data))"
    )
    assert pieces == [["Uno due tre"], ["Uno ", "due", " tre"]]
    whole = opened.run(
        "(() => { document.querySelectorAll('.label').forEach((l) => l.remove());"
        " return [...document.querySelectorAll('.sides p')].map((p) => p.textContent); })()"
    )
    assert whole == ["Uno due tre."] * 2


@pytest.mark.parametrize(
    "kind, ids",
    [
        ("type and boundary", ["t1"]),
        ("too long", ["t2"]),
        ("too short", ["t3"]),
        ("shifted", ["t4"]),
        ("wrong type", ["t5"]),
        ("split", ["t6"]),
        ("merged", ["t7"]),
        ("entangled", ["t8"]),
        ("correct", ["t10"]),
    ],
)
def test_a_button_shows_the_texts_of_its_kind(
    opened: Browser, folder: Path, kind: str, ids: list[str]
) -> None:
    opened.open(folder / "one.html")
    opened.run(f"document.querySelector('button[data-kind=\"{kind}\"]').focus()")
    opened.press("Enter")
    assert shown(opened) == ids
    assert opened.run("document.activeElement.id") == "kind"
    assert opened.run("document.getElementById('status').textContent").startswith("1 of 131 texts")


def test_texts_are_filtered_by_type_and_shown_a_few_at_a_time(opened: Browser, folder: Path) -> None:
    opened.open(folder / "one.html")
    choose(opened, "type", "chemical")
    assert shown(opened) == ["t1", "t5", "t9"]
    choose(opened, "type", "")
    assert len(shown(opened)) == 50
    opened.run("document.getElementById('more').focus()")
    opened.press("Enter")
    assert len(shown(opened)) == 100
    assert opened.run("document.activeElement.querySelector('h3').textContent") == shown(opened)[50]
    opened.run("document.getElementById('more').click()")
    assert len(shown(opened)) == 130  # all but the one that is right
    assert opened.run("document.getElementById('more').hidden")
    choose(opened, "search", "CASE 11", "input")
    assert len(shown(opened)) == 11


def test_two_runs_are_set_side_by_side(opened: Browser, folder: Path) -> None:
    opened.open(folder / "two.html")
    choose(opened, "kind", "differ")
    assert shown(opened) == []
    choose(opened, "beside", "1")
    headings = opened.run(
        "[...document.querySelector('.sides').querySelectorAll('h4')].map((h) => h.textContent)"
    )
    assert headings == ["Gold, against knn", "knn", "<b>perfect</b>"]
    assert "t10" not in shown(opened)
    choose(opened, "kind", "error")
    choose(opened, "run", "1")
    assert shown(opened) == []


@pytest.mark.parametrize("name", ["one", "two"])
def test_the_keyboard_reaches_everything_and_is_seen(opened: Browser, folder: Path, name: str) -> None:
    opened.open(folder / f"{name}.html")
    wanted = opened.run(
        "[...document.querySelectorAll('a, button, input, select, summary, [tabindex=\"0\"]')]"
        ".filter((e) => e.checkVisibility()).length"
    )
    look = (
        "(() => { const e = document.activeElement; if (e === document.body) return null;"
        " e.dataset.seen = 1; const s = getComputedStyle(e);"
        " return [e.tagName, s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2]; })()"
    )
    opened.press("Tab")
    assert opened.run("document.activeElement.className") == "skip"
    hidden_focus = []
    for _ in range(wanted):
        at = opened.run(look)
        if at is None:
            break
        hidden_focus += [] if at[1] else [at[0]]
        opened.press("Tab")
    assert hidden_focus == []
    assert opened.run("document.querySelectorAll('[data-seen]').length") == wanted


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_screen_reader_is_told_names_and_landmarks(opened: Browser, folder: Path, name: str) -> None:
    opened.open(folder / f"{name}.html")
    told = opened.named()
    roles = {role for role, _ in told}
    assert {"banner", "navigation", "main", "search", "status", "table", "columnheader", "rowheader"} <= roles
    named = ("button", "searchbox", "combobox", "region", "image", "img", "table", "link", "heading")
    assert [role for role, said in told if role in named and not said.strip()] == []
    levels = opened.run("[...document.querySelectorAll('h1, h2, h3, h4')].map((h) => +h.tagName[1])")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


CONTRAST = """(() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = channels(colour).slice(0, 3).map((c) => c / 255)
      .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (channels(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  document.querySelectorAll("details").forEach((d) => { d.open = true; });
  const poor = [];
  let seen = 0;
  for (const e of document.querySelectorAll("body *")) {
    if (!e.checkVisibility() || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    const ink = getComputedStyle(e)[e.closest("svg") ? "fill" : "color"];
    const [a, b] = [luminance(ink), luminance(behind(e))].sort((x, y) => y - x);
    seen += 1;
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push([e.tagName, e.className, ink, behind(e)].join(" "));
  }
  return [seen, [...new Set(poor)]];
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(opened: Browser, folder: Path, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    opened.call("Emulation.setEmulatedMedia", features=features)
    opened.open(folder / "two.html")
    choose(opened, "beside", "1")
    seen, poor = opened.run(CONTRAST)
    back = opened.run("getComputedStyle(document.body).backgroundColor")
    opened.call("Emulation.setEmulatedMedia", features=[])
    assert seen > 300
    assert poor == []
    assert (back == "rgb(255, 255, 255)") == (scheme == "light")


def test_a_narrow_screen_need_not_be_scrolled_sideways(opened: Browser, folder: Path) -> None:
    opened.call(
        "Emulation.setDeviceMetricsOverride", width=320, height=640, deviceScaleFactor=1, mobile=False
    )
    widths = []
    for name in ("one", "two"):
        opened.open(folder / f"{name}.html")
        widths.append(opened.run("document.documentElement.scrollWidth"))
    opened.call("Emulation.clearDeviceMetricsOverride")
    assert max(widths) <= 320


def test_the_page_of_a_whole_corpus_is_small_and_shows_few_texts_at_once(
    opened: Browser, shared_data: Path, tmp_path: Path
) -> None:
    from dirag.corpora import datasets

    dataset = datasets.load("bc5cdr", data_dir=str(shared_data), offline=True)
    documents = tuple(dataset.documents)
    made = analysed("gold", documents, documents, 0)
    written = page([made], documents, types=TYPES)
    assert len(written.encode()) < 5_000_000
    (tmp_path / "corpus.html").write_text(written, "utf-8")
    opened.open(tmp_path / "corpus.html")
    choose(opened, "kind", "any")
    assert opened.complaints == []
    assert len(shown(opened)) == 50
    assert opened.run("document.getElementById('status').textContent") == "4797 of 4797 texts, 50 shown"
