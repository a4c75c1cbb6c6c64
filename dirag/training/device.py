"""What a training computes on: the device, and the precision that is fast there."""

from __future__ import annotations

from dirag.files import fingerprint

#: Of the computation; "auto" is bfloat16 where the device has instructions for it, else float32.
PRECISIONS = ("auto", "float32", "bfloat16")
#: How Linux names such instructions of a processor.
_BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}


def device() -> str:
    """Returns "cuda" where there is a GPU, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def precision(wanted: str) -> str:
    """Returns the precision that is meant, of "auto" the one that is fast on this device.

    A processor without instructions for bfloat16 imitates it, some sixty times slower than float32.
    """
    import torch

    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        can = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        can = not _BFLOAT16.isdisjoint(fingerprint.processor().split())
    return "bfloat16" if can else "float32"
