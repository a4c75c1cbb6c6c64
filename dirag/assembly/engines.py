"""The engine of a run from its ``Config``, and everything that decides what it answers."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from dirag.config import MODEL, PARALLEL, Config, adapter_of, options
from dirag.errors import UsageError
from dirag.files import fingerprint
from dirag.files.artifacts import locate
from dirag.files.paths import private_folder
from dirag.protocols import Backend

if TYPE_CHECKING:
    from dirag.backends.cached.cache_store import CacheStore
    from dirag.backends.http.remote import Remote

#: The engines that can run a model with an adapter.
ADAPTING = ("llamacpp", "openvino", "vllm")
#: The adapter as GGUF in a folder of `dirag train adapter`.
ADAPTER_FILE = "adapter.gguf"
#: What the engines in this process are made of.
ENGINES = {
    "llamacpp": ("xllamacpp",),
    "openvino": ("openvino", "openvino-genai", "gguf", "tokenizers"),
    "vllm": ("vllm", "torch", "transformers", "xgrammar"),
}


def backend(config: Config) -> Backend:
    """The engine with its weights loaded, or its server found."""
    from dirag.backends.cached.cache import Cached
    from dirag.backends.cached.replay import Recorder, Replay

    if config.backend == "replay":
        return Replay(_weights(config))
    makers = {"openai": _remote, "llamacpp": _llamacpp, "openvino": _openvino, "vllm": _vllm}
    if adapter_of(config) and config.backend not in ADAPTING:
        raise UsageError(
            f"--backend {config.backend} takes no --adapter", hint=f"these do: {', '.join(ADAPTING)}"
        )
    store = _cache_store(config)  # before the weights, whose loading takes long
    engine = makers[config.backend](config)
    if store is not None:
        engine = Cached(engine, store, request_identity(config))
    return Recorder(engine, Path(config.record)) if config.record else engine


def _cache_store(config: Config) -> CacheStore | None:
    from dirag.backends.cached.cache_store import CacheStore

    if config.cache == "none":
        return None
    is_default = config.cache == "default"
    folder = private_folder("answers") if is_default else Path(config.cache).expanduser()
    return CacheStore(folder, limit=config.cache_size << 20)


def request_identity(config: Config) -> dict[str, str]:
    """Everything but the prompt that decides what the engine answers, on this machine."""
    told = {name: str(getattr(config, name)) for name, shown in options().items() if shown.engine}
    told |= fingerprint.versions("dirag")
    here = {"processor": fingerprint.processor()} if config.backend in ENGINES else {}
    return told | engine_identity(config) | here


def engine_identity(config: Config) -> dict[str, str]:
    """The engine by its content: weights, adapter, libraries; a server by what it says of itself."""
    if config.backend == "openai":
        with closing(_remote(config)) as server:
            return server.identity
    told = fingerprint.versions(*ENGINES.get(config.backend, ()))
    told["weights"] = fingerprint.digest(_weights(config))
    adapter = _adapter(config)
    return told | ({"adapter": fingerprint.digest(adapter)} if adapter else {})


def _weights(config: Config) -> Path:
    """The weights of an engine in this process, or a recording in their place."""
    if config.backend == "replay":
        if not config.model:
            raise UsageError("--backend replay needs --model FILE", hint="a file that --record has written")
        return Path(config.model)
    if config.backend == "vllm" and not config.model:
        raise UsageError(
            "--backend vllm needs --model FOLDER", hint="it has no default and downloads nothing"
        )
    return locate(config.model or MODEL, offline=config.offline)


def _llamacpp(config: Config) -> Backend:
    from dirag.backends.llamacpp.engine import LlamaCpp

    return LlamaCpp(
        _weights(config),
        context=config.context,
        parallel=_parallel(config),
        threads=config.threads or None,
        adapter=_adapter(config),
    )


def _openvino(config: Config) -> Backend:
    from dirag.backends.openvino.engine import OpenVino

    return OpenVino(
        _weights(config),
        context=config.context,
        parallel=_parallel(config),
        threads=config.threads or None,
        adapter=_adapter(config),
    )


def _vllm(config: Config) -> Backend:
    from dirag.backends.vllm.engine import Vllm

    return Vllm(
        _weights(config),
        context=config.context,
        parallel=_parallel(config),
        adapter=_adapter(config),
        options=config.engine_options,
    )


def _parallel(config: Config) -> int:
    return config.parallel or PARALLEL[config.backend]


def _adapter(config: Config) -> Path | None:
    """The adapter in the form that the engine reads."""
    path = adapter_of(config)
    return path / ADAPTER_FILE if path and path.is_dir() and config.backend != "vllm" else path


def _remote(config: Config) -> Remote:
    from dirag.backends.http.client import Patience
    from dirag.backends.http.remote import Remote

    if not config.base_url:
        raise UsageError(
            "--backend openai needs --base-url URL",
            hint="as in --base-url http://127.0.0.1:8000; it has no default",
        )
    key = os.environ.get(config.key_env, "").strip() if config.key_env else ""
    if config.key_env and not key:
        raise UsageError(f"--key-env names {config.key_env!r}, which is not set", hint="export it first")
    return Remote(
        config.base_url,
        model=config.model,
        api=config.api,
        dialect=config.dialect,
        key=key or None,
        context=config.context,
        parallel=_parallel(config),
        patience=Patience(timeout=config.timeout, retries=config.retries),
    )
