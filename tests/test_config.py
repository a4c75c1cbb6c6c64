"""Settings: the file that is found, what is refused in it, and the one list of options."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirag import config
from dirag.assembly import choice, tagging
from dirag.config import Config, options
from dirag.config.option import split_names
from dirag.config.settings_file import find_file, read_file
from dirag.errors import ArtifactError, InputError, UsageError
from dirag.examples.pool import Pool
from dirag.taggers.weighing import Thresholds

KNOWN = list(options())


def written(folder: Path, text: str) -> Path:
    path = folder / "dirag.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_option_takes_its_default_and_nothing_outside_its_domain() -> None:
    for name, shown in options().items():
        assert shown.help, name
        default = getattr(Config(), name)
        assert config.checked_value(name, default) == default
        outside: list[Any] = [None]
        if shown.choices:
            outside.append(("no choice",) if isinstance(default, tuple) else "no choice")
        if shown.minimum is not None:
            outside.append(type(default)(shown.minimum - 1))
        if shown.maximum is not None:
            outside.append(type(default)(shown.maximum + 1))
        for value in outside:
            with pytest.raises(UsageError, match=repr(name)):
                config.checked_value(name, value)


def test_a_config_is_frozen_and_comparable() -> None:
    assert Config(shots=3) == Config(shots=3) != Config()
    with pytest.raises(FrozenInstanceError):
        Config().shots = 3  # type: ignore[misc]


def test_the_default_model_has_its_own_adapter(tmp_path: Path) -> None:
    """In the engines that run it, unless another one or none is asked for; with the settings it is for."""
    own = config.adapter_of(Config())
    assert own is not None
    assert (own / config.ADAPTER_WEIGHTS).is_file()
    assert config.adapter_of(Config(backend="llamacpp", model=config.MODEL)) == own
    others: tuple[dict[str, Any], ...] = (
        {"model": "other.gguf"},
        {"backend": "openai"},
        {"backend": "vllm"},
        {"adapter": "none"},
    )
    assert [config.adapter_of(Config(**other)) for other in others] == [None] * 4
    assert config.adapter_of(Config(adapter=str(tmp_path))) == tmp_path
    settings: dict[str, Any] = dict(
        read_file(own / config.ADAPTER_SETTINGS_FILE, known=config.adapter_settings())
    )
    assert config.configure() == Config(**settings)
    assert config.configure(shots=3) == replace(Config(**settings), shots=3)
    assert config.configure(adapter="none", shots=3) == Config(adapter="none", shots=3)
    size = sum(file.stat().st_size for file in own.iterdir())
    assert size <= 12_000_000


def test_auto_is_the_ensemble_where_it_was_fitted_for_engine_and_types(tmp_path: Path) -> None:
    default = config.configure()
    for options_of in ({}, {"types": ("disease",)}, {"pool": "default"}, {"kb": "none", "min_score": 0.9}):
        assert choice.tagger_name(config.configure(**options_of)) == "ensemble", options_of
    foreign: tuple[dict[str, Any], ...] = (
        {"types": ("device", "species"), "pool": "mine.jsonl"},
        {"pool": "mine.jsonl"},
        {"model": "other.gguf"},
        {"adapter": "none"},
        {"adapter": str(tmp_path)},
        {"backend": "openai"},
        {"samples": 3},
    )
    for options_of in foreign:
        assert choice.tagger_name(config.configure(**options_of)) == "llm", options_of
    fitted = config.decision_of(default)
    assert fitted is not None
    weights = json.loads(fitted.read_bytes()) | {"types": ["species"]}
    (tmp_path / config.DECISION).write_text(json.dumps(weights))
    own = {"adapter": str(tmp_path), "types": ("species",)}
    assert choice.tagger_name(config.configure(**own)) == "ensemble"
    assert choice.tagger_name(config.configure(**own, tagger="dictionary")) == "dictionary"
    (tmp_path / config.DECISION).write_text("[]")
    with pytest.raises(ArtifactError, match=r"cannot read the weights in .*decision\.json"):
        choice.tagger_name(config.configure(**own))


def test_thresholds_are_those_of_the_tagger() -> None:
    weigher = tagging.weigher(Config(), (), base=None, examples=Pool.from_documents([]))
    assert weigher.thresholds == Thresholds()


@settings(deadline=None)
@given(st.lists(st.text("abc-", min_size=1), unique=True), st.data())
def test_blanks_repeats_and_empty_names_of_a_list_do_not_count(names: list[str], data: st.DataObject) -> None:
    repeats = data.draw(st.lists(st.sampled_from([*names, ""])))
    blanks = data.draw(st.lists(st.sampled_from(["", " ", "\t "]), min_size=1))
    padded = [f"{blanks[n % len(blanks)]}{name}{blanks[0]}" for n, name in enumerate([*names, *repeats])]
    assert split_names(",".join(padded)) == tuple(names)


def test_the_nearest_file_upward_is_found(tmp_path: Path) -> None:
    inner = tmp_path / "project" / "notes"
    inner.mkdir(parents=True)
    assert find_file(inner) is None or tmp_path not in find_file(inner).parents  # type: ignore[union-attr]
    outer = written(tmp_path, "")
    assert find_file(inner) == outer
    nearer = written(tmp_path / "project", "")
    assert find_file(inner) == nearer
    assert find_file(tmp_path) == outer


def test_settings_of_every_kind(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'types = ["disease", "gene"]\nmin-score = 0.5\nshots = 3\nconstrain = false\nmodel = "m.gguf"\n',
    )
    assert read_file(path, known=KNOWN) == {
        "types": "disease,gene",
        "min_score": 0.5,
        "shots": 3,
        "constrain": False,
        "model": "m.gguf",
    }


def test_an_unknown_setting_is_refused_with_the_nearest(tmp_path: Path) -> None:
    path = written(tmp_path, "shot = 3\n")
    with pytest.raises(UsageError, match=r"unknown setting 'shot'; did you mean 'shots'\?") as caught:
        read_file(path, known=KNOWN)
    assert str(path) in caught.value.message
    assert "min-score" in caught.value.hint


@pytest.mark.parametrize("line", ["shots = {a = 1}", "shots = 2020-01-01", "types = [1, 2]"])
def test_a_value_of_another_kind_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(UsageError, match="give one value"):
        read_file(written(tmp_path, line), known=KNOWN)


@pytest.mark.parametrize("content", [b"shots = ", b"model = '\xff'"])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "dirag.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot read the settings in"):
        read_file(path, known=KNOWN)
    with pytest.raises(InputError, match="cannot read the settings in"):
        read_file(tmp_path / "none.toml", known=KNOWN)
