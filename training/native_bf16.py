"""Whether a processor computes in bfloat16 itself."""

import platform

import torch


def has_native_bf16() -> bool:
    """Whether the CPU has instructions for bf16. torch's own answer is yes for any AVX-512 too,
    where bf16 is emulated, many times slower than float32."""
    if not torch.backends.mkldnn.is_available():
        return False
    known = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 - there is no public question
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return known
    return known and (
        torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001
        or torch.cpu._is_amx_tile_supported()  # noqa: SLF001
    )
