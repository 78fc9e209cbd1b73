"""Dermoscopic structures inside the lesion, each a small change of the colour it lies on.

A structure is a signed pattern in [-1, 1] or so; the headroom of the colour beneath turns it into
L*, so that no structure ever becomes another of the six colours.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from backend.abc.attributes import Diagnosis, Modality
from backend.phantom.artefacts import draw_strokes
from backend.phantom.fields import Field, cellular, fractal, noise, pixel_grid, smoothstep
from backend.phantom.outline import LesionFrame


@dataclass(frozen=True)
class Ground:
    """What a pattern grows on: the lesion's frame and bent unit coordinates, each (H, W)."""

    frame: LesionFrame
    columns: Field
    rows: Field

    @property
    def size(self) -> int:
        """Pixels per side."""
        return self.columns.shape[0]


Pattern = Callable[[Generator, Ground], Field]


def draw_structures(
    rng: Generator, frame: LesionFrame, diagnosis: Diagnosis
) -> tuple[Field, Field]:
    """Patterns of this lesion type: (pigment, redness), both (H, W); pigment below 0 is darker."""
    size = frame.distance.shape[0]
    columns, rows = pixel_grid(size)
    bend = 0.016 * fractal(rng, size, (6, 12))
    patterns = _PATTERNS[diagnosis]
    chosen = patterns[int(rng.integers(len(patterns)))]
    clumps = smoothstep(0.2, 1.3, fractal(rng, size, (8, 17, 36, 70)))
    pigment = chosen(rng, Ground(frame, columns + bend, rows - bend)) - 0.8 * clumps
    pigment = np.clip(pigment, -1.1, 0.9)
    redness = _vessels(rng, size, frame) if diagnosis in _WITH_VESSELS else np.zeros((size, size))
    return pigment, redness


def draw_mottling(rng: Generator, frame: LesionFrame) -> Field:
    """Uneven density of colour, of zero mean and unit deviation, (H, W)."""
    return fractal(rng, frame.distance.shape[0], (6, 14, 32, 64, 104))


def draw_thinness(rng: Generator, frame: LesionFrame) -> Field:
    """How much skin shows through: in clouds and towards the rim, (H, W) in [0, 0.18]."""
    cloud = fractal(rng, frame.distance.shape[0], (6, 13, 27))
    rim = smoothstep(0.55, 1.05, frame.relative)
    return np.clip(0.03 + 0.04 * cloud + rng.uniform(0.03, 0.09) * rim, 0.0, 0.18)


def draw_relief(rng: Generator, frame: LesionFrame, modality: Modality) -> Field:
    """Light and shade on a raised lesion seen by a camera, in L*; gel and glass flatten it."""
    height = 0.0 if modality is Modality.DERMOSCOPIC else rng.uniform(0.5, 2.0)
    turn = rng.uniform(0, 2 * np.pi)
    slope = np.clip(frame.along * np.cos(turn) + frame.across * np.sin(turn), -1.2, 1.2)
    return np.asarray(height * slope)


def _network(rng: Generator, ground: Ground) -> Field:
    """Brown lines round paler holes."""
    near, next_near, _ = cellular(rng, ground.columns, ground.rows, int(rng.integers(27, 37)))
    lines = 1 - smoothstep(0.0, rng.uniform(0.45, 0.65), next_near - near)
    strength = np.clip(0.9 + 0.4 * noise(rng, ground.size, 6), 0.2, 1.4)
    return strength * (0.5 - 1.35 * lines)


def _atypical_network(rng: Generator, ground: Ground) -> Field:
    """Lines of uneven width and strength, with radial streaks at the rim."""
    near, next_near, _ = cellular(rng, ground.columns, ground.rows, int(rng.integers(25, 35)))
    width = np.clip(0.5 + 0.18 * noise(rng, ground.size, 7), 0.2, 0.9)
    lines = 1 - smoothstep(0.0, 1.0, (next_near - near) / width)
    strength = np.clip(0.9 + 0.5 * noise(rng, ground.size, 5), 0.1, 1.6)
    return 0.3 - 1.2 * lines * strength - _streaks(rng, ground.frame)


def _streaks(rng: Generator, frame: LesionFrame) -> Field:
    count = int(rng.integers(26, 40))
    waves = np.cos(count * frame.angle + 2.0 * np.sin(3 * frame.angle + rng.uniform(0, 6.28)))
    rim = smoothstep(0.55, 0.85, frame.relative)
    return np.asarray(0.9 * rim * smoothstep(0.1, 0.9, waves))


def _globules(rng: Generator, ground: Ground) -> Field:
    """Round darker dots, denser here and sparser there."""
    near, _, lot = cellular(rng, ground.columns, ground.rows, int(rng.integers(22, 32)))
    radius = 0.2 + 0.22 * lot
    dots = 1 - smoothstep(0.5, 1.4, near / radius)
    strength = np.clip(0.9 + 0.5 * noise(rng, ground.size, 5), 0.1, 1.4)
    return 0.3 - 1.5 * strength * dots * (lot > 0.3)


