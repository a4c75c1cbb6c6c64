"""A server of the completions and the chat API whose answers are written by a function, with faults at will.

    python -m tests.scripted_server [--latency SECONDS] [--log FILE]

As a program it prints its address and serves until it is killed: for measurements, where it must not share
the interpreter of what is measured. The log holds each prompt that came in, as a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FAULTS = ("500", "429", "429-date", "reset", "stall", "truncate", "nonsense", "shape")
MODEL = "scripted"
CONTEXT = 512


def gout(prompt: str) -> str:
    """Names the last ``gout`` with a number in a prompt."""
    found = re.findall(r"gout\d+", prompt)
    return f" {found[-1]}" if found else " none"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(slots=True)
class Script:
    """What a server does. ``owner`` is what it says of itself; ``version`` is that of vLLM.

    ``faulty`` is the share of requests, seeded, that meet one of ``faults``. After ``last`` POSTs the server
    takes no more connections and answers nothing; what is over ``limit`` at once gets a 429. ``replies`` are
    status, headers and body of the answers to come, ``missing`` the paths that it does not have.
    """

    answer: Callable[[str], str] = gout
    owner: str = "vllm"
    version: str = "0.32.0"
    models: Sequence[str] = (MODEL,)
    key: str = ""
    faulty: float = 0.0
    faults: Sequence[str] = FAULTS
    stall: float = 1.0
    latency: float = 0.0
    last: int | None = None
    limit: int | None = None
    logprobs: bool = True
    replies: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    missing: Sequence[str] = ()
    context: int = CONTEXT


class Server(ThreadingHTTPServer):
    """Listens on a port of its own on loopback; ``seen`` are the requests, ``met`` the faults."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = script
        self.seen: list[Asked] = []
        self.met: list[str] = []
        self.posts = self.flying = self.most = 0
        self.lock = threading.Lock()
        self.dead = False
        self.random = random.Random(13)
        self.sockets: set[socket.socket] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault(self) -> str:
        with self.lock:
            if self.random.random() >= self.script.faulty:
                return ""
            kind = self.random.choice(list(self.script.faults))
            self.met.append(kind)
            return kind

    def die(self) -> None:
        """Closes the port and every connection, as the end of a process does."""
        with self.lock:
            if self.dead:
                return
            self.dead = True
        self.shutdown()
        self.socket.close()
        for held in list(self.sockets):
            with suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        self.server.sockets.add(self.connection)

    def finish(self) -> None:
        self.server.sockets.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: standard error is under test."""

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.posts += 1
            last = self.server.script.last
            ends = last is not None and self.server.posts > last
            self.server.flying += 1
            self.server.most = max(self.server.most, self.server.flying)
        try:
            if ends:
                self.server.die()
                self.close_connection = True
                return
            self._serve(json.loads(content))
        finally:
            with self.server.lock:
                self.server.flying -= 1

    def _serve(self, body: dict[str, Any]) -> None:
        script = self.server.script
        self.server.seen.append(Asked(self.command, self.path, dict(self.headers), body))
        if script.key and self.headers["Authorization"] != f"Bearer {script.key}":
            self._send(401, {"error": {"message": f"no: {body}", "type": "auth_error"}})
        elif script.replies:
            status, headers, content = script.replies.pop(0)
            self._send(status, content, headers)
        elif fault := self.server.fault():
            self._fail(fault)
        elif script.limit is not None and self.server.flying > script.limit:
            self._send(429, {"error": {"type": "overloaded"}})
        elif self.path in script.missing:
            self._send(404, {"error": {"message": "no such route", "type": "not_found_error"}})
        else:
            time.sleep(script.latency)
            self._answer(body)

    def _fail(self, fault: str) -> None:
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif fault == "truncate":
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"choices": [{"te')
            self.close_connection = True
        elif fault == "stall":
            time.sleep(self.server.script.stall)
            self._send(200, {"choices": [{"text": "too late", "finish_reason": "stop"}]})
        elif fault in ("nonsense", "shape"):
            self._send(200, b"<html>busy</html>" if fault == "nonsense" else {"choices": []})
        else:
            header = {"429": "0", "429-date": "Thu, 01 Jan 2026 00:00:00 GMT"}.get(fault)
            self._send(int(fault[:3]), {"error": "x"}, {"Retry-After": header} if header else {})

    def _answer(self, body: dict[str, Any]) -> None:
        script = self.server.script
        if self.path == "/v1/models":
            told: dict[str, Any] = {"max_model_len": script.context} if script.owner else {}
            if script.owner == "llamacpp":
                told = {"meta": {"n_ctx": script.context}}
            cards = [{"id": name, "owned_by": script.owner or "someone"} | told for name in script.models]
            self._send(200, {"data": cards})
        elif self.path == "/version":
            self._send(200, {"version": script.version})
        elif self.path == "/tokenize":
            self._send(200, {"tokens": _words(body["prompt"] if "prompt" in body else body["content"])})
        elif self.path == "/v1/completions":
            self._send(200, self._completion(body, body["prompt"]))
        elif self.path == "/v1/chat/completions":
            self._send(200, self._completion(body, body["messages"][0]["content"]))
        else:
            self._send(404, {"error": {"message": "no such route"}})

    def _completion(self, body: dict[str, Any], prompt: str) -> dict[str, Any]:
        words = _words(self.server.script.answer(prompt))
        given = words[: body["max_tokens"]]
        text = "".join(given)
        stopped = min((text.find(stop) for stop in body.get("stop", ()) if stop in text), default=len(text))
        choice: dict[str, Any] = {"finish_reason": "length" if len(given) < len(words) else "stop"}
        chat = "messages" in body
        choice |= {"message": {"content": text[:stopped]}} if chat else {"text": text[:stopped]}
        choice["logprobs"] = (
            (_chat_logprobs if chat else _logprobs)(given) if self.server.script.logprobs else None
        )
        counts = {"prompt_tokens": len(_words(prompt)), "completion_tokens": len(given)}
        return {"choices": [choice], "usage": counts | {"prompt_tokens_details": {"cached_tokens": 1}}}

    def _send(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(data))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()


def _words(text: str) -> list[str]:
    return re.findall(r"\s*[^\s;]+|\s*;|\s+", text)


def _logprobs(tokens: Sequence[str]) -> dict[str, Any]:
    values = [-0.25] * len(tokens)
    return {
        "tokens": list(tokens),
        "token_logprobs": values,
        "top_logprobs": [{token: -0.25, "x": -2.0} for token in tokens],
    }


def _chat_logprobs(tokens: Sequence[str]) -> dict[str, Any]:
    others = [{"token": "x", "logprob": -2.0}]
    content = [
        {"token": token, "logprob": -0.25, "top_logprobs": [{"token": token, "logprob": -0.25}, *others]}
        for token in tokens
    ]
    return {"content": content}


@contextmanager
def serving(script: Script | None = None) -> Iterator[Server]:
    """A server in a thread of this process."""
    server = Server(script or Script())
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.die()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--log", type=Path)
    args = parser.parse_args()

    def answer(prompt: str) -> str:
        if args.log:
            with server.lock, args.log.open("a") as log:
                log.write(json.dumps(prompt) + "\n")
        return gout(prompt)

    server = Server(Script(answer, latency=args.latency, context=8192))
    print(server.url, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
