"""Requests to one server with their retries: backoff with jitter, ``Retry-After``, and when to give up.

No error quotes what was sent or received, since servers echo prompts.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from threading import Lock
from typing import TypeVar

import orjson

from dirag.backends.http.address import Address
from dirag.backends.http.wire import CancelToken, NoConnection, Reply, Wire
from dirag.errors import BackendError

T = TypeVar("T")

#: Seconds between two tries, at most; a server that asks for a longer pause is not waited for.
LONGEST_BACKOFF, LONGEST_PAUSE = 30.0, 600.0
#: Requests in a row that came to nothing, with all their retries, after which the server counts as dead.
GIVE_UP = 8

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,60}")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Seconds for one request, how often it is sent again, and the seconds before the first of these."""

    timeout: float = 120.0
    retries: int = 5
    backoff: float = 0.5


STANDARD = RetryPolicy()


class RequestFailed(Exception):
    """One request came to nothing; the server may well answer others.

    ``transient``: it may go through later, in ``pause`` seconds at the earliest. ``dead``: nobody listens.
    """

    def __init__(
        self, detail: str, *, status: int = 0, transient: bool = True, dead: bool = False, pause: float = 0.0
    ) -> None:
        super().__init__(detail)
        self.detail, self.status, self.transient, self.dead, self.pause = (
            detail,
            status,
            transient,
            dead,
            pause,
        )


class Client:
    """Asks one server; any thread may use it. ``requests`` and ``retried`` count what was sent."""

    def __init__(self, address: Address, *, key: str | None = None, policy: RetryPolicy = STANDARD) -> None:
        self.address, self._policy = address, policy
        self._wire = Wire(address, key=key, timeout=policy.timeout)
        self._lock = Lock()
        self.requests = self.retried = self._answered = self._lost = 0

    def ask(
        self, path: str, body: bytes | None, read: Callable[[bytes], T], cancel: CancelToken | None = None
    ) -> T:
        """Returns what ``read`` makes of the answer: to a GET, or to a POST where there is a body.

        A ValueError, TypeError, LookupError or AttributeError of ``read`` means that the answer is damaged.
        Raises RequestFailed, Cancelled, and BackendError where no server answers.
        """
        cancel, tries, answered = cancel or CancelToken(), 0, self._answered
        while True:
            try:
                return self._once(path, body, read, cancel)
            except RequestFailed as trouble:
                cancel.wait(0)  # a cancelled request looks like a broken connection: it must not be retried
                # A server that is busy with our other requests is not one that fails this one.
                before, answered = answered, self._answered
                if trouble.status not in (429, 503) or answered == before:
                    tries += 1
                if not trouble.transient or tries > self._policy.retries or trouble.pause > LONGEST_PAUSE:
                    raise self._last(trouble) from None
                pause = trouble.pause + self._backoff(tries)
            with self._lock:
                self.retried += 1
            cancel.wait(pause)

    def close(self) -> None:
        self._wire.close()

    def _backoff(self, tries: int) -> float:
        longest = min(LONGEST_BACKOFF, self._policy.backoff * 2 ** max(0, tries - 1))
        return random.uniform(longest / 2, longest)

    def _last(self, trouble: RequestFailed) -> Exception:
        """Returns the error of a request that is not sent again."""
        if trouble.transient:
            with self._lock:
                self._lost += 1
            if trouble.dead or self._lost >= GIVE_UP:
                return BackendError(
                    f"{self.address.origin} does not answer: {trouble.detail}",
                    hint="what was finished is kept; see that the server runs and that --base-url is right",
                    retryable=True,
                )
        return trouble

    def _once(self, path: str, body: bytes | None, read: Callable[[bytes], T], cancel: CancelToken) -> T:
        reply = self._reply(path, body, cancel)
        if not 200 <= reply.status < 300:
            raise _refusal(reply)
        try:
            value = read(reply.content)
        except (ValueError, TypeError, LookupError, AttributeError):
            # What is in it stays unsaid, and out of the traceback: it may be the prompt.
            raise RequestFailed("an answer that is not as the API says") from None
        with self._lock:
            self._answered += 1
            self._lost = 0
        return value

    def _reply(self, path: str, body: bytes | None, cancel: CancelToken) -> Reply:
        with self._lock:
            self.requests += 1
        try:
            return self._wire.exchange(path, body, cancel)
        except NoConnection as error:
            raise RequestFailed(f"no connection ({error})", dead=True) from None
        except TimeoutError:
            raise RequestFailed(f"no answer within {self._policy.timeout:g} s") from None
        except (OSError, HTTPException) as error:
            raise RequestFailed(f"the connection broke ({type(error).__name__})") from None


def _refusal(reply: Reply) -> RequestFailed:
    status = reply.status
    transient = status in (408, 429) or (500 <= status < 600 and status not in (501, 505))
    code = _machine_code(reply.content)
    detail = f"status {status} ({code})" if code else f"status {status}"
    return RequestFailed(detail, status=status, transient=transient, pause=reply.pause)


def _machine_code(content: bytes) -> str:
    """Returns the error's type where the server names it in one word: its messages may quote the prompt."""
    with suppress(ValueError, TypeError, AttributeError):
        error = orjson.loads(content)
        error = error.get("error", error)
        for kind in (error.get("code"), error.get("type")):
            if isinstance(kind, str) and _CODE.fullmatch(kind):
                return kind
    return ""
