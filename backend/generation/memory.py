"""Whether an image fits into memory, told before it is begun."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from backend.generation.errors import TooLargeError
from backend.generation.layout import read_json
from backend.generation.lora.layouts import Family
from backend.generation.models import ModelEntry
from backend.generation.request import MAX_SIDE, MIN_SIDE, SIZE_MULTIPLE, GenerationRequest

_DECODER_COPIES = 10
"""Feature maps that the autoencoder's last block needs at its peak: input, norm, activation,
output, the convolution's workspace, and as much again that the allocator does not give back at
once; measured in tests/service/test_generation_memory.py."""
_TOKEN_COPIES = 20
"""Widths per token that a single-stream block holds at once: 4 of the MLP before and after its
activation, 3 of QKV and their rotated copies, 5 of the concatenation."""
_UNET_COPIES = 80
"""Feature maps of the first level's width that a UNet holds at once for both halves of guidance:
40 each, the skip connections of the way down, one block at work, and its feed-forward (8)."""
LATENT_SIDE = 8
"""Pixels along one side of a latent."""
_CGROUP = Path("/sys/fs/cgroup")


def check_fits(
    entry: ModelEntry,
    request: GenerationRequest,
    *,
    available: int,
    bytes_per_weight: int,
    device: str,
    weights: int,
) -> None:
    """Refuse an image beyond the `available` bytes, of which `weights` are still to be loaded.

    Raises:
        TooLargeError: naming what is needed, what is free and the largest size that fits.
    """
    room = available - weights
    tokens = request.max_sequence_length or entry.max_sequence_length

    def need(width: int, height: int) -> int:
        return activation_bytes(entry, width, height, tokens, bytes_per_weight)

    if need(request.width, request.height) <= room:
        return
    sides = range(MAX_SIDE, MIN_SIDE - 1, -SIZE_MULTIPLE)
    largest = next((side for side in sides if need(side, side) <= room), None)
    total = _gigabytes(weights + need(request.width, request.height))
    advice = (
        f"the largest square that fits is {largest} x {largest}."
        if largest
        else "close other programs or choose a smaller model."
    )
    raise TooLargeError(
        f"An image of {request.width} x {request.height} pixels by {entry.title} needs about "
        f"{total}, and {_gigabytes(available)} are free on the {device}: {advice}"
    )


def activation_bytes(
    entry: ModelEntry, width: int, height: int, text_tokens: int, bytes_per_number: int
) -> int:
    """Peak memory of one image beside the weights: the transformer's or the decoder's."""
    vae = read_json(entry.folder / "vae" / "config.json")
    channels = vae.get("block_out_channels")
    widest = max(channels[:2]) if isinstance(channels, list) and channels else 0
    denoising = _denoising_numbers(entry, width, height, text_tokens)
    decoding = _DECODER_COPIES * width * height * int(widest)
    return bytes_per_number * max(denoising, decoding)


def _denoising_numbers(entry: ModelEntry, width: int, height: int, text_tokens: int) -> int:
    """How many numbers one step holds at once beside the weights."""
    if entry.family is Family.SD1:
        channels = read_json(entry.folder / "unet" / "config.json").get("block_out_channels")
        first = channels[0] if isinstance(channels, list) and channels else 0
        return _UNET_COPIES * (width // LATENT_SIDE) * (height // LATENT_SIDE) * int(first)
    transformer = read_json(entry.folder / "transformer" / "config.json")
    hidden = _number(transformer, "num_attention_heads") * _number(
        transformer, "attention_head_dim"
    )
    tokens = width * height // SIZE_MULTIPLE**2 + text_tokens
    return _TOKEN_COPIES * tokens * hidden


def available_host_memory() -> int:
    """Bytes that this process may still take, the limit of its container included."""
    free = psutil.virtual_memory().available
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        cached = dict(
            line.split()
            for line in (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines()
        )
    except (OSError, ValueError):  # no cgroup v2 here
        return free
    if limit == "max":
        return free
    return min(free, int(limit) - used + int(cached.get("inactive_file", 0)))


@contextmanager
def plain_memory_errors() -> Iterator[None]:
    """Turns what torch's allocator for the CPU raises, a bare RuntimeError, into MemoryError."""
    try:
        yield
    except RuntimeError as error:
        if "can't allocate memory" not in str(error) and "not enough memory" not in str(error):
            raise
        raise MemoryError(str(error)) from error


def _number(values: dict[str, object], name: str) -> int:
    value = values.get(name)
    return value if isinstance(value, int) else 0


def _gigabytes(number: int) -> str:
    return f"{max(0, number) / 1e9:.1f} GB"
