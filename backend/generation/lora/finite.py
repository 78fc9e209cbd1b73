"""Looks for NaN and infinity in stored tensors without torch, a piece at a time."""

import mmap

import numpy as np

from backend.generation.weights import StoredTensor

FLOATS = ("F64", "F32", "F16", "BF16")
_BYTES = 2**24
_EXPONENTS = {
    "F64": ("<u8", 0x7FF0_0000_0000_0000),
    "F32": ("<u4", 0x7F80_0000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
}
"""IEEE 754: a number whose exponent bits are all set is NaN or infinity."""


def has_nan_or_infinity(tensor: StoredTensor) -> bool:
    """Whether a tensor of floats holds NaN or infinity; integers never do."""
    if tensor.dtype not in _EXPONENTS or tensor.start == tensor.stop:
        return False
    kind, exponent = _EXPONENTS[tensor.dtype]
    mask = np.array(exponent, dtype=kind)
    with (
        tensor.file.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view,
    ):
        for start in range(tensor.start, tensor.stop, _BYTES):
            bits = np.frombuffer(view[start : min(start + _BYTES, tensor.stop)], dtype=kind)
            if bool(((bits & mask) == mask).any()):
                return True
    return False
