"""Averages two token classifiers of one encoder: `average.py ONE OTHER SHARE KEEP OUT CORPORA`.

OUT has the labels of ONE, its weights by 1 - SHARE and those of OTHER by SHARE, but for the layer's rows of
the type KEEP, which stay those of ONE. It is given an int8 form, and scores that are calibrated on the
development splits of CORPORA, comma-separated.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from safetensors.numpy import load_file, save_file

from dirag.config import Config
from dirag.training.folder import TrainingFolder
from dirag.training.token_classifier.classifier import FILES, finish
from dirag.training.token_classifier.settings import ClassifierSettings
from dirag.training.token_classifier.spec import ClassifierSpec, prepare

WEIGHTS, LAYER = "model.safetensors", "classifier."


def main(one: str, other: str, share: str, keep: str, out: str, corpora: str) -> None:
    first, second, part = load_file(Path(one) / WEIGHTS), load_file(Path(other) / WEIGHTS), float(share)
    labels, others = labels_of(Path(one)), labels_of(Path(other))
    rows = [others.index(label) for label in labels]
    for name, weights in first.items():
        theirs = second[name][rows] if name.startswith(LAYER) else second[name]
        mean = ((1 - part) * weights + part * theirs).astype(weights.dtype)
        if name.startswith(LAYER):
            stay = [number for number, label in enumerate(labels) if label[2:] == keep]
            mean[stay] = weights[stay]
        first[name] = mean
    shutil.copytree(
        one, out, ignore=shutil.ignore_patterns("openvino_model.*", "calibration.json", "README.md")
    )
    save_file(first, Path(out) / WEIGHTS, metadata={"format": "pt"})
    spec = ClassifierSpec(
        corpora=corpora.split(","),
        config=Config(encoder=out, threads=1),
        settings=ClassifierSettings(validate=3000),
    )
    finish(prepare(spec, print), TrainingFolder(Path(out), FILES), print)


def labels_of(folder: Path) -> list[str]:
    names = json.loads((folder / "config.json").read_text("utf-8"))["id2label"]
    return [names[str(number)] for number in range(len(names))]


if __name__ == "__main__":
    main(*sys.argv[1:])
