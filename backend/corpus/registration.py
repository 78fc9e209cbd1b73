"""The pixel-level check: are two images the same picture, up to symmetry, crop and colour?

Two lesions of two people correlate well as soon as they are laid over each other: both are a blob
on plain skin. Their hairs, pores and pigment network do not. So the images are registered first,
with the correlation as the measure, which a gain and an offset do not change (Evangelidis and
Psarakis, IEEE TPAMI 30(10), 2008), then their local detail is compared alone: a band of
frequencies, each place divided by the contrast around it, so that a black corner or a ruler that
two images share weighs no more than skin.
"""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.corpus.signatures import SYMMETRIES, inverse_of, standardised, turned

Plane = NDArray[np.float32]
"""(H, W), mean 0 and deviation 1."""
Motion = NDArray[np.float32]
"""(2, 3): where a pixel (x, y) of the second image lies in the first."""

DETAIL_SIDE = 128
COARSE_CORRELATION = 0.93
MIN_SCALE, MAX_SCALE = 0.82, 1.22
MAX_SHEAR = 0.12
MIN_OVERLAP = 0.7
FINE_SIGMA, COARSE_SIGMA, CONTRAST_SIGMA = 1.2, 4.0, 6.0
"""Pixels of DETAIL_SIDE."""
CONTRAST_FLOOR = 0.02
"""Deviations of the whole image: what varies less is noise of the codec."""
GAUSS = 3


@dataclass(frozen=True)
class Transform:
    """What makes the second image of the first: a symmetry, then a crop, then colours.

    `overlap` is the share of the frame that both show; `gain` is for red, green and blue.
    """

    symmetry: int
    overlap: float
    gain: tuple[float, float, float]

    @property
    def inverse(self) -> "Transform":
        """What makes the first image of the second."""
        red, green, blue = (1 / max(gain, 1e-3) for gain in self.gain)
        return Transform(inverse_of(self.symmetry), self.overlap, (red, green, blue))

    @property
    def words(self) -> str:
        """The transform for people."""
        parts = [SYMMETRIES[self.symmetry]]
        if self.overlap < 0.985:
            parts.append(f"{self.overlap:.0%} shared")
        if max(abs(gain - 1) for gain in self.gain) > 0.04:
            parts.append("colours x " + " / ".join(f"{gain:.2f}" for gain in self.gain))
        return ", ".join(parts)


@dataclass(frozen=True)
class Match:
    """How alike the detail of two registered images is (-1..1), and the transform between them."""

    score: float
    transform: Transform


def register(first: NDArray[np.uint8], second: NDArray[np.uint8], symmetry: int) -> Motion | None:
    """The motion between two thumbnails of one size (H, W, 3); None where they do not meet."""
    planes = [_brightness(turned(first, symmetry)), _brightness(second)]
    motion = np.eye(2, 3, dtype=np.float32)
    correlation, motion = _aligned(planes[0], planes[1], motion)
    return motion if correlation >= COARSE_CORRELATION and _plausible(motion) else None


def compare(
    first: NDArray[np.uint8], second: NDArray[np.uint8], symmetry: int, motion: Motion, side: int
) -> Match | None:
    """Compare two images (DETAIL_SIDE, DETAIL_SIDE, 3), from the motion of thumbnails of `side`."""
    first = turned(first, symmetry)
    planes = [_brightness(first), _brightness(second)]
    _, motion = _aligned(planes[0], planes[1], _scaled(motion, DETAIL_SIDE / side))
    if not _plausible(motion):
        return None
    inside = _moved(np.ones(planes[0].shape, np.float32), motion) > 0.999
    overlap = float(inside.mean())
    if overlap < MIN_OVERLAP:
        return None
    here = cv2.erode(inside.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    here[:3] = here[-3:] = here[:, :3] = here[:, -3:] = False
    score = _correlation(_detail(_moved(planes[0], motion))[here], _detail(planes[1])[here])
    gain = _gain(_moved(first.astype(np.float32), motion)[here], second[here].astype(np.float32))
    covered = overlap * min(1.0, abs(float(np.linalg.det(motion[:, :2]))))
    return Match(score=score, transform=Transform(symmetry, covered, gain))


def detail_pixels(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image (H, W, 3) as the check sees it: squashed to DETAIL_SIDE, each pixel a mean."""
    side = (DETAIL_SIDE, DETAIL_SIDE)
    shrinks = min(pixels.shape[:2]) >= DETAIL_SIDE
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cast("NDArray[np.uint8]", cv2.resize(pixels, side, interpolation=method))


def _brightness(pixels: NDArray[np.uint8]) -> Plane:
    plane = standardised(pixels[None])[0].mean(axis=2)
    return np.ascontiguousarray(plane, dtype=np.float32)


def _aligned(first: Plane, second: Plane, motion: Motion) -> tuple[float, Motion]:
    """The correlation that the best affine motion reaches; 0 where none is found."""
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
    try:
        correlation, found = cv2.findTransformECC(
            second, first, motion.copy(), cv2.MOTION_AFFINE, criteria, None, GAUSS
        )
    except cv2.error:  # says that the images are uncorrelated
        return 0.0, motion
    return float(correlation), found


def _plausible(motion: Motion) -> bool:
    """Whether a crop explains the motion: no turn, no shear, a scale near 1."""
    scales = motion[0, 0], motion[1, 1]
    shears = motion[0, 1], motion[1, 0]
    return bool(
        all(MIN_SCALE <= scale <= MAX_SCALE for scale in scales)
        and all(abs(shear) <= MAX_SHEAR for shear in shears)
    )


def _scaled(motion: Motion, factor: float) -> Motion:
    """The motion on images `factor` times as large; pixel centres lie at halves."""
    linear = motion[:, :2]
    half = np.full(2, 0.5, dtype=np.float32)
    shift = factor * (motion[:, 2] + half - linear @ half) - half + linear @ half
    return np.hstack((linear, shift[:, None])).astype(np.float32)


def _moved(image: NDArray[np.float32], motion: Motion) -> NDArray[np.float32]:
    side = image.shape[1], image.shape[0]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cast("NDArray[np.float32]", cv2.warpAffine(image, motion, side, flags=flags))


def _detail(plane: Plane) -> Plane:
    fine = cv2.GaussianBlur(plane, (0, 0), FINE_SIGMA)
    band = fine - cv2.GaussianBlur(fine, (0, 0), COARSE_SIGMA)
    contrast = np.sqrt(cv2.GaussianBlur(band * band, (0, 0), CONTRAST_SIGMA))
    return cast("Plane", band / (contrast + CONTRAST_FLOOR))


def _correlation(first: Plane, second: Plane) -> float:
    first, second = first - first.mean(), second - second.mean()
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / lengths if lengths else 0.0


def _gain(first: NDArray[np.float32], second: NDArray[np.float32]) -> tuple[float, float, float]:
    """Of each channel, over pixels (N, 3); 1 where a channel is flat."""
    spread = first.std(axis=0)
    ratio = np.where(spread > 1.0, second.std(axis=0) / np.maximum(spread, 1.0), 1.0)
    return float(ratio[0]), float(ratio[1]), float(ratio[2])
