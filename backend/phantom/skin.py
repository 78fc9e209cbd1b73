"""Skin around the lesion: tone, texture, what the body site and the camera add."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from backend.abc.attributes import Modality, Site, SkinTone
from backend.phantom.fields import Field, cellular, fractal, noise, pixel_grid, smoothstep

# CIE L*a*b* (D65) per Fitzpatrick type, pinker than bare skin in daylight, as dermoscopy shows it.
# The individual typology angle atan((L* - 50) / b*) falls from 76 to -34 degrees in even steps of
# lightness (order of types: Del Bino and Bernerd, Br J Dermatol 169 Suppl 3:33, 2013).
SKIN_LAB: Mapping[SkinTone, tuple[float, float, float]] = MappingProxyType(
    {
        SkinTone.I: (81.0, 16.0, 7.5),
        SkinTone.II: (73.0, 20.0, 13.0),
        SkinTone.III: (65.2, 21.0, 16.0),
        SkinTone.IV: (57.4, 19.5, 17.5),
        SkinTone.V: (49.6, 17.5, 17.0),
        SkinTone.VI: (41.5, 14.0, 12.5),
    }
)
SKIN_JITTER = (1.2, 3.5, 3.0)


def draw_skin(
    rng: Generator, size: int, tone: SkinTone, modality: Modality, site: Site
) -> tuple[Field, Field]:
    """L*a*b* of one skin (3,) and what its texture adds to that (size, size, 3)."""
    base = np.asarray(SKIN_LAB[tone]) + rng.uniform(-1, 1, 3) * SKIN_JITTER
    skin = np.zeros((size, size, 3))
    mottling = fractal(rng, size, (5, 11, 24))
    flush = fractal(rng, size, (6, 13))
    grain = noise(rng, size, 48) + 0.8 * noise(rng, size, 110)
    strength = rng.uniform(0.6, 1.6)
    skin[..., 0] = strength * (1.0 * mottling - 0.7 * flush + 0.8 * grain)
    skin[..., 1] = strength * (1.6 * flush + 0.3 * grain)
    skin[..., 2] = strength * (0.6 * mottling - 0.1 * flush)
    skin[..., 0] += _surface(rng, size, modality, site)
    return base, skin


def draw_illumination(rng: Generator, size: int, modality: Modality) -> Field:
    """Change of L* over the frame by uneven light, zero in the mean, (size, size)."""
    columns, rows = pixel_grid(size)
    turn = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(1.0, 5.0) if modality is Modality.DERMOSCOPIC else rng.uniform(4.0, 11.0)
    ramp = (columns - 0.5) * np.cos(turn) + (rows - 0.5) * np.sin(turn)
    bowl = (columns - 0.5) ** 2 + (rows - 0.5) ** 2 - 1 / 6
    return slope * ramp - rng.uniform(0.0, 5.0) * bowl


def draw_shine(rng: Generator, size: int, modality: Modality) -> Field:
    """Specular highlights on bare skin, of a camera's light or of wet gel; added L*."""
    if modality is Modality.DERMOSCOPIC:
        wetness = max(0.0, float(rng.uniform(-6.0, 6.0)))
        return wetness * smoothstep(1.5, 3.0, noise(rng, size, 84) + 0.5 * noise(rng, size, 30))
    columns, rows = pixel_grid(size)
    turn, place = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.46)
    column, row = 0.5 + place * np.cos(turn), 0.5 + place * np.sin(turn)
    squared = ((columns - column) / 0.16) ** 2 + ((rows - row) / 0.12) ** 2
    glints = smoothstep(0.4, 1.8, noise(rng, size, 60) + 0.4 * noise(rng, size, 20))
    return np.exp(-squared) * (rng.uniform(2.0, 5.0) + 12.0 * glints)


def _surface(rng: Generator, size: int, modality: Modality, site: Site) -> Field:
    """Ridges of palms and soles, follicles of the face, furrows elsewhere; in L*."""
    columns, rows = pixel_grid(size)
    if site is Site.PALMS_SOLES:
        return _ridges(rng, size)
    bend = 0.02 * noise(rng, size, 6)
    near, next_near, lot = cellular(rng, columns + bend, rows - bend, int(rng.integers(20, 30)))
    if site is Site.HEAD_NECK:
        pale = rng.choice((-3.2, 2.8))
        return np.asarray(pale * (1 - smoothstep(0.12, 0.34, near)) * (lot < 0.55))
    depth = rng.uniform(0.3, 1.2) if modality is Modality.DERMOSCOPIC else rng.uniform(1.2, 2.4)
    furrows = 1 - smoothstep(0.0, 0.28, next_near - near)
    pores = (1 - smoothstep(0.08, 0.22, near)) * (lot < 0.2)
    return np.asarray(-depth * (furrows - 0.35) - depth * pores)


def _ridges(rng: Generator, size: int) -> Field:
    columns, rows = pixel_grid(size)
    turn, count = rng.uniform(0, np.pi), rng.uniform(17.0, 24.0)
    phase = columns * np.cos(turn) + rows * np.sin(turn) + 0.03 * noise(rng, size, 4)
    wave = np.sin(2 * np.pi * count * phase)
    return np.asarray(rng.uniform(1.0, 1.8) * wave * (1 + 0.25 * noise(rng, size, 12)))
