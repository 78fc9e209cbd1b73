"""The colours of a lesion: where each one lies and what it looks like on each skin.

The dominant colour covers about half of the lesion or more and every other named colour at least
a tenth. In a symmetric lesion the colours are concentric; in one asymmetric in one axis they lie
along that axis; otherwise they lie off both axes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from backend.abc.attributes import Asymmetry, Colour, SkinTone
from backend.phantom.fields import Field, fractal, smoothstep
from backend.phantom.outline import LesionFrame

Lab = tuple[float, float, float]

# CIE L*a*b* (D65) of the six colours on the fairest skin, and on the darkest.
COLOUR_LAB: Mapping[Colour, Lab] = MappingProxyType(
    {
        Colour.WHITE: (90.0, 4.0, 3.0),
        Colour.RED: (47.0, 43.0, 17.0),
        Colour.LIGHT_BROWN: (56.0, 23.0, 34.0),
        Colour.DARK_BROWN: (31.5, 23.0, 20.0),
        Colour.BLUE_GRAY: (50.0, 1.0, -8.5),
        Colour.BLACK: (12.0, 2.0, 2.0),
    }
)
COLOUR_LAB_DARKEST: Mapping[Colour, Lab] = MappingProxyType(
    {
        Colour.WHITE: (78.0, 3.0, 4.0),
        Colour.RED: (38.0, 40.0, 17.0),
        Colour.LIGHT_BROWN: (32.5, 21.0, 28.0),
        Colour.DARK_BROWN: (19.0, 16.0, 10.0),
        Colour.BLUE_GRAY: (40.0, 0.0, -9.5),
        Colour.BLACK: (6.0, 1.0, 1.0),
    }
)
COLOUR_JITTER: Lab = (1.8, 1.8, 1.8)
_DARKENING = MappingProxyType(
    {
        SkinTone.I: 0.0,
        SkinTone.II: 0.06,
        SkinTone.III: 0.18,
        SkinTone.IV: 0.46,
        SkinTone.V: 0.76,
        SkinTone.VI: 1.0,
    }
)
# How far (in L*) a structure may move a colour without making it another one.
_HEADROOM = MappingProxyType(
    {
        Colour.WHITE: 1.5,
        Colour.RED: 3.2,
        Colour.LIGHT_BROWN: 5.8,
        Colour.DARK_BROWN: 5.5,
        Colour.BLUE_GRAY: 2.0,
        Colour.BLACK: 1.6,
    }
)
_SOFT = (Colour.WHITE, Colour.BLUE_GRAY)


@dataclass(frozen=True)
class Colouring:
    """`labels` (H, W) indexes `colours`; `lab` (H, W, 3); `headroom` (H, W) in L*."""

    labels: NDArray[np.int64]
    lab: Field
    headroom: Field


def colour_lab(colour: Colour, skin_tone: SkinTone) -> Lab:
    """The reference L*a*b* of a lesion colour on this skin: darker skin, darker colours."""
    share = _DARKENING[skin_tone]
    pairs = zip(COLOUR_LAB[colour], COLOUR_LAB_DARKEST[colour], strict=True)
    lightness, a, b = (fair + share * (dark - fair) for fair, dark in pairs)
    return lightness, a, b


def draw_colouring(
    rng: Generator,
    frame: LesionFrame,
    colours: tuple[Colour, ...],
    asymmetry: Asymmetry,
    skin_tone: SkinTone,
) -> Colouring:
    """Lay out `colours`, the dominant one first, over the whole frame of the lesion."""
    size = frame.distance.shape[0]
    shares = draw_shares(rng, len(colours) - 1)
    affinities = _affinities(rng, frame, shares, asymmetry)
    looks = [_look(rng, colour, skin_tone) for colour in colours]
    labels = np.zeros((size, size), dtype=np.int64)
    free = np.ones((size, size), dtype=np.bool_)
    covers: list[Field] = []
    for index, (affinity, share) in enumerate(zip(affinities, shares, strict=True), start=1):
        threshold = _threshold(affinity, free & frame.inside, share, frame.inside)
        chosen = free & (affinity >= threshold)
        labels[chosen] = index
        free &= ~chosen
        width = _width(colours[index], colours, asymmetry)
        covers.append(smoothstep(-width, width, affinity - threshold))
    blend = np.broadcast_to(looks[0], (size, size, 4))
    for look, cover in zip(reversed(looks[1:]), reversed(covers), strict=True):
        blend = blend + cover[..., None] * (look - blend)
    return Colouring(labels, blend[..., :3], blend[..., 3])


def draw_shares(rng: Generator, count: int) -> Field:
    """Shares of the lesion for the `count` colours beside the dominant one, (count,)."""
    if count == 0:
        return np.zeros(0)
    if count == 1:
        return rng.uniform(0.18, 0.42, 1)
    least = {2: 0.14, 3: 0.125, 4: 0.11}.get(count, 0.1005)
    spare = max(0.44 - count * least, 0.0) * rng.uniform(0.2, 1.0)
    return least + spare * rng.dirichlet(np.ones(count))


def _width(colour: Colour, colours: tuple[Colour, ...], asymmetry: Asymmetry) -> float:
    """Half the transition to this colour, in mean radii.

    Narrow in thin rings and beside black, where black and red would mix to brown and black and
    white to gray.
    """
    if Colour.BLACK in colours:
        return 0.045
    if asymmetry is Asymmetry.SYMMETRIC:
        return 0.065
    return 0.17 if colour in _SOFT else 0.12


def _look(rng: Generator, colour: Colour, skin_tone: SkinTone) -> Field:
    """L*, a*, b* and headroom of one colour in one lesion, (4,)."""
    jitter = rng.uniform(-1, 1, 3) * COLOUR_JITTER
    return np.append(np.asarray(colour_lab(colour, skin_tone)) + jitter, _HEADROOM[colour])


def _threshold(
    affinity: Field, free: NDArray[np.bool_], share: float, inside: NDArray[np.bool_]
) -> float:
    """The affinity above which `share` of the lesion's pixels are still free."""
    values = affinity[free]
    count = min(int(np.ceil(share * np.count_nonzero(inside))), values.size)
    return float(np.partition(values, values.size - count)[values.size - count])


