"""Retries: what is sent again, when, how often; that pauses asked for are kept; what errors do not say."""

from __future__ import annotations

import email.utils
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
from scripted_server import Script, Server, serving

from dirag.backends.http.address import parse
from dirag.backends.http.client import Client, RequestFailed, RetryPolicy
from dirag.backends.http.wire import Cancelled, CancelToken
from dirag.errors import BackendError

HASTE = RetryPolicy(timeout=5, retries=3, backoff=0.001)
COMPLETIONS = "/v1/completions"
BODY = b'{"prompt": "gout1", "max_tokens": 3}'


@contextmanager
def client_of(server: Server, *, key: str | None = None, policy: RetryPolicy = HASTE) -> Iterator[Client]:
    with closing(Client(parse(server.url), key=key, policy=policy)) as client:
        yield client


def post(client: Client, cancel: CancelToken | None = None) -> bytes:
    return client.ask(COMPLETIONS, BODY, bytes, cancel)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_what_passes_is_sent_again_and_counted(status: int) -> None:
    with serving() as server, client_of(server) as client:
        server.script.replies += [(status, {}, b"")] * 3
        assert b"gout1" in post(client)
        assert (client.requests, client.retried) == (4, 3)
        server.script.replies += [(status, {}, b"")] * 4
        with pytest.raises(RequestFailed, match=f"status {status}") as caught:
            post(client)
        assert caught.value.transient


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 413, 422, 501])
def test_what_does_not_pass_is_sent_once(status: int) -> None:
    with serving() as server, client_of(server) as client:
        server.script.replies += [(status, {"Location": "/v1/models"}, b"")]
        with pytest.raises(RequestFailed, match=f"status {status}") as caught:
            post(client)
        assert (client.requests, caught.value.transient) == (1, False)
        assert b"gout1" in post(client)


@pytest.mark.parametrize("as_date", [False, True])
def test_a_pause_that_the_server_asks_for_is_kept(as_date: bool) -> None:
    # A date has whole seconds, so one that is two seconds off lies between one and two ahead.
    asked = email.utils.formatdate(time.time() + 2, usegmt=True) if as_date else "1"
    with serving() as server, client_of(server) as client:
        server.script.replies.append((429, {"Retry-After": asked}, b""))
        start = time.monotonic()
        post(client)
        assert 0.95 < time.monotonic() - start < 4


@pytest.mark.parametrize(
    "header", ["-5", "soon", "Thu, 01 Jan 1970 00:00:00 GMT", "9" * 400 + "x", "1.5.2", "²"]
)
def test_a_pause_that_cannot_be_read_is_none(header: str) -> None:
    with serving() as server, client_of(server) as client:
        server.script.replies.append((503, {"Retry-After": header}, b""))
        start = time.monotonic()
        post(client)
        assert time.monotonic() - start < 0.9


def test_a_pause_of_an_hour_is_not_waited_for() -> None:
    with serving() as server, client_of(server) as client:
        server.script.replies.append((429, {"Retry-After": "3600"}, b""))
        with pytest.raises(RequestFailed, match="429"):
            post(client)
        assert client.requests == 1


def test_the_time_between_tries_grows_and_is_never_the_same() -> None:
    client = Client(parse("http://127.0.0.1:9"), policy=RetryPolicy(backoff=0.5))
    for tries, longest in ((1, 0.5), (2, 1.0), (4, 4.0), (30, 30.0)):
        drawn = [client._backoff(tries) for _ in range(50)]
        assert all(longest / 2 <= seconds <= longest for seconds in drawn)
        assert len(set(drawn)) > 40


def test_a_busy_server_that_answers_others_is_waited_for() -> None:
    """A limit on requests in flight costs time, not answers, however few retries there are."""
    busy = Script(limit=2, latency=0.01)
    with serving(busy) as server, client_of(server, policy=RetryPolicy(5, 1, 0.05)) as client:
        with ThreadPoolExecutor(8) as threads:
            answered = list(threads.map(lambda _: post(client), range(40)))
        assert all(b"gout1" in answer for answer in answered)
        assert client.retried > 20


