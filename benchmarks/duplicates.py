"""How many planted copies of real lesions are found, and how long half a million images take.

    python -m benchmarks.duplicates FOLDER            recall and precision, dHash beside it
    python -m benchmarks.duplicates FOLDER --scale --count 500000

FOLDER holds real images, those of HAM10000 for instance. The first plants transformed copies
(resized, recompressed, cropped by up to 10 %, flipped or turned by right angles, colours shifted,
alone and together) and asks which pairs hold one picture. Any pair of two different real images
counts as wrong, though a few may be true. The second makes thumbnails by blending crops of the
real ones, plants copies of `--planted` of them and times the search for candidates alone.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.corpus.candidates import find_candidates
from backend.corpus.duplicates import MIN_SCORE, find_duplicates
from backend.corpus.fingerprints import read_fingerprints
from backend.corpus.pictures import Picture, pictures_in
from backend.corpus.signatures import SYMMETRIES, THUMBNAIL_SIDE, spectra_of, turned
from backend.images import Pixels, read_image

BAR = 0.97
BAR_SECONDS, BAR_GIB = 600.0, 4.0
DHASH_DISTANCE = 3
KINDS = ("resized", "recompressed", "cropped", "turned", "colours")
SPECTRA_CHUNK = 10_000
Thumbnails = NDArray[np.uint8]


def main() -> None:
    """Measure and print; ends with 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--planted", type=int, default=2000)
    parser.add_argument("--images", type=int, help="only so many real images")
    parser.add_argument("--scale", action="store_true", help="time candidates instead")
    parser.add_argument("--count", type=int, default=500_000, help="thumbnails for --scale")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    pictures = pictures_in(options.folder)[: options.images]
    if options.scale:
        figures = scale(pictures, options.count, options.planted, options.threads, rng)
        missed = figures["seconds"] > BAR_SECONDS or figures["peak_gib"] > BAR_GIB
    else:
        figures = accuracy(pictures, options.planted, options.threads, rng)
        missed = min(figures["recall"], figures["precision"]) < BAR
    print(json.dumps(figures, indent=2) if options.json else table(figures))
    sys.exit(missed)


