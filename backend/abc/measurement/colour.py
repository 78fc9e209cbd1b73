"""Which of the six colours of the ABCD rule a lesion shows, and over how much of its area.

Every pixel is compared with reference colours in CIELAB, as in Seidenari, Pellacani and Grana
(Br J Dermatol 2003;149:523-529); the references shift with the colour of the skin, because thin
pigment lets it shine through. Boundaries, where two colours mix into a third, count less.
"""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from backend.abc.attributes import Colour
from backend.abc.measurement.frame import depth_inside

_SOFTNESS = 1.5
_FLATNESS = 3.0
_GLARE = 97.0
_QUANTILES = (0.03, 0.15, 0.5, 0.85, 0.97)


class Reference(BaseModel):
    """One colour in CIELAB: mean = intercept + slope @ skin, with the precision of its pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    intercept: tuple[float, ...]
    slope: tuple[tuple[float, ...], ...]
    precision: tuple[tuple[float, ...], ...]


class Palette(BaseModel):
    """The references of all colours, in the order of Colour."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    references: dict[Colour, Reference]

    def distances(
        self, pixels: NDArray[np.float64], skin: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Mahalanobis distances (N, 6) of pixels (N, 3) from every colour on this skin (3,)."""
        columns = []
        for colour in Colour:
            reference = self.references[colour]
            mean = np.array(reference.intercept) + np.array(reference.slope) @ skin
            offset = pixels - mean
            columns.append(np.einsum("ni,ij,nj->n", offset, np.array(reference.precision), offset))
        return np.sqrt(np.maximum(np.stack(columns, axis=1), 0))


def fit_palette(
    samples: Mapping[Colour, list[tuple[NDArray[np.float64], NDArray[np.float64]]]],
) -> Palette:
    """References from lesions of one known colour each: (pixels (N, 3), skin (3,)) by colour."""
    references = {}
    for colour, lesions in samples.items():
        skins = np.stack([np.append(skin, 1.0) for _, skin in lesions])
        middles = np.stack([np.median(pixels, axis=0) for pixels, _ in lesions])
        ridge = len(lesions) * np.diag([4.0, 4.0, 4.0, 0.0])
        solution = np.linalg.solve(skins.T @ skins + ridge, skins.T @ middles)
        residuals = np.concatenate(
            [pixels - np.append(skin, 1.0) @ solution for pixels, skin in lesions]
        )
        covariance = np.cov(residuals.T) + np.eye(3)
        references[colour] = Reference(
            intercept=_rounded(solution[3]),
            slope=tuple(_rounded(row) for row in solution[:3].T),
            precision=tuple(_rounded(row, 6) for row in np.linalg.inv(covariance)),
        )
    return Palette(references=references)


def lesion_pixels(
    lab: NDArray[np.float32], skin: NDArray[np.float32], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float64]]:
    """Colours (H, W, 3) under even light, the pixels (H, W) to judge, and the skin's colour (3,).

    Uneven light is what the skin surface shows; it is taken out of the lightness.
    """
    around = (depth_inside(~mask) <= 6) & ~mask
    middle = np.median(skin[around if around.any() else mask], axis=0).astype(np.float64)
    even = lab.copy()
    even[..., 0] *= np.clip(middle[0] / np.maximum(skin[..., 0], 1.0), 0.6, 1.6)
    core = depth_inside(mask) > 2
    judged = core if core.sum() >= 0.3 * mask.sum() else mask
    judged = judged & (lab[..., 0] < _GLARE)
    return even, judged if judged.any() else mask, middle


def colour_indices(
    lab: NDArray[np.float32],
    skin: NDArray[np.float32],
    mask: NDArray[np.bool_],
    palette: Palette,
) -> dict[str, float]:
    """Area fractions, nearness and largest patch of each colour, and the spread of colour.

    `palette_misfit` is the mean Mahalanobis distance of the lesion from its nearest references.
    """
    even, judged, middle = lesion_pixels(lab, skin, mask)
    smooth = cv2.GaussianBlur(even, (0, 0), 0.7)
    pixels = smooth[judged].astype(np.float64)
    distances = palette.distances(pixels, middle)
    scaled = np.exp(-((distances - distances.min(axis=1, keepdims=True)) / _SOFTNESS))
    memberships = scaled / scaled.sum(axis=1, keepdims=True)
    flat = np.exp(-((_gradient(smooth)[judged] / _FLATNESS) ** 2)) + 1e-3
    nearest = np.full(mask.shape, -1)
    nearest[judged] = distances.argmin(axis=1)
    indices = {"palette_misfit": float(distances.min(axis=1).mean())}
    for number, colour in enumerate(Colour):
        indices[f"area_{colour}"] = float(memberships[:, number].mean())
        indices[f"flat_area_{colour}"] = float((memberships[:, number] * flat).sum() / flat.sum())
        indices[f"nearest_area_{colour}"] = float((nearest[judged] == number).mean())
        indices[f"patch_{colour}"] = _largest_patch(nearest == number) / max(1, judged.sum())
        indices[f"nearness_{colour}"] = float(np.quantile(distances[:, number], 0.05))
    for channel, name in enumerate(("lightness", "redness", "yellowness")):
        for quantile, value in zip(
            _QUANTILES, np.quantile(pixels[:, channel], _QUANTILES), strict=True
        ):
            indices[f"{name}_{round(100 * quantile):02d}"] = float(value)
        indices[f"skin_{name}"] = float(middle[channel])
    return indices


def _gradient(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    down = cv2.Sobel(lab, cv2.CV_32F, 0, 1, scale=0.125)
    across = cv2.Sobel(lab, cv2.CV_32F, 1, 0, scale=0.125)
    return np.asarray(np.sqrt((down**2 + across**2).sum(axis=2)), dtype=np.float32)


def _largest_patch(where: NDArray[np.bool_]) -> int:
    opened = cv2.morphologyEx(where.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    count, labels = cv2.connectedComponents(opened, connectivity=4)
    return int(np.bincount(labels.ravel())[1:].max()) if count > 1 else 0


def _rounded(values: NDArray[np.float64], digits: int = 5) -> tuple[float, ...]:
    return tuple(round(float(value), digits) for value in values)
