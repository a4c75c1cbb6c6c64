"""The corpora that are known by name: what is on record of them, and where their files are.

The record is ``kb/datasets.toml``. A file is found in a data folder or in the cache, or fetched from its
official address into the cache; a fetched one with another sha256 than that on record is refused, not kept.
"""

from __future__ import annotations

import functools
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from dirag.corpora.labels import type_of
from dirag.errors import ArtifactError, DatasetError, UsageError
from dirag.files import artifacts, atomic, fingerprint, paths

_LARGEST = 1 << 26  # bytes; the largest file on record has 5 MB


@dataclass(frozen=True, slots=True)
class Split:
    """The record of a split's file, ``under`` a folder of the address; ``entities`` is by our type names."""

    file: str
    sha256: str
    documents: int
    entities: Mapping[str, int]
    under: str = "."


@dataclass(frozen=True, slots=True)
class Known:
    """The record of a corpus; ``types`` maps its labels to ours, ``url`` is where its files are."""

    name: str
    folder: str
    url: str
    home: str
    licence: str
    format: str
    types: Mapping[str, str]
    splits: Mapping[str, Split]


@functools.cache
def known() -> Mapping[str, Known]:
    """Returns every corpus on record, by name."""
    table = tomllib.loads(paths.path("kb", "datasets.toml").read_text("utf-8"))
    entries = {}
    for name, entry in table.items():
        # "of": the same files with other labels, such as one type of a corpus of several.
        whole = {**table[entry.pop("of")], **entry} if "of" in entry else dict(entry)
        splits = {split: Split(**record) for split, record in whole["splits"].items()}
        types = {label: type_of(label) for label in whole.pop("labels")} | whole.get("types", {})
        entries[name] = Known(**{**whole, "name": name, "splits": splits, "types": types})
    return MappingProxyType(entries)


def find(corpus: Known, record: Split, data_dir: str | None) -> Path | None:
    """Returns the file of a split in the first place that has it."""
    roots = []
    for origin, place in (("--data-dir", data_dir), ("DIRAG_DATA", os.environ.get("DIRAG_DATA"))):
        if place:
            root = Path(place).expanduser()
            if not root.is_dir():
                raise UsageError(f"{origin} {place!r} is not a folder")
            roots += [root, root / "corpora"]
    for root in [*roots, paths.home() / "datasets"]:
        path = root / corpus.folder / record.file
        if path.is_file():
            return path
    return None


def fetch(corpus: Known, record: Split, offline: bool) -> Path:
    """Fetches the file of a split into the cache; it becomes visible only after its sha256 was compared."""
    address = f"{corpus.url}/{PurePosixPath(record.under, record.file)}"
    target = paths.home() / "datasets" / corpus.folder / record.file
    cure = (
        f"get {address} (licence: {corpus.licence}) and put it at {target}, "
        f"or at {corpus.folder}/{record.file} under --data-dir or $DIRAG_DATA"
    )
    if artifacts.is_offline(offline):
        raise DatasetError(f"{corpus.name} is not on this machine and fetching is switched off", hint=cure)
    from dirag.files import fetching  # its network modules cost 50 ms, and most runs fetch nothing

    folder = paths.private_folder("datasets", corpus.folder)
    try:
        with atomic.new_file(folder / record.file) as part:
            fetching.download(address, part, limit=_LARGEST)
            if (digest := fingerprint.sha256(part)) != record.sha256:
                raise DatasetError(f"{address} has sha256 {digest}, expected {record.sha256}", hint=cure)
    except (OSError, ArtifactError) as error:
        raise DatasetError(
            f"{corpus.name} is not on this machine and cannot be fetched from {address} ({error})", hint=cure
        ) from error
    return target
