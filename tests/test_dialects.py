"""What servers say of themselves, and what is made of those that say little or nonsense."""

from __future__ import annotations

from contextlib import closing

import pytest
from scripted_server import CONTEXT, MODEL, Script, serving

from dirag.backends.http.address import parse
from dirag.backends.http.client import Client, RequestFailed, RetryPolicy
from dirag.backends.http.dialects import DIALECTS, Served, look
from dirag.config import options


def looked(script: Script) -> Served:
    with (
        serving(script) as server,
        closing(Client(parse(server.url), policy=RetryPolicy(5, 1, 0.001))) as client,
    ):
        return look(client)


def test_the_option_offers_every_dialect() -> None:
    assert [*options()["dialect"].choices] == ["auto", *DIALECTS]


@pytest.mark.parametrize(
    "owner, version, dialect",
    [
        ("vllm", "0.32.0", "vllm"),
        ("vllm", "0.12.0rc1", "vllm"),
        ("vllm", "v0.11.2", "vllm-guided"),
        ("vllm", "0.1.dev1+gabc", "vllm"),
        ("vllm", "unknown", "vllm"),
        ("vllm", "1.0", "vllm"),
        ("sglang", "", "sglang"),
        ("llamacpp", "", "llamacpp"),
        ("", "", ""),
    ],
)
def test_a_server_says_which_it_is(owner: str, version: str, dialect: str) -> None:
    served = looked(Script(owner=owner, version=version))
    assert (served.models, served.dialect) == ((MODEL,), dialect)
    assert served.contexts == ({MODEL: CONTEXT} if owner else {})


def test_a_server_may_lack_its_routes() -> None:
    assert looked(Script(missing=["/version"])).dialect == "vllm"
    assert looked(Script(missing=["/v1/models"])) == Served()


@pytest.mark.parametrize(
    "content", [b"[]", b'{"data": [{}]}', b'{"data": [{"id": 5}]}', b'{"data": 1}', b"<html>"]
)
def test_a_list_of_models_that_is_none_is_an_error(content: bytes) -> None:
    with pytest.raises(RequestFailed, match="not as the API says"):
        looked(Script(replies=[(200, {}, content)] * 2))


def test_odd_sizes_count_as_unsaid() -> None:
    for size in (b"null", b'"4096"', b"0", b"[1]"):
        card = b'{"data": [{"id": "m", "max_model_len": ' + size + b', "meta": 3}]}'
        assert looked(Script(replies=[(200, {}, card)])).contexts == {}


def test_constraints_are_nested_as_the_server_wants() -> None:
    assert DIALECTS["vllm"].constraint("g") == {"structured_outputs": {"grammar": "g"}}
    assert DIALECTS["llamacpp"].constraint("g") == {"grammar": "g"}
    assert DIALECTS["none"].constraint("g") == {}
