"""What decides the records of a run: each part, changed behind the same options, is noticed and named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Script, Server, serving

from dirag.assembly import sources
from dirag.assembly.engines import request_identity
from dirag.assembly.provenance import RETRIEVAL, provenance
from dirag.config import ENGINES, Config, options
from dirag.errors import UsageError
from dirag.files import journal
from dirag.prompting.builder import prompt_file

Touch = Callable[[Path], object]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIRAG_HOME", str(tmp_path / "home"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Weights, adapters, an encoder and a pool: what engines would read, long enough not to be seen whole."""
    folder = tmp_path / "parts"
    for name in ("weights", "adapter", "encoder"):
        (folder / name).mkdir(parents=True)
        (folder / name / "config.json").write_text("{}")
        (folder / name / "model.safetensors").write_bytes(bytes(1 << 20))
    for name in ("weights.gguf", "adapter.gguf", "answers.jsonl"):
        (folder / name).write_bytes(b"GGUF" + bytes(1 << 20))
    pool = {"text": "She has gout.", "entities": [{"start": 8, "end": 12, "type": "disease"}]}
    (folder / "pool.jsonl").write_text(json.dumps(pool))
    return folder


def config_in(folder: Path, backend: str, **options: Any) -> Config:
    weights = {"vllm": "weights", "replay": "answers.jsonl"}.get(backend, "weights.gguf")
    config = Config(
        backend=backend,
        model=str(folder / weights),
        encoder=str(folder / "encoder"),
        pool=str(folder / "pool.jsonl"),
        types=("disease",),
        offline=True,
    )
    return replace(config, **options)


def refused(output: Path, before: dict[str, str], after: dict[str, str]) -> str:
    """What is said where a run made of the one is taken up by the other."""
    journal.begin(output, before, resume=False)
    output.write_bytes(b"{}\n")
    assert journal.begin(output, before, resume=True) == 3
    with pytest.raises(UsageError) as caught:
        journal.begin(output, after, resume=True)
    return caught.value.message


