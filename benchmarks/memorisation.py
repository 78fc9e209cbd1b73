"""How many planted copies of training images the alarm finds, and what it names wrongly.

    python -m benchmarks.memorisation ../shared/data/ham10000/images

Half of the real images are training images. Among drawn lesions
50 training images are planted, each recompressed, mirrored or cropped by turns. Peer:
the same with 64-bit difference hashes at a distance of at most 3.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from backend.abc.sampling import sample_split
from backend.corpus.pictures import Picture, pictures_in
from backend.evaluation.memorisation import find_copies
from backend.phantom import render

SIDE = 128
LEAST_FOUND, MOST_FALSE = 48, 5
HASH_DISTANCE = 3


def main() -> None:
    """Measure and print; ends with 1 where the bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="real images")
    parser.add_argument("--count", type=int, default=2000, help="synthetic images")
    parser.add_argument("--planted", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    real = pictures_in(options.folder)
    order = rng.permutation(len(real))
    training = [real[place] for place in order[: len(real) // 2]]
    with tempfile.TemporaryDirectory(prefix="dermaflux-benchmark-") as scratch:
        made = Path(scratch) / "synthetic"
        made.mkdir()
        for number in range(options.count - options.planted):
            attributes = sample_split(rng, held_out=False)
            pixels = render(attributes, size=SIDE, seed=int(rng.integers(2**31))).image
            Image.fromarray(pixels).save(made / f"{number:05d}.png")
        planted = {
            plant(training[number], made, number): training[number].path
            for number in range(options.planted)
        }
        synthetic = pictures_in(made)
        copies = find_copies(synthetic, training, Path(scratch) / "prints.sqlite")
        named = {copy.generated.name: copy.real for copy in copies}
        hashed = by_hash(synthetic, training)
    ours, theirs = scored(named, planted), scored(hashed, planted)
    figures = {"synthetic": options.count, "training": len(training), "planted": options.planted}
    figures |= {
        "found": ours[0],
        "false": ours[1],
        "hash_found": theirs[0],
        "hash_false": theirs[1],
    }
    print(json.dumps(figures, indent=2) if options.json else figures)
    sys.exit(ours[0] < LEAST_FOUND or ours[1] > MOST_FALSE)


def plant(source: Picture, folder: Path, number: int) -> str:
    """Write a copy at the size of generated images; returns its name."""
    with Image.open(source.path) as image:
        square = ImageOps.fit(image.convert("RGB"), (2 * SIDE, 2 * SIDE))
    kind = number % 3
    name = f"planted-{number:03d}.{'jpg' if kind == 0 else 'png'}"
    if kind == 1:
        square = ImageOps.mirror(square)
    if kind == 2:
        square = square.crop((20, 8, 2 * SIDE - 4, 2 * SIDE - 16))
    square.resize((SIDE, SIDE)).save(folder / name, quality=70)
    return name


def by_hash(synthetic: list[Picture], training: list[Picture]) -> dict[str, Path]:
    """What difference hashes call copies, the nearest training image of each."""
    theirs = np.stack([difference_hash(picture.path) for picture in training])
    found: dict[str, Path] = {}
    for picture in synthetic:
        distances = (theirs != difference_hash(picture.path)).sum(axis=1)
        if distances.min() <= HASH_DISTANCE:
            found[picture.path.name] = training[int(distances.argmin())].path
    return found


def difference_hash(path: Path) -> np.ndarray:
    """64 bits: whether each of 8 x 9 grey values is above its left neighbour."""
    with Image.open(path) as image:
        grey = np.asarray(image.convert("L").resize((9, 8)), dtype=np.int16)
    return (grey[:, 1:] > grey[:, :-1]).ravel()


def scored(named: dict[str, Path], planted: dict[str, Path]) -> tuple[int, int]:
    """Planted copies named with their source, and images named that are none."""
    found = sum(named.get(name) == source for name, source in planted.items())
    return found, sum(name not in planted for name in named)


if __name__ == "__main__":
    main()
