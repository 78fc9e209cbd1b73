"""Sizes in pixels that images are learnt at: by resolution and aspect, never enlarged."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from backend.finetuning.errors import FinetuningError
from backend.finetuning.pairs import Pair
from backend.generation.request import SIZE_MULTIPLE

LONGEST_ASPECT = 2.0


@dataclass(frozen=True, order=True)
class Bucket:
    """Width and height in pixels, both multiples of 16."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @property
    def tokens(self) -> int:
        """Image tokens of FLUX: patches of 16 x 16 pixels."""
        return (self.width // SIZE_MULTIPLE) * (self.height // SIZE_MULTIPLE)


def bucket_of(width: int, height: int, resolutions: Sequence[int]) -> Bucket:
    """The bucket of the largest resolution that the image's own pixels carry.

    A resolution is the side of a square; a bucket has at most its area, the aspect of the image as
    near as multiples of 16 allow (at most 2 to 1), and no side longer than the image's. An image
    that is smaller than every resolution goes to the largest bucket that it fills.

    Raises:
        FinetuningError: it has fewer than 16 pixels a side.
    """
    shorter, longer = sorted((width, height))
    if shorter < SIZE_MULTIPLE:
        raise FinetuningError(
            f"An image of {width} x {height} px is too small to learn from: at least "
            f"{SIZE_MULTIPLE} px a side are needed."
        )
    longer = min(longer, math.floor(shorter * LONGEST_ASPECT))
    area = shorter * longer
    carried = [
        side for side in resolutions if side * side <= area and _sides(shorter, longer, side)
    ]
    side = max(carried) if carried else math.isqrt(area)
    sides = _sides(shorter, longer, side) or (_floored(shorter), _floored(longer))
    low, high = sides
    return Bucket(low, high) if width <= height else Bucket(high, low)


def assign(pairs: Sequence[Pair], resolutions: Sequence[int]) -> dict[Bucket, list[int]]:
    """The places of the pairs by bucket, buckets in order of size."""
    found: dict[Bucket, list[int]] = {}
    for place, pair in enumerate(pairs):
        found.setdefault(bucket_of(pair.width, pair.height, resolutions), []).append(place)
    return dict(sorted(found.items(), key=lambda item: (item[0].tokens, item[0])))


def _sides(shorter: int, longer: int, side: int) -> tuple[int, int] | None:
    """Sides of the image scaled down to the area of a square; None where they would be enlarged."""
    scale = side / math.sqrt(shorter * longer)
    low = max(SIZE_MULTIPLE, round(shorter * scale / SIZE_MULTIPLE) * SIZE_MULTIPLE)
    high = min(
        round(longer * scale / SIZE_MULTIPLE) * SIZE_MULTIPLE,
        _floored(side * side // low),
    )
    if low > shorter or high > longer or high < low:
        return None
    return low, high


def _floored(side: int) -> int:
    return side // SIZE_MULTIPLE * SIZE_MULTIPLE
