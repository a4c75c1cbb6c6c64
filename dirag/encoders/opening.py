"""Opens sentence encoders by name or path; nothing is loaded before one is opened."""

from __future__ import annotations

from dirag.encoders.hashing import HashEmbedder
from dirag.encoders.sentence import SentenceEncoder
from dirag.errors import UsageError
from dirag.files import artifacts


def open_encoder(
    name_or_path: str, *, offline: bool = False, device: str = "cpu", pooling: str = "auto"
) -> HashEmbedder | SentenceEncoder:
    """Opens an encoder by its name (``hash``, or a known artifact) or by the path of its folder."""
    if name_or_path == "hash":
        if pooling != "auto":
            raise UsageError(f"the encoder hash takes no --pooling {pooling}", hint="leave out --pooling")
        return HashEmbedder()
    return SentenceEncoder(artifacts.locate(name_or_path, offline=offline), device=device, pooling=pooling)


def identity(name: str) -> str:
    """Returns the part of an encoder's name that tells whether two encoders give the same vectors."""
    return name.rpartition("@")[2]
