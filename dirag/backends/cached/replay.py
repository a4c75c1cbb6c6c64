"""Completions from a recording: what another engine once answered, without that engine.

``Recorder`` wraps an engine and appends what it answers to a JSONL file; ``Replay`` reads such a file. A
request is known by the sha256 of all that decides its answer, so the file holds answers but no prompts.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from dirag.config import Config
from dirag.data import Completion, Prompt, Token, Usage
from dirag.errors import BackendError
from dirag.protocols import Backend


def request_key(prompt: Prompt) -> str:
    """Returns the sha256 of a request: text, stop strings, token limit, constraint, and how it is sampled."""
    grammar = prompt.constraint.gbnf() if prompt.constraint else None
    request = [prompt.text, prompt.stop, prompt.max_tokens, grammar]
    # Of samples only: a greedy answer does not depend on the seed, so neither may its key.
    request += [prompt.temperature, prompt.seed] if prompt.temperature else []
    return _sha256(json.dumps(request, ensure_ascii=False, separators=(",", ":")))


def completion_of(raw: Mapping[str, Any]) -> Completion:
    """Returns the completion that was written as JSON; which cache it came from then counts no more."""
    tokens = tuple(Token(t["text"], t["logprob"], tuple((o, p) for o, p in t["top"])) for t in raw["tokens"])
    usage = Usage(*(raw["usage"][name] for name in ("prompt", "completion", "cached")))
    return Completion(raw["text"], tokens, raw["finish"], usage, raw["detail"])


def _sha256(text: str) -> str:
    # Lone surrogates have a hash too: what cannot be sent is recorded as failed, like any other request.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Recorder:
    """Passes prompts on to an engine and keeps its answers; the file is for its owner only."""

    def __init__(self, backend: Backend, path: Path) -> None:
        self._backend = backend
        self.name, self.context = backend.name, backend.context
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._file: BinaryIO = os.fdopen(descriptor, "ab")
        except OSError as error:
            raise BackendError(f"cannot write the recording {path}: {error.strerror}") from error
        if self._file.tell() == 0:
            self._write({"engine": self.name, "context": self.context})
        elif (self.name, self.context) != (seen := _head(path)):
            self._file.close()
            raise BackendError(
                f"{path} holds answers of {seen[0]} with a context of {seen[1]} tokens, "
                f"not of {self.name} with {self.context}",
                hint="record to another file",
            )

    def count_tokens(self, text: str) -> int:
        tokens = self._backend.count_tokens(text)
        self._write({"text": _sha256(text), "tokens": tokens})
        return tokens

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Completion]:
        prompts_sent: deque[Prompt] = deque()

        def passed() -> Iterator[Prompt]:
            for prompt in prompts:
                prompts_sent.append(prompt)
                yield prompt

        for completion in self._backend.generate(passed()):
            self._write({"request": request_key(prompts_sent.popleft()), "completion": completion})
            yield completion

    def notices(self) -> Sequence[str]:
        return self._backend.notices()

    def close(self) -> None:
        self._backend.close()
        self._file.close()

    def _write(self, record: object) -> None:
        self._file.write(orjson.dumps(record) + b"\n")
        self._file.flush()


class Replay:
    """Answers from a recording; a request that is not in it fails, and only that one."""

    def __init__(self, path: Path) -> None:
        self._completions: dict[str, Completion] = {}
        self._counts: dict[str, int] = {}
        self._closed = False
        engine, self.context = _head(path)
        self.name = f"replay:{engine}"
        with _reading(path):
            for line in path.read_bytes().splitlines()[1:]:
                record = orjson.loads(line)
                if "tokens" in record:
                    self._counts[record["text"]] = record["tokens"]
                else:
                    self._completions[record["request"]] = completion_of(record["completion"])

    def count_tokens(self, text: str) -> int:
        """Returns the recorded count, or else an upper bound: no token is shorter than a byte."""
        return self._counts.get(_sha256(text), len(text.encode("utf-8", "surrogatepass")))

    def generate(self, prompts: Iterable[Prompt]) -> Iterator[Completion]:
        if self._closed:
            raise BackendError(f"{self.name} is closed", hint="open it again")
        missing = Completion.failed("the request is not in the recording")
        for prompt in prompts:
            yield self._completions.get(request_key(prompt), missing)

    def notices(self) -> Sequence[str]:
        """Returns none: no engine is asked."""
        return ()

    def close(self) -> None:
        """Ends it like any engine, though nothing is open: closed it answers no more."""
        self._closed = True


def _head(path: Path) -> tuple[str, int]:
    """Reads the name of the engine that a recording is of, and its context in tokens."""
    with _reading(path), path.open("rb") as file:
        head = orjson.loads(file.readline())
        return str(head["engine"]), int(head["context"])


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raises what goes wrong with a recording as a BackendError that names the file."""
    try:
        yield
    except OSError as error:
        raise BackendError(f"cannot read the recording {path}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise BackendError(
            f"{path} is not a whole recording ({type(error).__name__})",
            hint="record again with --record FILE",
        ) from error


def open_engine(config: Config) -> Replay:
    return Replay(Path(config.model))
