"""One HTTP exchange with one server: a request out, a whole answer back, over connections that are kept.

Text goes to that address and nowhere else: no redirect is followed, and the proxies that the environment may
name are not used.

The standard library and not httpx: under httpx2 2.16 two promises failed. Closing its client does not end a
read in flight (a thread whose answer took 12 s came back 11.5 s later, here at once), and its timeouts hold
between two packets, not for a request (an answer in drops with a timeout of 0.3 s took 10.4 s). It also takes
1.2 ms of processor time a request where this takes 0.35, and a quarter of a second to import.
"""

from __future__ import annotations

import email.utils
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from threading import Event, Lock

from dirag.backends.http.address import Address
from dirag.errors import BackendError

#: Seconds for the connection alone.
CONNECT = 10.0
#: Bytes of an answer, at most.
LARGEST = 1 << 26


class NoConnection(Exception):
    """Nobody listens at the address, or it cannot be reached; the message says why."""


class Cancelled(Exception):
    """Nobody waits for the answer any more."""


class CancelToken:
    """Ends a group of requests at once: those that wait for another try and those that are on the wire."""

    def __init__(self) -> None:
        self._event, self._lock = Event(), Lock()
        self._sockets: set[socket.socket] = set()

    def set(self) -> None:
        # With the lock of ``holding``: a socket is either shut down here, or finds the token set there.
        with self._lock:
            self._event.set()
            for sock in self._sockets:
                with suppress(OSError):
                    # Not SSLSocket's own, which takes the cipher away from under the thread that reads.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def wait(self, seconds: float) -> None:
        """Sleeps; raises Cancelled as soon as the token is set."""
        if self._event.wait(seconds):
            raise Cancelled

    @contextmanager
    def holding(self, sock: socket.socket) -> Iterator[None]:
        with self._lock:
            if self._event.is_set():
                raise Cancelled
            self._sockets.add(sock)
        try:
            yield
        finally:
            with self._lock:
                self._sockets.discard(sock)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; ``pause`` is the seconds that it asks to wait for, 0 where it does not."""

    status: int
    pause: float
    content: bytes


class Wire:
    """Keeps as many connections open as requests were ever in flight at once; any thread may use it."""

    def __init__(self, address: Address, *, key: str | None, timeout: float) -> None:
        self._address, self._timeout = address, timeout
        self._headers = {"Content-Type": "application/json", "User-Agent": "dirag"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._tls = ssl.create_default_context() if address.scheme == "https" else None
        self._idle: list[HTTPConnection] = []
        self._lock = Lock()

    def exchange(self, path: str, body: bytes | None, cancel: CancelToken) -> Reply:
        """Returns the answer to a POST, or to a GET where there is no body.

        Raises NoConnection, Cancelled, OSError, HTTPException; BackendError for a certificate.
        """
        with self._lock:
            idle = self._idle.pop() if self._idle else None
        if idle is not None:
            # A server may have closed a connection that lay idle, which only shows when it is used.
            with suppress(ConnectionError):
                return self._talk(idle, path, body, cancel)
        return self._talk(self._open(), path, body, cancel)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _open(self) -> HTTPConnection:
        host, port, limit = self._address.host, self._address.port, min(CONNECT, self._timeout)
        connection = (
            HTTPConnection(host, port, timeout=limit)
            if self._tls is None
            else HTTPSConnection(host, port, timeout=limit, context=self._tls)
        )
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise BackendError(
                f"the certificate of {self._address.origin} is not trusted: {error.verify_message}",
                hint="name the file of your authority in SSL_CERT_FILE",
            ) from None
        except OSError as error:
            connection.close()
            raise NoConnection(error.strerror or str(error) or type(error).__name__) from None
        return connection

    def _talk(self, connection: HTTPConnection, path: str, body: bytes | None, cancel: CancelToken) -> Reply:
        deadline = time.monotonic() + self._timeout
        sock: socket.socket = connection.sock
        # A socket's timeout holds for one packet. That does for the request and the head of the answer; the
        # body, which a server may send in drops, gets what is left of the deadline before each.
        sock.settimeout(self._timeout)
        try:
            with cancel.holding(sock):
                connection.request("GET" if body is None else "POST", path, body, self._headers)
                response = connection.getresponse()
                content = _content(response, sock, deadline)
        except BaseException:
            # Also Ctrl-C and Cancelled: the rest of this answer would be read as the next one's beginning.
            connection.close()
            raise
        if not response.will_close:
            self._idle.append(connection)
        return Reply(response.status, _pause(response.getheader("Retry-After")), content)


def _content(response: HTTPResponse, sock: socket.socket, deadline: float) -> bytes:
    """Reads the whole body; a server that sends it drop by drop meets the deadline too."""
    content = bytearray()
    while piece := response.read1(1 << 16):
        content += piece
        if len(content) > LARGEST:
            raise HTTPException("the answer is too long")
        if (seconds_left := deadline - time.monotonic()) <= 0:
            raise TimeoutError
        sock.settimeout(seconds_left)
    if response.length:
        raise HTTPException("the answer is cut off")
    response.close()  # read1 leaves it open, and then the connection takes no other request
    return bytes(content)


def _pause(header: str | None) -> float:
    """Reads the seconds that a Retry-After asks for, in both of its spellings; 0 where there is none."""
    with suppress(TypeError, ValueError):
        if header and header.strip().isdecimal():
            return float(header)
        return max(0.0, email.utils.parsedate_to_datetime(header or "").timestamp() - time.time())
    return 0.0
