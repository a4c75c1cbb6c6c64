"""The embedded OpenVINO against the engine itself: the laws, its arithmetic, what it refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import backend_laws as laws
import pytest

from dirag.backends.llamacpp import LlamaCpp
from dirag.backends.openvino_engine import OpenVino
from dirag.data import Prompt
from dirag.errors import BackendError

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def path(weights: Callable[[str], Path]) -> Path:
    return weights("smollm2-135m-instruct")


@pytest.fixture(scope="module")
def engine(path: Path) -> Iterator[OpenVino]:
    backend = OpenVino(path, context=512, top=3)
    yield backend
    backend.close()


@pytest.mark.parametrize(
    "law",
    [
        laws.keeps_order,
        laws.answers_each_prompt,
        laws.is_lazy,
        laws.reports_length,
        laws.hides_stop_strings,
        laws.keeps_unicode,
        laws.refuses_long_prompts,
        laws.survives_bad_prompts,
        laws.counts_tokens,
        laws.obeys_constraints,
        laws.tells_raw_log_probabilities,
    ],
    ids=lambda law: law.__name__,
)
def test_law(engine: OpenVino, law: Callable[[OpenVino], None]) -> None:
    law(engine)
