"""What the meter saw, drawn on the image so that a person can check it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.abc.attributes import Colour, LesionAttributes

_LEGEND = {
    Colour.WHITE: (240, 236, 230),
    Colour.RED: (200, 60, 60),
    Colour.LIGHT_BROWN: (186, 132, 88),
    Colour.DARK_BROWN: (92, 56, 36),
    Colour.BLUE_GRAY: (104, 124, 150),
    Colour.BLACK: (22, 20, 20),
}
_OUTLINE = (30, 230, 150)
_AXES = (60, 160, 255)
_HALO = (10, 20, 20)


def overlay_of(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], attributes: LesionAttributes
) -> NDArray[np.uint8]:
    """A copy of the image (H, W, 3) with outline, principal axes and one dot a measured colour.

    Dots run along the bottom, dominant colour first and largest.
    """
    drawn = np.ascontiguousarray(image.copy())
    stroke = max(1, round(min(image.shape[:2]) / 160))
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    for line in _axes(mask):
        cv2.line(drawn, *line, _HALO, stroke + 1, cv2.LINE_AA)
        cv2.line(drawn, *line, _AXES, stroke, cv2.LINE_AA)
    cv2.drawContours(drawn, contours, -1, _HALO, stroke + 2)
    cv2.drawContours(drawn, contours, -1, _OUTLINE, stroke)
    _draw_legend(drawn, attributes.colours)
    return np.asarray(drawn, dtype=np.uint8)


def _axes(mask: NDArray[np.bool_]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """End points of the principal axes through the centre of mass, as far as the lesion reaches."""
    y, x = np.nonzero(mask)
    if len(x) < 3:
        return []
    centre = np.array([x.mean(), y.mean()])
    offsets = np.stack([x, y], axis=1) - centre
    _, directions = np.linalg.eigh(np.cov(offsets.T))
    lines = []
    for direction in directions.T:
        along = offsets @ direction
        start, end = centre + along.min() * direction, centre + along.max() * direction
        lines.append(
            (
                (round(float(start[0])), round(float(start[1]))),
                (round(float(end[0])), round(float(end[1]))),
            ),
        )
    return lines


def _draw_legend(drawn: NDArray[np.uint8], colours: tuple[Colour, ...]) -> None:
    side = min(drawn.shape[:2])
    radius = max(2, round(side * 0.035))
    for place, colour in enumerate(colours):
        centre = (radius * 2 + place * radius * 3, drawn.shape[0] - radius * 2)
        size = radius if place == 0 else max(2, round(radius * 0.75))
        cv2.circle(drawn, centre, size + 1, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(drawn, centre, size, _LEGEND[colour], -1, cv2.LINE_AA)
