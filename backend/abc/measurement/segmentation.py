"""Where the lesion is: everything that departs from the colour of the skin around it.

Distance from a fitted skin surface in CIELAB, threshold by Otsu (IEEE Trans SMC 1979;9:62-66) on
the saturated distance, as surveyed for dermoscopy by Celebi et al. (Comput Med Imaging Graph
2009;33:148-153); the outline then settles halfway between what lies inside and outside nearby
(localised regions, Lankton and Tannenbaum, IEEE Trans Image Process 2008;17:2029-2039).
Distance, not darkness: white regression and red lesions count too.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.abc.measurement.frame import depth_inside
from backend.abc.measurement.skin import skin_surface

_OUTER_SHARES = (0.45, 0.12)
_ROUNDS = 3
_LOCAL_ROUNDS = 2
_LOCAL_SIGMA = 9.0
_COMPRESSION = 60.0
_SATURATION = 7.0
_SCATTER_FLOOR = np.array([2.2, 1.6, 1.6])
_LEAST_CONTRAST = 3.2
_LEAST_SHARE = 0.003
_MOST_SHARE = 0.95
_OPENABLE = 60
_CORNER_PENALTY = 0.7
_EVERY = 3
# Share of light pixels, step of L* and explained variance from which an outer region falls in two.
_LEAST_LIGHT, _MOST_LIGHT = 0.08, 0.75
_LEAST_STEP, _LEAST_EXPLAINED = 12.0, 0.7


@dataclass(frozen=True)
class _Attempt:
    """Smoothing in working pixels, least distance from skin, and how far the result is trusted."""

    smoothing: float
    lowest_level: float
    trust: float


# The second finds a distinct lesion among vessels, the third a faint one in scales and texture.
_ATTEMPTS = (_Attempt(0.8, 2.2, 1.0), _Attempt(0.8, 6.0, 0.9), _Attempt(2.5, 2.2, 0.6))


@dataclass(frozen=True)
class Segmentation:
    """A lesion at working size.

    membership: (H, W), positive inside and negative outside, zero on the outline; skin: (H, W, 3)
    the CIELAB of skin as it would be seen at every pixel; distance: (H, W) from that skin, in
    units of the skin's own scatter; quality: 0..1; cut: share of the outline, 0..1, that is the
    frame of the picture, beyond which the lesion goes on.
    """

    mask: NDArray[np.bool_]
    membership: NDArray[np.float32]
    skin: NDArray[np.float32]
    distance: NDArray[np.float32]
    quality: float
    cut: float


def segment(lab: NDArray[np.float32], field: NDArray[np.bool_]) -> Segmentation | None:
    """The most central lesion of a hairless image (H, W, 3), None where there is none.

    Skin is first looked for in the outer part of the picture, then, should that show nothing,
    in its corners only, which is all that a large lesion leaves of it.
    """
    centrality = _centrality(*field.shape)
    for attempt in _ATTEMPTS:
        smooth = cv2.GaussianBlur(lab, (0, 0), attempt.smoothing)
        for share in _OUTER_SHARES:
            outer = field & (centrality < np.quantile(centrality[field], share))
            lesion = _grow(
                smooth, field, _without_pigment(smooth, outer), centrality, attempt.lowest_level
            )
            if lesion is not None:
                return replace(lesion, quality=attempt.trust * lesion.quality)
    return None


def _grow(
    lab: NDArray[np.float32],
    field: NDArray[np.bool_],
    skin_mask: NDArray[np.bool_],
    centrality: NDArray[np.float32],
    lowest_level: float,
) -> Segmentation | None:
    """Skin and lesion settled in turns, beginning with a guess of where skin is."""
    for round_number in range(_ROUNDS):
        skin = skin_surface(lab, skin_mask, curved=round_number > 0)
        distance = _distance(lab, skin, skin_mask)
        saturated = distance / (distance + _SATURATION)
        level = _level(saturated, field, lowest_level)
        mask = _main_component((saturated > level) & field, saturated, centrality)
        around = field & (depth_inside(~mask) > 4)
        if around.mean() < 0.04:
            break
        skin_mask = around
    compressed = distance / (distance + _COMPRESSION)
    for _ in range(_LOCAL_ROUNDS):
        if not _is_lesion(mask, distance, field):
            return None
        above = compressed - _local_level(compressed, mask, field)
        mask = _main_component((above > 0) & field, saturated, centrality)
    if not _is_lesion(mask, distance, field):
        return None
    membership = _membership(above, mask)
    mask = membership > 0
    if not _is_lesion(mask, distance, field):
        return None
    cut = _cut(mask)
    quality = _contrast(mask, distance, field) * (1 - cut)
    return Segmentation(mask, membership, skin, distance, quality, cut)


def _without_pigment(lab: NDArray[np.float32], outer: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The lighter part of an outer region that falls in two and is dark for the most part.

    That is what a lesion leaves of the skin when it fills the frame, or a shadow of the optics.
    """
    values = np.clip(lab[..., 0][outer] * 2.55, 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(values, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    light = values > level
    share = float(light.mean())
    if not _LEAST_LIGHT <= share <= _MOST_LIGHT:
        return outer
    step = float(values[light].mean() - values[~light].mean()) / 2.55
    explained = share * (1 - share) * step**2 / max(float(values.var()) / 2.55**2, 1e-6)
    if step < _LEAST_STEP or explained < _LEAST_EXPLAINED:
        return outer
    return np.asarray(outer & (lab[..., 0] * 2.55 > level), dtype=bool)


def _centrality(height: int, width: int) -> NDArray[np.float32]:
    y = np.linspace(-1, 1, height)[:, None]
    x = np.linspace(-1, 1, width)[None, :]
    return np.asarray(np.exp(-(x * x + y * y) / (2 * 0.55**2)), dtype=np.float32)


def _distance(
    lab: NDArray[np.float32], skin: NDArray[np.float32], skin_mask: NDArray[np.bool_]
) -> NDArray[np.float32]:
    difference = lab - skin
    inliers = difference[skin_mask][::_EVERY]
    scatter = 1.4826 * np.median(np.abs(inliers - np.median(inliers, axis=0)), axis=0)
    scaled = difference / np.maximum(scatter, _SCATTER_FLOOR)
    return np.asarray(np.sqrt((scaled * scaled).sum(axis=2)), dtype=np.float32)


def _level(saturated: NDArray[np.float32], field: NDArray[np.bool_], lowest_level: float) -> float:
    values = (saturated[field] * 255).astype(np.uint8)
    otsu, _ = cv2.threshold(values, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    lowest = lowest_level / (lowest_level + _SATURATION)
    return float(max(otsu / 255, lowest))


def _local_level(
    values: NDArray[np.float32], mask: NDArray[np.bool_], field: NDArray[np.bool_]
) -> NDArray[np.float32]:
    middle = (_local_mean(values, mask) + _local_mean(values, field & ~mask)) / 2
    return np.asarray(middle, dtype=np.float32)


def _local_mean(values: NDArray[np.float32], where: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Gaussian mean over the pixels of `where`, drawn to their global mean far away from them."""
    weight = where.astype(np.float32)
    total = cv2.GaussianBlur(values * weight, (0, 0), _LOCAL_SIGMA)
    share = cv2.GaussianBlur(weight, (0, 0), _LOCAL_SIGMA)
    prior = 0.01
    mean = float(values[where].mean()) if where.any() else 0.0
    return np.asarray((total + prior * mean) / (share + prior), dtype=np.float32)


def _main_component(
    raw: NDArray[np.bool_], saturated: NDArray[np.float32], centrality: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """The largest central piece, its holes filled, without spurs.

    What fills a corner counts less: a shadow of the optics does, a lesion seldom.
    """
    cleaned = cv2.morphologyEx(raw.astype(np.uint8), cv2.MORPH_OPEN, _disc(1))
    padded = cv2.copyMakeBorder(cleaned, 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=0)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, _disc(3))[4:-4, 4:-4]
    filled = _filled(np.ascontiguousarray(closed))
    count, labels = cv2.connectedComponents(filled, connectivity=4)
    if count < 2:
        return np.zeros_like(raw)
    central = np.bincount(labels.ravel(), weights=(saturated * centrality).ravel())
    weight = central * (1 - _CORNER_PENALTY * _corner_share(labels, count))
    chosen = (labels == 1 + int(np.argmax(weight[1:]))).astype(np.uint8)
    if chosen.sum() >= _OPENABLE:
        chosen = cv2.morphologyEx(chosen, cv2.MORPH_OPEN, _disc(2))
    return np.asarray(chosen > 0, dtype=bool)


def _corner_share(labels: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    """For each piece (count,) how far it reaches along the frame beside the root of its area."""
    frame = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    contact = np.bincount(frame, minlength=count)
    corners = np.bincount(labels[[0, 0, -1, -1], [0, -1, 0, -1]], minlength=count) > 0
    area = np.bincount(labels.ravel(), minlength=count)
    return np.clip(corners * contact / (2 * np.sqrt(np.maximum(area, 1))), 0, 1)


def _filled(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.zeros_like(mask), outlines, -1, 1, cv2.FILLED))


def _disc(radius: int) -> NDArray[np.uint8]:
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(x * x + y * y <= radius * radius + 0.5 * radius, dtype=np.uint8)


def _is_lesion(
    mask: NDArray[np.bool_], distance: NDArray[np.float32], field: NDArray[np.bool_]
) -> bool:
    share = mask.sum() / max(1, field.sum())
    if not _LEAST_SHARE <= share <= _MOST_SHARE:
        return False
    outside = distance[field & ~mask]
    inside = distance[mask]
    noise = float(np.quantile(outside, 0.75))
    return float(np.median(inside)) > max(_LEAST_CONTRAST, 1.6 * noise)


def _membership(above: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The distance above the threshold, made to agree with the mask away from the outline."""
    signed = depth_inside(mask) - depth_inside(~mask)
    inner, outer = signed > 1.5, signed < -1.5
    agreed = np.where(inner, np.maximum(above, 0.02), above)
    agreed = np.where(outer, np.minimum(agreed, -0.02), agreed).astype(np.float32)
    smooth = cv2.GaussianBlur(agreed, (0, 0), 0.7)
    count, labels = cv2.connectedComponents((smooth > 0).astype(np.uint8), connectivity=4)
    if count > 2:
        sizes = np.bincount(labels.ravel())[1:]
        smooth = np.where((labels > 0) & (labels != 1 + int(np.argmax(sizes))), -0.01, smooth)
    return np.asarray(smooth, dtype=np.float32)


def _contrast(
    mask: NDArray[np.bool_], distance: NDArray[np.float32], field: NDArray[np.bool_]
) -> float:
    """How far the lesion stands out from what lies around it, 0..1."""
    outside = distance[field & ~mask]
    contrast = float(np.median(distance[mask]) / (1.0 + np.quantile(outside, 0.9)))
    return float(np.clip(contrast / 2.5, 0, 1))


def _cut(mask: NDArray[np.bool_]) -> float:
    rim = mask & (depth_inside(mask) < 1.5)
    frame = mask.copy()
    frame[1:-1, 1:-1] = False
    return float(frame.sum() / max(1, rim.sum() + frame.sum()))
