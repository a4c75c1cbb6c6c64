"""Foreign libraries: the processors they may use, OpenVINO without its telemetry, quiet loaders."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from dirag.errors import ArtifactError, BackendError


def cores() -> int:
    """Returns the number of processors that this process may use."""
    # cpu_count() is that of the whole machine: under taskset or in a container, threads would share a core.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def import_openvino(name: str = "openvino") -> ModuleType:
    """Imports a library of OpenVINO with a stub in place of its telemetry, which reports to a server."""
    # None makes `import openvino_telemetry` fail, a case for which OpenVINO has a stub of its own.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        return import_module(name)
    except ImportError as error:
        raise BackendError(f"{name} cannot be loaded: {error}", hint="install openvino-genai anew") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps the bar and the advice of transformers off standard error; errors are raised all the same."""
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
    """Keeps a loader quiet, and turns its errors into an ArtifactError that begins with ``failed``."""
    with quiet():
        from safetensors import SafetensorError

        # The first line only: below it transformers advises about its hub, which is never asked here.
        try:
            yield
        except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
            reason = str(error).partition("\n")[0]
            raise ArtifactError(f"{failed}: {reason}", hint=hint) from error