def test_a_damaged_answer_is_asked_for_again() -> None:
    def read(content: bytes) -> str:
        if b"gout1" not in content:
            raise ValueError(content)
        return "read"

    with serving() as server, client_of(server) as client:
        server.script.replies += [(200, {}, b"<html>secret")] * 3
        assert client.ask(COMPLETIONS, BODY, read) == "read"
        server.script.replies += [(200, {}, b"<html>secret")] * 4
        with pytest.raises(RequestFailed) as caught:
            client.ask(COMPLETIONS, BODY, read)
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "content, shown",
    [
        (b'{"error": {"message": "gout in the prompt", "type": "bad_request", "code": 400}}', "bad_request"),
        (b'{"error": {"code": "context_length_exceeded", "type": "x"}}', "context_length_exceeded"),
        (b'{"object": "error", "type": "BadRequestError", "message": "gout"}', "BadRequestError"),
        (b'{"error": {"type": "the patient has gout"}}', ""),
        (b'{"error": "gout"}', ""),
        (b'["gout"]', ""),
        (b"gout", ""),
        (b"", ""),
    ],
)
def test_errors_show_a_code_and_no_text(content: bytes, shown: str) -> None:
    with serving() as server, client_of(server, key="key-xyz") as client:
        server.script.replies.append((400, {}, content))
        with pytest.raises(RequestFailed) as caught:
            post(client)
    assert str(caught.value) == (f"status 400 ({shown})" if shown else "status 400")


def test_connections_are_kept_and_one_that_the_server_closed_is_replaced() -> None:
    with serving() as server, client_of(server) as client:
        for _ in range(3):
            post(client)
        assert len(server.sockets) == 1
        for held in list(server.sockets):
            held.shutdown(socket.SHUT_RDWR)
        post(client)
        server.script.replies.append((200, {"Connection": "close"}, b"{}"))
        post(client)
        post(client)
        assert client.retried == 0


def drip(listener: socket.socket, content: bytes) -> None:
    """Answers one request with a byte at a time."""
    held, _ = listener.accept()
    with held:
        held.recv(65536)
        held.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
        for _ in range(500):
            try:
                held.sendall(content)
            except OSError:
                return
            time.sleep(0.02)


def test_an_answer_in_drops_meets_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener, b"x"), daemon=True)
        thread.start()
        client = Client(
            parse(f"http://127.0.0.1:{listener.getsockname()[1]}"), policy=RetryPolicy(0.3, 0, 0.001)
        )
        start = time.monotonic()
        with pytest.raises(RequestFailed, match=r"no answer within 0.3 s"):
            post(client)
        assert time.monotonic() - start < 2
        client.close()
        thread.join()


def test_a_stop_ends_what_waits_and_what_is_on_the_wire() -> None:
    for script in (Script(latency=30), Script(replies=[(500, {}, b"")])):
        with serving(script) as server, client_of(server, policy=RetryPolicy(60, 3, 60)) as client:
            cancel = CancelToken()
            threading.Timer(0.2, cancel.set).start()
            start = time.monotonic()
            with pytest.raises(Cancelled):
                post(client, cancel)
            assert time.monotonic() - start < 2
            with pytest.raises(Cancelled):
                post(client, cancel)
            assert server.posts == 1


def test_a_name_that_no_server_has_is_an_error_that_shows_it() -> None:
    url = "http://no-such-host.invalid"
    client = Client(parse(url), policy=RetryPolicy(2, 0, 0.001))
    with closing(client), pytest.raises(BackendError, match=rf"{url} does not answer: no connection"):
        post(client)


def test_a_server_without_encryption_is_not_spoken_to_as_if_it_had_it() -> None:
    with serving() as server:
        client = Client(parse(server.url.replace("http:", "https:")), policy=RetryPolicy(2, 0, 0.001))
        with closing(client), pytest.raises(BackendError, match="does not answer: no connection"):
            post(client)
        assert server.seen == []