def flip(file: Path) -> None:
    """Changes one byte, where no sample of a large file would look."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2 + 12345] ^= 1
    file.write_bytes(content)


CONTENT = [
    ("openvino", {}, "weights.gguf", "weights"),
    ("openvino", {"adapter": "adapter.gguf"}, "adapter.gguf", "adapter"),
    ("llamacpp", {}, "weights.gguf", "weights"),
    ("llamacpp", {"adapter": "adapter.gguf"}, "adapter.gguf", "adapter"),
    ("vllm", {}, "weights/model.safetensors", "weights"),
    ("vllm", {"adapter": "adapter"}, "adapter/model.safetensors", "adapter"),
    ("replay", {}, "answers.jsonl", "weights"),
]


@pytest.mark.parametrize("backend, options, file, name", CONTENT)
def test_an_engine_with_other_content_is_refused(
    folder: Path, tmp_path: Path, backend: str, options: dict[str, str], file: str, name: str
) -> None:
    config = config_in(folder, backend, **{key: str(folder / value) for key, value in options.items()})
    before, requests = provenance(config, None), request_identity(config)
    assert provenance(config, None) == before
    flip(folder / file)
    assert f"made with {name} " in refused(tmp_path / "out.jsonl", before, provenance(config, None))
    assert request_identity(config) != requests


@pytest.mark.parametrize("backend, options, file, name", CONTENT)
def test_answers_are_known_by_content_and_not_by_path(
    folder: Path, tmp_path: Path, backend: str, options: dict[str, str], file: str, name: str
) -> None:
    moved = shutil.copytree(folder, tmp_path / "moved")
    one, other = (
        request_identity(config_in(place, backend, **{key: str(place / at) for key, at in options.items()}))
        for place in (folder, moved)
    )
    assert one == other


@pytest.mark.parametrize("backend", ["openvino", "llamacpp", "vllm"])
def test_another_version_of_a_library_is_refused(
    folder: Path, tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, installed = config_in(folder, backend), metadata.version
    before, requests = provenance(config, None), request_identity(config)
    for library in ("dirag", *ENGINES[backend].libraries, *RETRIEVAL):
        monkeypatch.setattr(
            metadata, "version", lambda name, changed=library: "99" if name == changed else installed(name)
        )
        told = refused(tmp_path / "out.jsonl", before, provenance(config, None))
        assert f"made with {library} {before[library]!r}, not '99'" in told
        decides = library in ("dirag", *ENGINES[backend].libraries)
        assert (request_identity(config) != requests) == decides


def test_another_encoder_under_the_same_path_is_refused(folder: Path, tmp_path: Path) -> None:
    config = config_in(folder, "openvino")
    unused = [replace(config, shots=0), replace(config, selector="bm25")]
    before, without = provenance(config, None), [provenance(other, None) for other in unused]
    flip(folder / "encoder" / "model.safetensors")
    assert "made with encoder " in refused(tmp_path / "out.jsonl", before, provenance(config, None))
    assert [provenance(other, None) for other in unused] == without


def test_other_examples_and_another_template_are_refused(folder: Path, tmp_path: Path) -> None:
    template = tmp_path / "prompt.toml"
    words = prompt_file("mentions").read_bytes()
    template.write_bytes(words)
    config = replace(config_in(folder, "openvino"), prompt=str(template))
    before = provenance(config, None)
    template.write_bytes(words + b"\n")
    assert "made with prompt " in refused(tmp_path / "out.jsonl", before, provenance(config, None))
    template.write_bytes(words)
    (folder / "pool.jsonl").write_text((folder / "pool.jsonl").read_text().replace("She", "He "))
    sources.pool.cache_clear()
    assert "made with examples " in refused(tmp_path / "out.jsonl", before, provenance(config, None))


def test_another_vocabulary_or_map_of_types_is_refused(tmp_path: Path) -> None:
    vocabulary, config = tmp_path / "names.tsv", Config(tagger="dictionary")
    told = []
    for name in ("gout", "ague"):
        vocabulary.write_text(f"id\tname\ttypes\nC1\t{name}\tdisease\n")
        base = sources.read_base(str(vocabulary))
        told.append(provenance(config, base))
    assert "made with knowledge base " in refused(tmp_path / "out.jsonl", *told)
    base.types = replace(base.types, entity_types={"disease": ("symptom",)})
    assert "made with knowledge base " in refused(tmp_path / "out.jsonl", told[1], provenance(config, base))


#: The options that change how a run goes and not what it says. Written out here, so that the attribute
#: ``Option.decides`` does not vouch for itself.
OPERATION = {
    *("threads", "parallel", "offline", "record", "cache", "cache_size"),
    *("timeout", "retries", "key_env", "base_url"),
}
#: The options that an engine's answer to a prompt depends on beyond the weights: those of the request.
REQUEST = {"backend", "base_url", "api", "dialect", "engine_options"}


def test_what_an_option_bears_on_is_as_written_here() -> None:
    shown = options()
    assert {name for name in shown if not shown[name].decides} == OPERATION
    assert {name for name in shown if shown[name].engine} == REQUEST
    assert {name for name in shown if not shown[name].varies} == OPERATION | {"seed", "map", "status"}


#: For each option that decides what a run says, another value than its default.
OTHER: dict[str, Any] = {
    "types": ("symptom",),
    "map": ("Drug=chemical",),
    "tagger": "dictionary",
    "engine_options": ("dtype=float32",),
    "api": "chat",
    "dialect": "none",
    "pooling": "cls",
    "kb": "none",
    "shots": 3,
    "selector": "random",
    "example_order": "best-first",
    "concepts": 2,
    "retrieval": "llm",
    "concept_matches": ("exact", "fuzzy"),
    "concept_lines": "definition",
    "answer": "inline",
    "prompt": "mentions-chat.en",
    "descriptions": True,
    "constrain": False,
    "lexicon": False,
    "min_score": 0.5,
    "confidence": 0.5,
    "known": 0.5,
    "samples": 3,
    "status": False,
    "temperature": 0.5,
    "window": "context",
    "context": 512,
    "seed": 1,
}


@pytest.mark.parametrize("name", [f.name for f in fields(Config) if f.name not in OPERATION])
def test_every_option_decides_or_is_said_not_to(folder: Path, tmp_path: Path, name: str) -> None:
    before = config_in(folder, "openvino", adapter=str(folder / "adapter.gguf"))
    copies: dict[str, Any] = {
        "model": "weights.gguf",
        "encoder": "encoder",
        "pool": "pool.jsonl",
        "adapter": "adapter.gguf",
    }
    if name == "backend":
        after = replace(before, backend="llamacpp")
    elif name in copies:
        moved = shutil.copytree(folder, tmp_path / "moved")
        value: Any = str(moved / copies[name])
        after = replace(before, **{name: value})
    else:
        after = replace(before, **{name: OTHER[name]})
    told = refused(tmp_path / "out.jsonl", provenance(before, None), provenance(after, None))
    assert f"made with --{name.replace('_', '-')} " in told


@pytest.mark.parametrize("name", sorted(OPERATION))
def test_how_a_run_goes_may_change(folder: Path, name: str) -> None:
    before = config_in(folder, "openvino")
    value: Any = asdict(before)[name]
    other: Any = "other" if isinstance(value, str) else not value if isinstance(value, bool) else value + 1
    assert provenance(replace(before, **{name: other}), None) == provenance(before, None)


# -- servers ---------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Script(context=4096)) as server:
        yield server


def of_server(server: Server, folder: Path) -> Config:
    return config_in(folder, "openai", model="", base_url=server.url)


@pytest.mark.parametrize(
    "change, name",
    [
        ({"models": ("larger",)}, "the server's model"),
        ({"owner": "sglang"}, "the server's dialect"),
        ({"version": "0.33.0"}, "what the server says"),
        ({"context": 8192}, "what the server says"),
    ],
)
def test_another_server_is_refused(
    server: Server, folder: Path, tmp_path: Path, change: dict[str, Any], name: str
) -> None:
    config = of_server(server, folder)
    before, requests = provenance(config, None), request_identity(config)
    assert (provenance(config, None), request_identity(config)) == (before, requests)
    server.script = replace(server.script, **change)
    assert f"made with {name} " in refused(tmp_path / "out.jsonl", before, provenance(config, None))
    assert request_identity(config) != requests


def test_a_server_may_move_while_a_run_is_down(server: Server, folder: Path) -> None:
    """Its records stay; but answers are not taken from another address, where the weights may be others."""
    with serving(Script(context=4096)) as moved:
        one, other = of_server(server, folder), of_server(moved, folder)
        assert provenance(one, None) == provenance(other, None)
        assert request_identity(one) != request_identity(other)


def test_what_changes_in_a_run_of_one_server_is_no_part_of_it(server: Server, folder: Path) -> None:
    card = {"id": "m", "owned_by": "vllm", "root": "/weights", "max_model_len": 4096}
    told = []
    for seconds in (1, 2):
        cards = {"data": [card | {"created": seconds, "permission": [{"id": f"modelperm-{seconds}"}]}]}
        server.script.replies.append((200, {}, json.dumps(cards).encode()))
        told.append(provenance(of_server(server, folder), None))
    assert told[0] == told[1]
