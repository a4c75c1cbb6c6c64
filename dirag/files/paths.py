"""This machine: the data folders ``kb/`` and ``prompts/``, the folder of what is fetched, the processors, and
OpenVINO.

An installed wheel carries the data as ``dirag/_data/kb`` and ``dirag/_data/prompts``; a source checkout
has it beside the package. A file that is not there is refused with the place that was looked at.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

from dirag.errors import ArtifactError, BackendError

_SAMPLES = 64  # blocks of a large file that make its identity
_BLOCK = 4096
_PACKAGE = Path(__file__).resolve().parents[1]


def path(*parts: str) -> Path:
    """Returns a data file or folder of the package, such as ``path("kb", "artifacts.toml")``."""
    installed = _PACKAGE / "_data"
    root = installed if installed.is_dir() else _PACKAGE.parent
    data = root.joinpath(*parts)
    if not data.exists():
        raise ArtifactError(
            f"the package has no data file {'/'.join(parts)!r} under {root}",
            hint="install dirag anew, or run it from a complete source checkout",
        )
    return data


def adapter(model: str) -> Path:
    """Returns the folder of the adapter that the package has for a model, named after the model."""
    return _PACKAGE / "adapters" / model


@cache
def words(file: str) -> frozenset[str]:
    """Returns a word list of ``kb/``."""
    lines = path("kb", file).read_text("utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def home() -> Path:
    """Returns the folder of everything fetched or built: ``$DIRAG_HOME``, else the user's cache folder."""
    if given := os.environ.get("DIRAG_HOME"):
        return Path(given).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("dirag", appauthor=False)


def private_folder(*parts: str) -> Path:
    """Returns the folder of these names under ``home()``, made if it is absent, for the owner only."""
    folder = home()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        for part in parts:
            folder = folder / part
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ArtifactError(
            f"cannot make the folder {folder}: {error.strerror}", hint="point DIRAG_HOME to a writable folder"
        ) from error
    return folder


def samples(file: Path) -> Iterator[bytes]:
    """Reads blocks from all over a file: enough to tell weights apart, at a cost that no size raises."""
    with file.open("rb") as stream:
        size = file.stat().st_size
        for start in range(0, size, max(_BLOCK, size // _SAMPLES)):
            stream.seek(start)
            yield stream.read(_BLOCK)


def cores() -> int:
    """Returns the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def openvino(name: str = "openvino") -> ModuleType:
    """Imports a library of OpenVINO with a stub in place of its telemetry, which reports to a server."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        return import_module(name)
    except ImportError as error:
        raise BackendError(f"{name} cannot be loaded: {error}", hint="install openvino-genai anew") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps the loader's progress bar and its advice off standard error; errors are raised all the same."""
    from transformers.utils import logging

    bar, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


@contextmanager
def loading(failed: str, *, hint: str) -> Iterator[None]:
    """Keeps a loader quiet; what its files lack becomes an ArtifactError that begins with ``failed``."""
    with quiet():
        from safetensors import SafetensorError

        try:
            yield
        except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
            reason = str(error).partition("\n")[0]
            raise ArtifactError(f"{failed}: {reason}", hint=hint) from error
