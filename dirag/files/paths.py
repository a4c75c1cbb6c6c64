"""Where files lie: the data folders ``kb/`` and ``prompts/``, and the user's folder of what is fetched.

An installed wheel carries the data as ``dirag/_data/kb`` and ``dirag/_data/prompts``; a source checkout
has it beside the package. A file that is not there is refused with the place that was looked at.
"""

from __future__ import annotations

import os
from pathlib import Path

from dirag.errors import ArtifactError

_PACKAGE = Path(__file__).resolve().parents[1]


def path(*parts: str) -> Path:
    """Returns a data file or folder of the package, such as ``path("kb", "artifacts.toml")``."""
    # An installed package never looks beside itself: site-packages/kb may be another package's.
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


def token_classifiers() -> tuple[Path, ...]:
    """Returns the folders of the token classifiers that the package has."""
    names = ("minilm-l6-seven-types", "minilm-l6-biology")
    return tuple(_PACKAGE / "token_classifiers" / name for name in names)


def home() -> Path:
    """Returns the folder of everything fetched or built: ``$DIRAG_HOME``, else the user's cache folder."""
    if folder := os.environ.get("DIRAG_HOME"):
        return Path(folder).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("dirag", appauthor=False)


def private_folder(*parts: str) -> Path:
    """Returns the folder of these names under ``home()``, made if it is absent, for the owner only."""
    folder = home()
    # Folder by folder: mkdir(parents=True) makes those above without the mode.
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