def _homogeneous(rng: Generator, ground: Ground) -> Field:
    """Hardly any structure: a slow drift of pigment."""
    return 0.5 * fractal(rng, ground.size, (6, 12))


def _milia(rng: Generator, ground: Ground) -> Field:
    """Milia-like pale dots and comedo-like dark openings."""
    near, _, lot = cellular(rng, ground.columns, ground.rows, int(rng.integers(12, 18)))
    dots = 1 - smoothstep(0.14, 0.28, near)
    return np.asarray(dots * np.where(lot < 0.4, 1.3, np.where(lot > 0.75, -1.6, 0.0)))


def _fissures(rng: Generator, ground: Ground) -> Field:
    """Ridges and furrows that wind like those of a brain."""
    folds = np.abs(fractal(rng, ground.size, (14, 26)))
    return np.asarray(0.35 - 1.5 * (1 - smoothstep(0.05, 0.5, folds)))


def _fingerprint(rng: Generator, ground: Ground) -> Field:
    """Fine parallel lines, as on a solar lentigo."""
    turn = rng.uniform(0, np.pi)
    bend = 0.05 * noise(rng, ground.size, 6)
    phase = ground.columns * np.cos(turn) + ground.rows * np.sin(turn) + bend
    return np.asarray(0.75 * np.sin(2 * np.pi * rng.uniform(22, 29) * phase))


def _peripheral_network(rng: Generator, ground: Ground) -> Field:
    """A fine network that leaves the centre free."""
    rim = smoothstep(0.4, 0.75, ground.frame.relative)
    return rim * _network(rng, ground)


def _lacunae(rng: Generator, ground: Ground) -> Field:
    """Well-bounded round lagoons with paler septa."""
    near, next_near, lot = cellular(rng, ground.columns, ground.rows, int(rng.integers(11, 17)))
    septa = 1 - smoothstep(0.04, 0.4, next_near - near)
    return 1.5 * septa - 0.6 - 0.9 * lot


def _rosettes(rng: Generator, ground: Ground) -> Field:
    """Scale and follicles: pale round spots with a dark centre."""
    near, _, lot = cellular(rng, ground.columns, ground.rows, int(rng.integers(14, 20)))
    spots = 1 - smoothstep(0.25, 0.42, near)
    hearts = 1 - smoothstep(0.08, 0.2, near)
    return (1.2 * spots - 1.6 * hearts) * (lot < 0.6)


def _vessels(rng: Generator, size: int, frame: LesionFrame) -> Field:
    """Branching vessels, thick stems first, as a cover in [0, 1]."""
    inside = frame.inside
    rows, columns = np.nonzero(inside)
    centre = np.array([columns.mean() + 0.5, rows.mean() + 0.5]) / size
    radius = frame.mean_radius
    paths: list[Field] = []
    widths: list[float] = []
    for _ in range(int(rng.integers(2, 5))):
        start = centre + radius * rng.uniform(-0.7, 0.7, 2)
        _grow(rng, start, rng.uniform(0, 2 * np.pi), radius * 0.5, 0.007, 3, paths, widths)
    return draw_strokes(size, paths, widths)


def _grow(
    rng: Generator,
    start: Field,
    heading: float,
    length: float,
    width: float,
    depth: int,
    paths: list[Field],
    widths: list[float],
) -> None:
    headings = heading + np.cumsum(rng.normal(0, 0.28, 7))
    steps = length / 7 * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    path = np.vstack([start, start + np.cumsum(steps, axis=0)])
    paths.append(path)
    widths.append(width)
    if depth:
        for side in (-1, 1):
            turn = float(headings[-1]) + side * rng.uniform(0.3, 0.8)
            _grow(rng, path[-1], turn, length * 0.7, width * 0.7, depth - 1, paths, widths)


_PATTERNS: Mapping[Diagnosis, tuple[Pattern, ...]] = MappingProxyType(
    {
        Diagnosis.NEVUS: (_network, _network, _globules, _homogeneous),
        Diagnosis.SEBORRHEIC_KERATOSIS: (_milia, _fissures),
        Diagnosis.SOLAR_LENTIGO: (_fingerprint, _network),
        Diagnosis.DERMATOFIBROMA: (_peripheral_network,),
        Diagnosis.VASCULAR_LESION: (_lacunae,),
        Diagnosis.MELANOMA: (_atypical_network, _atypical_network, _globules),
        Diagnosis.BASAL_CELL_CARCINOMA: (_homogeneous, _globules),
        Diagnosis.SQUAMOUS_CELL_CARCINOMA: (_rosettes,),
    }
)
_WITH_VESSELS = (Diagnosis.BASAL_CELL_CARCINOMA, Diagnosis.SQUAMOUS_CELL_CARCINOMA)
