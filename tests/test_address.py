"""Addresses as users write them: what they mean, and which are refused without being quoted."""

from __future__ import annotations

import pytest

from dirag.backends.http.address import parse
from dirag.errors import UsageError


@pytest.mark.parametrize(
    "url, origin, root, api",
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000", "", "/v1"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000", "", "/v1"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000", "", "/v1"),
        (" http://localhost/v1/ ", "http://localhost", "", "/v1"),
        ("https://API.example:443/openai/v1", "https://api.example", "/openai", "/openai/v1"),
        ("https://host/llm/", "https://host", "/llm", "/llm/v1"),
        ("https://host/v1beta/openai/", "https://host", "/v1beta/openai", "/v1beta/openai"),
        ("https://host:80", "https://host:80", "", "/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000", "", "/v1"),
    ],
)
def test_with_and_without_the_version(url: str, origin: str, root: str, api: str) -> None:
    address = parse(url)
    assert (address.origin, address.root, address.api) == (origin, root, api)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8000",
        "localhost:8000/v1",
        "ftp://host",
        "file:///etc/passwd",
        "http://",
        "http:///v1",
        "http://host:port",
        "http://host:99999",
        "http://[::1",
        "http://user:hunter2@host",
        "http://hunter2@host",
        "http://host/v1?key=hunter2",
        "http://host/#hunter2",
        "http://host/a b",
        "http://host/\r\nX: hunter2",
    ],
)
def test_what_is_no_address_is_refused_unquoted(url: str) -> None:
    with pytest.raises(UsageError, match="--base-url") as caught:
        parse(url)
    assert caught.value.hint
    assert "hunter2" not in str(caught.value)
