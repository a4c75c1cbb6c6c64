"""The engine of a run from its ``Config``, and everything that decides what it answers."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from dirag.config import ADAPTER_WEIGHTS, ENGINES, MODEL, Config, adapter_of, engine_kind, options
from dirag.errors import UsageError
from dirag.files import fingerprint
from dirag.files.artifacts import locate
from dirag.files.paths import private_folder
from dirag.protocols import Backend

if TYPE_CHECKING:
    from dirag.backends.cached.cache_store import CacheStore
    from dirag.backends.http.remote import Remote


def backend(config: Config) -> Backend:
    """Opens the engine of a run, behind its cache and its recorder where it has them.

    Raises UsageError where the options do not fit the engine, BackendError where it cannot be opened.
    """
    from dirag.backends.cached.cache import Cached
    from dirag.backends.cached.replay import Recorder

    kind = engine_kind(config)
    if kind.source == "recording":
        recording: Backend = resolve_name(kind.open)(with_paths(config))
        return recording
    if adapter_of(config) and not kind.adapters:
        raise no_adapter(config.backend, option="--adapter")
    store = _cache_store(config)  # before the weights, whose loading takes long
    engine: Backend = resolve_name(kind.open)(with_paths(config))
    if store is not None:
        engine = Cached(engine, store, request_identity(config))
    # Outside the cache, so that a recording holds the answers that came from there too.
    return Recorder(engine, Path(config.record)) if config.record else engine


def no_adapter(backend: str, *, option: str = "adapter") -> UsageError:
    """Returns the error for an engine that runs no adapters, with the names of those that do."""
    names = ", ".join(name for name, kind in ENGINES.items() if kind.adapters)
    return UsageError(f"--backend {backend} takes no {option}", hint=f"these do: {names}")


def _cache_store(config: Config) -> CacheStore | None:
    from dirag.backends.cached.cache_store import CacheStore

    if config.cache == "none":
        return None
    is_default = config.cache == "default"
    folder = private_folder("answers") if is_default else Path(config.cache).expanduser()
    return CacheStore(folder, limit=config.cache_size << 20)


def request_identity(config: Config) -> dict[str, str]:
    """Returns everything but the prompt that decides what the engine answers, on this machine."""
    identity = {name: str(getattr(config, name)) for name, shown in options().items() if shown.engine}
    identity |= fingerprint.versions("dirag") | engine_identity(config)
    if engine_kind(config).source == "weights":
        identity["processor"] = fingerprint.processor()
    return identity


def engine_identity(config: Config) -> dict[str, str]:
    """Returns the engine by its content: weights, adapter, libraries; a server by what it says of itself."""
    kind, config = engine_kind(config), with_paths(config)
    if kind.source == "server":
        server: Remote = resolve_name(kind.open)(config)
        with closing(server):
            return server.identity
    identity = fingerprint.versions(*kind.libraries)
    identity["weights"] = fingerprint.digest(Path(config.model))
    if adapter := adapter_of(config):
        identity["adapter"] = fingerprint.digest(adapter)
    return identity


def with_paths(config: Config) -> Config:
    """Returns the config in which what the engine reads stands as paths, and its default as a number."""
    kind, adapter = engine_kind(config), adapter_of(config)
    if adapter and adapter.is_dir() and kind.adapters != "peft":
        adapter /= ADAPTER_WEIGHTS
    return replace(
        config,
        model=config.model if kind.source == "server" else str(_weights(config)),
        # Absolute, so that a folder called "default" or "none" does not read as that word.
        adapter=str(adapter.absolute()) if adapter else "none",
        parallel=config.parallel or kind.parallel,
    )


def _weights(config: Config) -> Path:
    """Finds the weights of an engine, fetched where they are absent, or the recording in their place."""
    kind = engine_kind(config)
    if kind.model and not config.model:
        raise UsageError(
            f"--backend {config.backend} needs --model, which has no default", hint=f"name {kind.model}"
        )
    if kind.source == "recording":
        return Path(config.model).expanduser()
    return locate(config.model or MODEL, offline=config.offline)
