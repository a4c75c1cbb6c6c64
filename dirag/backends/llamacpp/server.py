"""Starts the server of llama.cpp in this process: how it computes, what it keeps, who can reach it.

Refuses weights and adapters that are missing, of another format, or that llama.cpp cannot load.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dirag.errors import BackendError
from dirag.files import libraries

if TYPE_CHECKING:
    from xllamacpp import CommonParams, Server

#: Tokens of a prompt computed at once. Between two such batches, and after each token written, llama.cpp
#: asks whether to go on; so this bounds how long it takes to stop.
BATCH = 256


def load() -> None:
    """Loads the library, so that its threads soon sleep while they wait for each other.

    By default they spin for long, and where other programs share the cores they spin away the time that the
    thread they wait for needs: 4 to 5 times slower beside two busy programs, measured. A short spin costs
    nothing on an idle machine. OpenMP reads the variable once, as it is loaded.
    """
    chosen = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys()
    if not chosen:
        os.environ["GOMP_SPINCOUNT"] = "1000"
    try:
        import xllamacpp  # noqa: F401
    except ImportError as error:
        raise BackendError(
            f"llama.cpp cannot be loaded: {error}",
            hint="pip install xllamacpp; where libgomp.so.1 is missing, the system package libgomp1",
        ) from error
    finally:
        if not chosen:
            del os.environ["GOMP_SPINCOUNT"]


def parameters(
    path: Path, *, context: int, parallel: int, threads: int | None, adapter: Path | None
) -> CommonParams:
    from xllamacpp import CommonAdapterLoraInfo, CommonParams, llama_flash_attn_type

    params = CommonParams()
    params.model.path = str(path)
    params.n_ctx = context * parallel
    params.n_parallel = parallel
    params.n_batch = params.n_ubatch = BATCH
    threads = threads or libraries.cores()
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.flash_attn_type = llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.kv_unified = False
    # No copies of prompts beyond the slots.
    params.cache_ram_mib = 0
    params.n_ctx_checkpoints = 0
    # Errors come back as values; the log would only mix with the program's own.
    params.verbosity = -1
    # llama.cpp opens a port in any case. Only this machine reaches it, and only with a key that never leaves
    # this process: clinical text must not be within reach of other users, nor of pages in a browser.
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_threads_http = 2
    params.ui = params.endpoint_slots = params.endpoint_props = params.endpoint_metrics = False
    params.cors_origins = ""
    if adapter is not None:
        params.lora_adapters = [CommonAdapterLoraInfo(str(adapter), 1.0)]
    return params


def start(params: CommonParams, path: Path, adapter: Path | None) -> Server:
    from xllamacpp import Server

    try:
        return Server(params)
    except RuntimeError as error:
        files = str(path) if adapter is None else f"{path} with the adapter {adapter}"
        raise BackendError(
            f"llama.cpp cannot load {files}",
            hint="a file is damaged, of an unknown kind or too large for the memory; "
            "`dirag models verify` checks the known ones",
        ) from error