def _affinities(
    rng: Generator, frame: LesionFrame, shares: Field, asymmetry: Asymmetry
) -> list[Field]:
    """How readily each secondary colour settles at each pixel; higher is sooner."""
    size = frame.distance.shape[0]
    if asymmetry is Asymmetry.SYMMETRIC:
        mottle = 0.045 * fractal(rng, size, (7, 14, 30, 60))
        return [_concentric(rng, frame, share, len(shares)) + mottle for share in shares]
    turns = _turns(rng, len(shares), asymmetry)
    wobble = 0.11 if asymmetry is Asymmetry.ONE_AXIS else 0.15
    fields = []
    for turn in turns:
        reach = rng.uniform(0.42, 0.66)
        away = np.hypot(frame.along - reach * np.cos(turn), frame.across - reach * np.sin(turn))
        fields.append(wobble * fractal(rng, size, (7, 15, 32, 60)) - away)
    return fields


def _concentric(rng: Generator, frame: LesionFrame, share: float, count: int) -> Field:
    """A core drawn out along either axis, or, where one generous colour allows, a rim."""
    if count == 1 and share > 0.3 and rng.random() < 0.4:
        return frame.relative
    ratio = rng.uniform(0.8, 1.25)
    drawn_out = np.hypot(frame.along * ratio, frame.across / ratio)
    return -0.5 * (frame.relative + drawn_out)


def _turns(rng: Generator, count: int, asymmetry: Asymmetry) -> Field:
    """Directions of the secondary colours from the centroid, in the lesion's frame."""
    if asymmetry is Asymmetry.ONE_AXIS:
        first = int(rng.integers(2))
        return np.pi * ((first + np.arange(count, dtype=np.float64)) % 2)
    quadrant = (int(rng.integers(4)) + np.arange(count)) % 4
    return (quadrant + rng.uniform(0.3, 0.7, count)) * (np.pi / 2)
