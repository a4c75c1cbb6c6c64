"""The language of texts: another one is told where it is clear, and clinical shorthand is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirag.examples import builtin
from dirag.text.detection import other_language
from dirag.text.language import english

FRENCH = "Le patient est connu pour une hypertension artérielle et un diabète ; il se plaint de douleurs."
SPANISH = "Mujer de trece años que presenta dolor abdominal y fiebre desde hace dos días, sin antecedentes."
GERMAN = (
    "Der Patient stellte sich mit Fieber und Husten in der Notaufnahme vor; wir begannen eine Behandlung."
)


@pytest.mark.parametrize(("text", "code"), [(FRENCH, "fr"), (SPANISH, "es"), (GERMAN, "de")])
def test_another_language_is_told(text: str, code: str) -> None:
    assert other_language(text, english()) == code


@pytest.mark.parametrize(
    "text",
    [
        *("", "Lungs: clear.", "Asthma", "Diagnose: Asthma bronchiale"),
        "WBC 15.8 Hgb 10.7 Plt 231 Na 133 K 3.2 BUN 38 Cr 2.1 Glucose 287 NT-proBNP 6,420 Troponin I 0.03",
        "MEDICATIONS: Sinemet CR 25/100 1 tab TID, Lopressor 25 mg, Synthroid 80 mcg, Novolin, Afrin",
        "The patient is a 74-year-old woman with hypertension who came in after five days of breathlessness.",
    ],
)
def test_shorthand_and_short_texts_are_no_other_language(text: str) -> None:
    assert other_language(text, english()) is None


def test_no_sentence_of_the_pool_is_of_another_language() -> None:
    assert [d.id for d in builtin.documents() if other_language(d.text, english())] == []


@given(st.text(max_size=300))
def test_any_text_is_looked_at(text: str) -> None:
    code = other_language(text, english())
    assert code is None or (code.isalpha() and code != "en")


def test_it_is_said_once_and_not_of_english_notes(tmp_path: Path) -> None:
    for name, text in (("a", "No chest pain was reported by the patient."), ("b", FRENCH), ("c", GERMAN)):
        (tmp_path / f"{name}.txt").write_text(text, "utf-8")
    command = [sys.executable, "-m", "dirag", "tag", "a.txt", "b.txt", "c.txt", "--tagger", "dictionary"]
    run = subprocess.run(
        [*command, "--kb", str(_vocabulary(tmp_path))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    [said] = [line for line in run.stderr.splitlines() if "looks like" in line]
    assert said.startswith("dirag: b looks like language 'fr', of which dirag knows nothing: ")
    assert len(run.stdout.splitlines()) == 3


def _vocabulary(folder: Path) -> Path:
    path = folder / "names.tsv"
    path.write_text("id\tname\ttypes\nX:1\thypertension\tdisease\n", "utf-8")
    return path
