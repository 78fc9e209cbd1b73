"""The outline of a lesion as a closed curve, and its parts of low and of high order.

Fourier description of closed contours: Kuhl and Giardina, Comput Graph Image Process 1982;18:
236-258. Low orders carry the shape, whose mirror symmetry is judged; high orders carry the border.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.measure import find_contours

POINTS = 256
LOW_ORDERS = 5


@dataclass(frozen=True)
class Outline:
    """A closed curve at equal steps of arc length; positions as x + iy in working pixels.

    points: (POINTS,) the curve; smooth: (POINTS,) its orders below LOW_ORDERS; spectrum: (POINTS,)
    Fourier coefficients in numpy's order, divided by the radius of a disc of the same area.
    """

    points: NDArray[np.complex128]
    smooth: NDArray[np.complex128]
    spectrum: NDArray[np.complex128]
    area: float
    radius: float

    @property
    def centroid(self) -> complex:
        """Centre of mass of the smooth outline."""
        return centroid_of(self.smooth)


def trace_outline(membership: NDArray[np.float32]) -> Outline:
    """The longest zero line of a soft mask (H, W), to a fraction of a pixel."""
    padded = np.pad(membership, 1, constant_values=-0.05)
    longest = max(find_contours(padded, 0.0), key=len)
    curve = (longest[:, 1] - 1) + 1j * (longest[:, 0] - 1)
    points = _equal_steps(curve)
    if signed_area(points) < 0:
        points = points[::-1]
    area = max(signed_area(points), 1.0)
    radius = float(np.sqrt(area / np.pi))
    spectrum = np.fft.fft(points) / POINTS
    smooth = np.fft.ifft(np.where(np.abs(orders()) < LOW_ORDERS, spectrum, 0) * POINTS)
    return Outline(points, smooth, spectrum / radius, area, radius)


def orders() -> NDArray[np.float64]:
    """The order of every coefficient of a spectrum: 0, 1, ..., -2, -1."""
    return np.asarray(np.fft.fftfreq(POINTS, 1 / POINTS))


def signed_area(points: NDArray[np.complex128]) -> float:
    """Area inside a closed polygon, positive when it runs from x towards y."""
    following = np.roll(points, -1)
    return float(0.5 * np.sum(points.real * following.imag - following.real * points.imag))


def centroid_of(points: NDArray[np.complex128]) -> complex:
    """Centre of mass of a closed polygon."""
    following = np.roll(points, -1)
    cross = points.real * following.imag - following.real * points.imag
    return complex(np.sum((points + following) * cross) / (3 * max(np.sum(cross), 1e-9)))


def polar_radii(points: NDArray[np.complex128], count: int) -> NDArray[np.float64]:
    """Distances of a closed polygon from its centre of mass at `count` equal angles from x to y."""
    spokes = points - centroid_of(points)
    angles = np.mod(np.angle(spokes), 2 * np.pi)
    order = np.argsort(angles)
    grid = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.interp(grid, angles[order], np.abs(spokes)[order], period=2 * np.pi)


def perimeter_of(points: NDArray[np.complex128]) -> float:
    """Length of a closed polygon."""
    return float(np.abs(np.diff(points, append=points[:1])).sum())


def hull_area(points: NDArray[np.complex128]) -> float:
    """Area of the convex hull of a closed polygon."""
    corners = np.stack([points.real, points.imag], axis=1).astype(np.float32)
    return float(cv2.contourArea(cv2.convexHull(corners)))


def _equal_steps(curve: NDArray[np.complex128]) -> NDArray[np.complex128]:
    closed = curve if curve[0] == curve[-1] else np.append(curve, curve[0])
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(closed)))])
    at = np.linspace(0.0, length[-1], POINTS, endpoint=False)
    return np.asarray(np.interp(at, length, closed.real) + 1j * np.interp(at, length, closed.imag))
