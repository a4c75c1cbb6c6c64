"""The precision of a training: the one that a processor is fast in, or the one asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from dirag.files import fingerprint
from dirag.training import device

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(
    ("flags", "precision"),
    [
        ("fpu sse4_2 avx2 fma", "float32"),
        ("fpu avx2 avx512f avx512_bf16", "bfloat16"),
        ("fpu avx512f amx_bf16 amx_tile", "bfloat16"),
        ("fp asimd bf16 i8mm", "bfloat16"),
        ("fp asimd", "float32"),
    ],
)
def test_auto_is_what_the_processor_has_instructions_for(
    flags: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags : {flags}\n")
    monkeypatch.setattr(fingerprint, "_CPUINFO", cpuinfo)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.precision("auto") == precision
    assert device.precision("bfloat16") == "bfloat16"
    assert device.precision("float32") == "float32"
