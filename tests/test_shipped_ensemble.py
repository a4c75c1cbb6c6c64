"""The default: that its weights are of what is shipped, what it says, how good it is at least."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import dirag
from dirag import config
from dirag.assembly.sources import read_pool
from dirag.config import ADAPTER_WEIGHTS, MODEL
from dirag.corpora import datasets
from dirag.data import Entity
from dirag.encoders.token_openvino import OPENVINO_WEIGHTS
from dirag.evaluate.calibration import calibration
from dirag.evaluate.scoring.score import score
from dirag.examples.pool import Pool
from dirag.files import fingerprint, paths
from dirag.knowledge import defaults

ROOT = Path(__file__).resolve().parents[1]


def test_its_weights_were_fitted_to_what_is_in_the_package() -> None:
    path = config.decision_of(config.configure())
    assert path is not None
    made_of = json.loads(path.read_bytes())["made_of"]
    assert made_of["adapter"] == fingerprint.digest(paths.adapter(MODEL) / ADAPTER_WEIGHTS)
    assert made_of["classifier"] == fingerprint.digest(paths.token_classifiers()[0] / OPENVINO_WEIGHTS)
    assert made_of["built-in pool"] == read_pool("default").manifest.sha256


@pytest.fixture
def store(weights: Callable[[str], Path]) -> None:
    for name in (MODEL, *defaults.read().vocabularies):
        weights(name)


@pytest.mark.weights
@pytest.mark.usefixtures("store")
def test_the_command_says_what_is_in_force_and_links_by_type(tmp_path: Path) -> None:
    text = "Lisinopril for hypertension. No chest pain. ECG normal.\n"
    (tmp_path / "note.txt").write_text(text, "utf-8")

    def tagged(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dirag", "tag", "note.txt", *options]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    run = tagged()
    entities = json.loads(run.stdout)["entities"]
    assert [(e["text"], e["type"]) for e in entities] == [
        ("Lisinopril", "chemical"),
        ("hypertension", "disease"),
        ("chest pain", "symptom"),
        ("ECG", "test"),
    ]
    # Each of its own type: the test ECG is electrocardiography, and no abnormal finding of it.
    concepts = [e["concept"]["id"] for e in entities]
    assert concepts == ["UNII:E7199S1YWR", "HP:0000822", "HP:0100749", "MESH:D004562"]
    [said] = [line for line in run.stderr.splitlines() if " finds " in line]
    assert said.startswith("dirag: ensemble finds disease, symptom, chemical")
    assert "adapter default, 0 examples a prompt; pool built-in; knowledge base default" in said
    quiet = tagged("-q")
    assert (quiet.stdout, quiet.stderr) == (run.stdout, "")


#: What was wrong in the sample once, and whatever its type: headings, labels, routes, halves of mentions.
NO_MENTIONS = {
    *("Dx", "ALLERGIES", "PRESENT ILLNESS", "STOPPED", "DISCHARGE MEDICATIONS", "PO qAM"),
    *("jugular venous", "distension", "HOSPITAL COURSE", "PERTINENT RESULTS", "Gen", "Ext"),
}
#: Mentions in it with the type that they are not.
WRONG_TYPES = {
    *(("swollen legs", "anatomy"), ("RA", "symptom"), ("CKD", "symptom"), ("LVH", "test")),
    *(("Troponin I", "gene"), ("BUN", "gene"), ("BUN 38 Cr 2.1", "gene")),
}


@pytest.mark.weights
@pytest.mark.usefixtures("store")
def test_the_sample_has_none_of_the_errors_of_old() -> None:
    text = (ROOT / "examples" / "notes.txt").read_text("utf-8")
    with dirag.open() as ner:
        [result] = ner.tag([text])
    found = {(e.text, e.type) for e in result.entities}
    assert {name for name, _ in found} & NO_MENTIONS == set()
    assert found & WRONG_TYPES == set()
    assert {("furosemide", "chemical"), ("Type 2 diabetes mellitus", "disease")} <= found
    assert len(found) > 80


#: Corpus, sentences, and the strict F1 that they have at least; those of clinical-notes are of whole notes.
FLOORS = {"ncbi-disease": (120, 0.72), "bc5cdr": (120, 0.75), "clinical-notes": (120, 0.65)}


@pytest.mark.weights
@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("corpus", FLOORS)
def test_it_is_as_good_as_it_was(corpus: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIRAG_DATA", str(shared_data))
    number, floor = FLOORS[corpus]
    name = str(shared_data / "corpora" / corpus) if corpus == "clinical-notes" else corpus
    dataset = datasets.load(name, split="devel", offline=True)
    pool = Pool.from_documents(dataset.documents, as_sentences=dataset.as_sentences)
    sentences = pool.examples[:number]
    none: tuple[Entity, ...] = ()
    with dirag.open(types=tuple(pool.manifest.types)) as ner:
        bare = [replace(sentence, entities=none) for sentence in sentences]
        tagged = [replace(result.document, entities=result.entities) for result in ner.tag(bare)]
    result = score(sentences, tagged, types=tuple(pool.manifest.types))
    assert result.micro.f1 >= floor
    assert calibration(result).ece <= 0.1
