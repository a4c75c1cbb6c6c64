"""The address of a server as the user wrote it, checked, and what stands at which path of it.

Refuses what is no http or https address, and addresses with a user name, a password or a query in them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from dirag.errors import UsageError

_VERSION = re.compile(r"/v\d\w*(/|$)")


@dataclass(frozen=True, slots=True)
class Address:
    """``root`` is the path of the server's own routes, ``api`` that of the API: ``root`` and ``/v1``."""

    scheme: str
    host: str
    port: int
    root: str
    api: str

    @property
    def origin(self) -> str:
        """The address without its path, as it is shown to users."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = self.port == (443 if self.scheme == "https" else 80)
        return f"{self.scheme}://{host}" if default else f"{self.scheme}://{host}:{self.port}"


def parse(url: str) -> Address:
    """Reads the address that a user wrote, with or without the ``/v1`` at its end; raises UsageError."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise _refused("is no address") from None
    if parts.username is not None or parts.password is not None:
        raise _refused("holds a user name or a password", "give the key in a variable, with --key-env NAME")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _refused(f"begins with {parts.scheme or 'no scheme'!r}")
    if parts.query or parts.fragment or re.search(r"[\s\x00-\x1f\x7f]", url.strip()):
        raise _refused("holds a query, a fragment or blanks")
    path = parts.path.rstrip("/")
    # A path that names a version is that of the API, as with some hosted servers: /v1beta/openai.
    api = path if _VERSION.search(path) else f"{path}/v1"
    root = api.removesuffix("/v1")
    return Address(parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80), root, api)


def _refused(why: str, hint: str = "write it as http://127.0.0.1:8000 or https://host/v1") -> UsageError:
    """Returns the error for an address, which is not quoted: it may hold a password."""
    return UsageError(f"--base-url {why}", hint=hint)