def accuracy(
    pictures: list[Picture], planted: int, threads: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Recall over the planted copies, precision over the pairs, for the search and for dHash."""
    with tempfile.TemporaryDirectory(prefix="dermaflux-benchmark-") as name:
        folder = Path(name)
        origin = {picture.image_id: picture.image_id for picture in pictures}
        kinds: dict[str, tuple[str, ...]] = {}
        copies = []
        for number in range(planted):
            source = pictures[int(rng.integers(len(pictures)))]
            chosen = draw_kinds(rng)
            copy = write_copy(folder / f"{number:05}", read_image(source.path), chosen, rng)
            copies.append(copy)
            origin[copy.image_id], kinds[copy.image_id] = source.image_id, chosen
        started = time.perf_counter()
        prints = read_fingerprints([*pictures, *copies], folder / "cache.db", threads=threads)
        read_s = time.perf_counter() - started
        pairs = find_duplicates(prints, threads=threads)
        search_s = time.perf_counter() - started - read_s
        hashes = {picture.image_id: dhash(read_image(picture.path)) for picture in prints.pictures}
    found = {pair.ids for pair in pairs}
    of_different = [pair.score for pair in pairs if not _same(pair.ids, origin)]
    of_copies = [pair.score for pair in pairs if _same(pair.ids, origin)]
    return {
        "images": len(pictures),
        "planted": planted,
        "min_score": MIN_SCORE,
        **rates(found, origin, kinds),
        "by_kind": {
            kind: rates(found, origin, {i: k for i, k in kinds.items() if k == (kind,)})["recall"]
            for kind in KINDS
        },
        "combined": rates(found, origin, {i: k for i, k in kinds.items() if len(k) > 1})["recall"],
        "lowest_score_of_copies": min(of_copies, default=None),
        "highest_score_of_different": max(of_different, default=None),
        "pairs_of_different": [list(pair.ids) for pair in pairs if not _same(pair.ids, origin)],
        "dhash": rates(close_hashes(hashes), origin, kinds),
        "read_seconds": round(read_s, 1),
        "search_seconds": round(search_s, 1),
    }


def draw_kinds(rng: np.random.Generator) -> tuple[str, ...]:
    """One change in half of the copies, else two or more."""
    if rng.random() < 0.5:
        return (KINDS[int(rng.integers(len(KINDS)))],)
    count = int(rng.integers(2, len(KINDS) + 1))
    return tuple(KINDS[n] for n in sorted(rng.choice(len(KINDS), count, replace=False)))


def write_copy(
    stem: Path, pixels: Pixels, kinds: tuple[str, ...], rng: np.random.Generator
) -> Picture:
    """Write a changed copy; without "recompressed" it is a PNG."""
    if "cropped" in kinds:
        height, width = pixels.shape[:2]
        rows, columns = (round(n * rng.uniform(0.9, 0.98)) for n in (height, width))
        top, left = (int(rng.integers(n + 1)) for n in (height - rows, width - columns))
        pixels = pixels[top : top + rows, left : left + columns]
    if "turned" in kinds:
        pixels = turned(pixels, int(rng.integers(1, len(SYMMETRIES))))
    if "colours" in kinds:
        shifted = pixels * rng.uniform(0.85, 1.15, 3) + rng.uniform(-15, 15, 3)
        pixels = np.clip(shifted, 0, 255).round().astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if "resized" in kinds:
        side = int(rng.integers(96, 385))
        image = image.resize((side, side), Image.Resampling.LANCZOS)
    path = stem.with_suffix(".jpg" if "recompressed" in kinds else ".png")
    options = {"quality": int(rng.integers(40, 91))} if "recompressed" in kinds else {}
    image.save(path, **options)
    return Picture(str(path), path)


def rates(
    found: set[tuple[str, str]], origin: Mapping[str, str], kinds: Mapping[str, object]
) -> dict[str, float]:
    """Share of the copies paired with their source, and of the pairs that are one picture."""
    recalled = sum(_ordered(copy, origin[copy]) in found for copy in kinds)
    right = sum(_same(pair, origin) for pair in found)
    return {
        "recall": round(recalled / max(1, len(kinds)), 4),
        "precision": round(right / max(1, len(found)), 4),
        "pairs": len(found),
    }


def dhash(pixels: Pixels) -> int:
    """The 64-bit difference hash of an image."""
    grey = Image.fromarray(pixels).convert("L").resize((9, 8), Image.Resampling.LANCZOS)
    values = np.asarray(grey, dtype=np.int16)
    bits = np.packbits(values[:, 1:] > values[:, :-1])
    return int.from_bytes(bits.tobytes(), "big")


def close_hashes(hashes: Mapping[str, int]) -> set[tuple[str, str]]:
    """Pairs of ids whose hashes differ in at most DHASH_DISTANCE bits."""
    ids = sorted(hashes)
    values = np.array([hashes[one] for one in ids], dtype=np.uint64)
    pairs = set()
    for number, value in enumerate(values):
        distance = np.bitwise_count(values[number + 1 :] ^ value)
        for offset in np.nonzero(distance <= DHASH_DISTANCE)[0]:
            pairs.add((ids[number], ids[number + 1 + int(offset)]))
    return pairs


def scale(
    pictures: list[Picture], count: int, planted: int, threads: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Seconds and peak memory of signatures and candidates, and which planted copies they hold."""
    cv2.setNumThreads(threads)
    real = np.stack([shrunk(read_image(picture.path)) for picture in pictures])
    many = augmented(real, count - planted, rng)
    sources = rng.choice(len(many), planted, replace=False)
    copies = np.stack([near_copy(many[source], rng) for source in sources])
    thumbnails = np.concatenate((many, copies))
    del many, copies, real
    started = time.perf_counter()
    chunks = range(0, count, SPECTRA_CHUNK)
    spectra = np.concatenate([spectra_of(thumbnails[n : n + SPECTRA_CHUNK]) for n in chunks])
    candidates = find_candidates(spectra, threads=threads)
    seconds = time.perf_counter() - started
    pairs = np.stack((candidates.first, candidates.second), axis=1)
    held = set(map(tuple, pairs[candidates.second >= count - planted].tolist()))
    wanted = [(int(source), count - planted + n) for n, source in enumerate(sources)]
    return {
        "thumbnails": count,
        "threads": threads,
        "seconds": round(seconds, 1),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "candidates": len(candidates),
        "planted": planted,
        "planted_held": round(sum(pair in held for pair in wanted) / planted, 4),
    }


def shrunk(pixels: Pixels) -> Thumbnails:
    """An image as its fingerprint keeps it."""
    return cv2.resize(pixels, (THUMBNAIL_SIDE,) * 2, interpolation=cv2.INTER_AREA)


def augmented(real: Thumbnails, count: int, rng: np.random.Generator) -> Thumbnails:
    """Thumbnails that no two share a picture: blends of two crops of two real ones."""
    made = np.empty((count, *real.shape[1:]), dtype=np.uint8)
    for number in range(count):
        parts = []
        for _ in range(2):
            side = int(rng.integers(16, 29))
            top, left = (int(n) for n in rng.integers(0, THUMBNAIL_SIDE - side + 1, 2))
            crop = real[int(rng.integers(len(real))), top : top + side, left : left + side]
            parts.append(cv2.resize(turned(crop, int(rng.integers(8))), (THUMBNAIL_SIDE,) * 2))
        weight = float(rng.uniform(0.3, 0.7))
        made[number] = cv2.addWeighted(parts[0], weight, parts[1], 1 - weight, 0)
    return made


def near_copy(thumbnail: Thumbnails, rng: np.random.Generator) -> Thumbnails:
    """A thumbnail turned, cropped by up to 10 % and with its colours shifted."""
    side = THUMBNAIL_SIDE * float(rng.uniform(0.9, 1.0))
    top, left = rng.uniform(0, THUMBNAIL_SIDE - side, 2)
    ratio = side / THUMBNAIL_SIDE
    motion = np.array([[ratio, 0, left], [0, ratio, top]], dtype=np.float32)
    cropped = cv2.warpAffine(
        thumbnail,
        motion,
        (THUMBNAIL_SIDE,) * 2,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    shifted = cropped * rng.uniform(0.85, 1.15, 3) + rng.uniform(-15, 15, 3)
    return turned(np.clip(shifted, 0, 255).astype(np.uint8), int(rng.integers(8)))


def table(figures: Mapping[str, Any]) -> str:
    """The figures for people, one a line."""
    width = max(map(len, figures))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in figures.items())


def _ordered(first: str, second: str) -> tuple[str, str]:
    return (first, second) if first < second else (second, first)


def _same(pair: tuple[str, str], origin: Mapping[str, str]) -> bool:
    return origin[pair[0]] == origin[pair[1]]


if __name__ == "__main__":
    main()
