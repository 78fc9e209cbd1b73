"""Latents kept on the disk: mean and spread of every image, so that each step draws a fresh one.

Safetensors shards lie in a folder a bucket, autoencoder and precision; an image is found by the
hash of its content. Runs share them.
"""

import hashlib
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image, ImageOps
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from backend.files import TEMPORARY_SUFFIX, remove_file, write_file
from backend.finetuning.buckets import Bucket
from backend.finetuning.errors import FinetuningError
from backend.finetuning.pairs import Pair
from backend.images import ImageError, open_image

CONTENTS = "contents"
SHARD_BYTES = 128 * 2**20
RESIDENT_BYTES = 2 * 2**30
"""Latents of a run that together are no larger are held in memory."""
FLIPPED = ":flipped"

Report = Callable[[int, int], None]
"""Called with how many are done, and of how many."""


@dataclass(frozen=True)
class Place:
    """A shard and the row in it."""

    file: Path
    row: int


class LatentStore:
    """The latents of one run's images by their content."""

    def __init__(self, folder: Path, vae_hash: str, *, dtype: torch.dtype) -> None:
        self._folder = folder / f"{vae_hash[:16]}-{str(dtype).removeprefix('torch.')}"
        self._dtype = dtype
        self._places: dict[tuple[Bucket, str], Place] = {}
        self._resident: dict[tuple[Bucket, str], tuple[Tensor, Tensor]] = {}
        self._open = lru_cache(maxsize=64)(_open)

    def index(self, buckets: Sequence[Bucket]) -> None:
        """Learn what is there; a damaged shard is removed, and made again."""
        self._places.clear()
        for bucket in buckets:
            folder = self._folder / str(bucket)
            if not folder.is_dir():
                continue
            remove_leftovers(folder)
            for file in sorted(folder.glob("*.safetensors")):
                contents = _contents(file)
                if contents is None:
                    remove_file(file)
                    continue
                for row, content in enumerate(contents):
                    self._places[bucket, content] = Place(file, row)

    def missing(
        self, pairs: Sequence[Pair], buckets: Mapping[Bucket, Sequence[int]], *, flip: bool
    ) -> list[tuple[Bucket, int, bool]]:
        """What has to be encoded: bucket, place among the pairs, mirrored or not."""
        ways = (False, True) if flip else (False,)
        found: dict[tuple[Bucket, str], tuple[Bucket, int, bool]] = {}
        for bucket, places in buckets.items():
            for place in places:
                for way in ways:
                    key = (bucket, content_of(pairs[place], flipped=way))
                    if key not in self._places:
                        found.setdefault(key, (bucket, place, way))
        return list(found.values())

    def fill(
        self,
        vae: Any,
        pairs: Sequence[Pair],
        wanted: Sequence[tuple[Bucket, int, bool]],
        device: torch.device,
        report: Report,
    ) -> list[str]:
        """Encode and keep; returns the keys of images that could not be read.

        On a CPU one image at a time, so that its latents do not depend on its neighbours.
        """
        broken: list[str] = []
        done = 0
        for bucket in dict.fromkeys(bucket for bucket, _, _ in wanted):
            items = [(place, way) for one, place, way in wanted if one == bucket]
            for part in _parts(items, self._rows(vae, bucket)):
                broken += self._fill_shard(vae, pairs, bucket, part, device)
                done += len(part)
                report(done, len(wanted))
        return broken

    def load(self, pairs: Sequence[Pair], bucket_of: Mapping[int, Bucket], *, flip: bool) -> None:
        """Hold everything in memory where it is small enough.

        Raises:
            FinetuningError: an image has no latents.
        """
        ways = (False, True) if flip else (False,)
        keys = [
            (bucket, content_of(pairs[place], flipped=way))
            for place, bucket in bucket_of.items()
            for way in ways
        ]
        files = {self._place(key).file for key in keys}
        if sum(file.stat().st_size for file in files) > RESIDENT_BYTES:
            return
        for key in keys:
            self._resident[key] = self.fetch(*key)

    def fetch(self, bucket: Bucket, content: str) -> tuple[Tensor, Tensor]:
        """Mean and spread (C, h, w) of an image in fp32, as the autoencoder gave them.

        Raises:
            FinetuningError: they are not there.
        """
        held = self._resident.get((bucket, content))
        if held is not None:
            return held
        place = self._place((bucket, content))
        shard = self._open(place.file)
        mean: Tensor = shard.get_slice("mean")[place.row]
        spread: Tensor = shard.get_slice("spread")[place.row]
        return mean.float(), spread.float()

    def _place(self, key: tuple[Bucket, str]) -> Place:
        try:
            return self._places[key]
        except KeyError:
            raise FinetuningError(
                "The latents of an image are missing from the cache: start the run again."
            ) from None

    def _rows(self, vae: Any, bucket: Bucket) -> int:
        numbers = 2 * vae.config.latent_channels * (bucket.width // 8) * (bucket.height // 8)
        return int(max(1, min(1_024, SHARD_BYTES // (numbers * self._dtype.itemsize))))

    def _fill_shard(
        self,
        vae: Any,
        pairs: Sequence[Pair],
        bucket: Bucket,
        items: Sequence[tuple[int, bool]],
        device: torch.device,
    ) -> list[str]:
        broken: list[str] = []
        contents: list[str] = []
        means: list[Tensor] = []
        spreads: list[Tensor] = []
        at_once = 1 if device.type == "cpu" else 16
        with ThreadPoolExecutor(1 if device.type == "cpu" else 8) as pool:
            for part in _parts(items, at_once):
                read = list(pool.map(lambda item: _read(pairs[item[0]], bucket, item[1]), part))
                broken += [
                    pairs[item[0]].key for item, x in zip(part, read, strict=True) if x is None
                ]
                good = [(item, x) for item, x in zip(part, read, strict=True) if x is not None]
                if not good:
                    continue
                contents += [content_of(pairs[place], flipped=way) for (place, way), _ in good]
                mean, spread = encode(vae, torch.stack([x for _, x in good]).to(device))
                means.append(mean.to("cpu", self._dtype))
                spreads.append(spread.to("cpu", self._dtype))
        if contents:
            name = hashlib.sha256("\n".join(contents).encode()).hexdigest()[:32]
            file = self._folder / str(bucket) / f"{name}.safetensors"
            tensors = {"mean": torch.cat(means), "spread": torch.cat(spreads)}
            write_file(file, save(tensors, {CONTENTS: json.dumps(contents)}))
            for row, content in enumerate(contents):
                self._places[bucket, content] = Place(file, row)
        return broken


@torch.no_grad()
def encode(vae: Any, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (B, C, h, w) of images (B, 3, H, W) in -1..1."""
    posterior = vae.encode(pixels).latent_dist
    return posterior.mean, posterior.std


def fitted(image: Image.Image, bucket: Bucket) -> Image.Image:
    """The image scaled down to cover the bucket, then its centre."""
    size = (bucket.width, bucket.height)
    if image.size == size:
        return image
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS)


def content_of(pair: Pair, *, flipped: bool) -> str:
    """What names a pair's pixels."""
    return pair.content + FLIPPED if flipped else pair.content


def remove_leftovers(folder: Path) -> None:
    """Remove what programs of this machine that are no more left half written."""
    host = socket.gethostname()
    for file in folder.glob(f"*.{host}-*{TEMPORARY_SUFFIX}"):
        pid = file.name.removesuffix(TEMPORARY_SUFFIX).rpartition("-")[2]
        if pid.isdecimal() and int(pid) != os.getpid() and not psutil.pid_exists(int(pid)):
            remove_file(file)


def _read(pair: Pair, bucket: Bucket, flipped: bool) -> Tensor | None:
    try:
        image = fitted(open_image(pair.path), bucket)
    except ImageError:
        return None
    if flipped:
        image = ImageOps.mirror(image)
    pixels = torch.from_numpy(np.array(image, dtype=np.uint8))
    return pixels.permute(2, 0, 1).float() / 127.5 - 1


def _open(file: Path) -> Any:
    return safe_open(file, framework="pt")


def _contents(file: Path) -> list[str] | None:
    try:
        with safe_open(file, framework="pt") as shard:
            contents = json.loads(shard.metadata()[CONTENTS])
            rows = shard.get_slice("mean").get_shape()[0]
            shard.get_slice("spread")
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return None
    return contents if len(contents) == rows else None


def _parts(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[first : first + size] for first in range(0, len(items), size)]
