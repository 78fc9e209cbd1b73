"""What lies between skin and camera: hair, gel bubbles, a ruler, the dark rim of the lens."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from backend.abc.attributes import Modality
from backend.phantom.fields import Field, pixel_grid, smoothstep

_STROKE_RASTER = 512
_SHIFT = 4
_CLEAN_SHARE = 0.36


@dataclass(frozen=True)
class Artefacts:
    """Which artefacts one picture has."""

    hair: bool
    bubbles: bool
    vignette: bool
    ruler: bool


def draw_artefacts(rng: Generator, modality: Modality) -> Artefacts:
    """None in about a third of all pictures, each in a minority of the rest."""
    clean, hair, bubbles, vignette, ruler = rng.random(5)
    dermoscopic = modality is Modality.DERMOSCOPIC
    dirty = clean >= _CLEAN_SHARE
    return Artefacts(
        hair=bool(dirty and hair < 0.45),
        bubbles=bool(dirty and dermoscopic and bubbles < 0.22),
        vignette=bool(dirty and dermoscopic and vignette < 0.42),
        ruler=bool(dirty and ruler < 0.2),
    )


def add_artefacts(rng: Generator, image: Field, artefacts: Artefacts, unit_per_mm: float) -> Field:
    """The picture, sRGB in [0, 1] (H, W, 3), behind its artefacts; ruler marks are millimetres."""
    if artefacts.bubbles:
        image = _with_bubbles(rng, image)
    if artefacts.hair:
        image = _with_hair(rng, image)
    if artefacts.ruler:
        image = _with_ruler(rng, image, unit_per_mm)
    if artefacts.vignette:
        image = _with_vignette(rng, image)
    return image


def draw_strokes(size: int, paths: list[Field], widths: list[float]) -> Field:
    """Curves through points (n, 2) as (column, row) in unit coordinates; cover (size, size).

    Drawn in integers on a finer raster, then averaged, so that thin strokes keep their weight.
    """
    factor = max(1, -(-_STROKE_RASTER // size))
    fine = size * factor
    canvas = np.zeros((fine, fine), dtype=np.uint8)
    for path, width in zip(paths, widths, strict=True):
        points = np.rint((path * fine - 0.5) * 2**_SHIFT).astype(np.int32)
        thickness = max(1, round(width * fine))
        cv2.polylines(
            canvas, [points.reshape(-1, 1, 2)], False, 255, thickness, cv2.LINE_AA, _SHIFT
        )
    sums = canvas.reshape(size, factor, size, factor).sum(axis=(1, 3), dtype=np.int64)
    return sums / (255.0 * factor**2)


def _with_hair(rng: Generator, image: Field) -> Field:
    """Thin curved hairs that follow one direction loosely."""
    lie = rng.uniform(0, 2 * np.pi)
    spread = rng.uniform(0.2, 0.9)
    paths, widths = [], []
    for _ in range(int(rng.integers(2, 11))):
        heading = lie + rng.normal(0, spread)
        middle = rng.uniform(-0.05, 1.05, 2)
        length, bow = rng.uniform(0.35, 0.95), rng.normal(0, 0.12)
        t = np.linspace(-0.5, 0.5, 20)
        forward, sideways = length * t, bow * (4 * t**2 - 1) + 0.05 * bow * np.sin(9 * t)
        cosine, sine = np.cos(heading), np.sin(heading)
        columns = middle[0] + forward * cosine - sideways * sine
        rows = middle[1] + forward * sine + sideways * cosine
        paths.append(np.stack([columns, rows], axis=1))
        widths.append(rng.uniform(0.0022, 0.0052))
    cover = draw_strokes(image.shape[0], paths, widths) * rng.uniform(0.5, 0.85)
    shade = np.array([0.16, 0.10, 0.08]) + rng.uniform(0, 0.18) * np.array([1.0, 0.8, 0.6])
    return image + cover[..., None] * (shade - image)


def _with_bubbles(rng: Generator, image: Field) -> Field:
    """Air in the gel: a bright crescent, a faint dark rim."""
    columns, rows = pixel_grid(image.shape[0])
    for _ in range(int(rng.integers(2, 7))):
        turn, place = rng.uniform(0, 2 * np.pi), rng.uniform(0.34, 0.6)
        column, row = 0.5 + place * np.cos(turn), 0.5 + place * np.sin(turn)
        radius = rng.uniform(0.012, 0.05)
        away = np.hypot(columns - column, rows - row) / radius
        rim = np.exp(-(((away - 0.92) / 0.22) ** 2))
        light = ((columns - column) - (rows - row)) / (1.42 * radius)
        crescent = rim * smoothstep(-0.2, 0.9, light)
        image = image + (0.28 * crescent - 0.10 * rim)[..., None]
    return image


def _with_ruler(rng: Generator, image: Field, unit_per_mm: float) -> Field:
    """Millimetre marks along one side, every fifth longer."""
    size = image.shape[0]
    inset, count = 0.012, int(1 / unit_per_mm) + 1
    paths, widths = [], []
    side, offset = int(rng.integers(4)), rng.uniform(0, unit_per_mm)
    for mark in range(count):
        reach = 0.055 if mark % 5 == 0 else 0.03
        place = offset + mark * unit_per_mm
        line = np.array([[place, inset], [place, inset + reach]])
        if side >= 2:
            line[:, 1] = 1 - line[:, 1]
        paths.append(line[:, ::-1] if side % 2 else line)
        widths.append(0.006)
    cover = draw_strokes(size, paths, widths) * 0.8
    shade = np.array([0.12, 0.12, 0.14]) if rng.random() < 0.7 else np.array([0.92, 0.92, 0.9])
    return image + cover[..., None] * (shade - image)


def _with_vignette(rng: Generator, image: Field) -> Field:
    """The dark corners of a round lens."""
    columns, rows = pixel_grid(image.shape[0])
    away = np.hypot(columns - 0.5 + rng.normal(0, 0.01), rows - 0.5 + rng.normal(0, 0.01))
    start, width = rng.uniform(0.54, 0.6), rng.uniform(0.03, 0.2)
    depth = rng.uniform(0.45, 0.95)
    return image * (1 - depth * smoothstep(start, start + width, away))[..., None]
