"""From attributes and a seed to a picture, its mask and the exact truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from backend.abc.attributes import Edge, LesionAttributes, Modality
from backend.phantom.artefacts import add_artefacts, draw_artefacts
from backend.phantom.colouring import Colouring, draw_colouring
from backend.phantom.completion import Traits, complete, traits_of
from backend.phantom.errors import PhantomError
from backend.phantom.fields import Field, fractal, smoothstep, stream
from backend.phantom.outline import (
    LesionFrame,
    Outline,
    Placement,
    between,
    bounding_reach,
    draw_outline,
    lesion_frame,
)
from backend.phantom.skin import draw_illumination, draw_shine, draw_skin
from backend.phantom.srgb import lab_to_srgb
from backend.phantom.structures import (
    draw_mottling,
    draw_relief,
    draw_structures,
    draw_thinness,
)

SMALLEST_SIZE, LARGEST_SIZE = 32, 2048
FIELD_OF_VIEW_MM: Mapping[Modality, float] = MappingProxyType(
    {Modality.DERMOSCOPIC: 12.5, Modality.CLINICAL: 22.0}
)
# Bounds of the lesion's largest extent over the width of the frame.
EXTENT: Mapping[Modality, tuple[float, float]] = MappingProxyType(
    {Modality.DERMOSCOPIC: (0.60, 0.84), Modality.CLINICAL: (0.52, 0.66)}
)
MARGIN = 0.03
# Half of the way from pigment to skin: in unit coordinates where abrupt; where fading as a share
# of the mean radius, but never less than so many unit coordinates.
_SHARP = 0.014
_FADING, _LEAST_FADING = (0.26, 0.36), 0.055
# Even an abrupt edge leaves a breath of colour on the skin: its reach in mean radii, its weight.
_HALO, _HALO_WEIGHT = 0.28, 0.18
_STRUCTURE_STRENGTH = MappingProxyType({Modality.DERMOSCOPIC: 1.0, Modality.CLINICAL: 0.5})


@dataclass(frozen=True)
class Phantom:
    """A drawn lesion. `image` (H, W, 3) sRGB; `mask` (H, W) exact lesion; `truth` complete.

    `colour_map` (H, W) gives the index of each pixel's colour in `truth.colours`, before texture
    and edge; it goes on beyond the mask.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    truth: LesionAttributes
    colour_map: NDArray[np.uint8]


def render(attributes: LesionAttributes, *, size: int = 128, seed: int) -> Phantom:
    """Draw a lesion of these attributes; what they leave open is drawn from the seed.

    The same arguments give the same pixels on every machine, and the same attributes and seed the
    same lesion at every `size` (pixels per side).

    Raises:
        PhantomError: a size or seed out of range, or attributes that contradict each other.
    """
    _refuse_bad_numbers(size, seed)
    truth = complete(stream(seed, "attributes"), attributes)
    return _draw(truth, _outline_of(truth, seed), size, seed)


def render_between(
    one: LesionAttributes, other: LesionAttributes, share: float, *, size: int = 128, seed: int
) -> Phantom:
    """Draw a lesion whose outline lies `share` (0 to 1) of the way from that of `one` to that of
    `other`; everything else, and the truth, is of the nearer one.

    Between 0 and 1 its outline is neither of the two kinds, which `render` never draws.

    Raises:
        PhantomError: a share, size or seed out of range, or attributes that contradict each other.
    """
    _refuse_bad_numbers(size, seed)
    if not 0 <= share <= 1:
        raise PhantomError(f"The share between two lesions is {share!r}: give 0 to 1.")
    first, second = (complete(stream(seed, "attributes"), lesion) for lesion in (one, other))
    outline = between(_outline_of(first, seed), _outline_of(second, seed), share)
    return _draw(first if share < 0.5 else second, outline, size, seed)


def _outline_of(truth: LesionAttributes, seed: int) -> Outline:
    traits = traits_of(truth)
    return draw_outline(stream(seed, "outline"), traits.asymmetry, traits.border)


def _draw(truth: LesionAttributes, outline: Outline, size: int, seed: int) -> Phantom:
    traits = traits_of(truth)
    rng = stream(seed, "placement")
    half_edge = _half_edge(rng, traits)
    placement = _place(rng, outline, traits, half_edge)
    frame = lesion_frame(outline, placement, size)
    colouring = draw_colouring(
        stream(seed, "colours"), frame, traits.colours, traits.asymmetry, traits.skin_tone
    )
    lab = _compose(seed, traits, frame, colouring, half_edge)
    image = _photograph(seed, traits, lab, placement.extent / traits.diameter_mm)
    return Phantom(image, frame.inside, truth, colouring.labels.astype(np.uint8))


def _refuse_bad_numbers(size: int, seed: int) -> None:
    if not _whole(size) or not SMALLEST_SIZE <= size <= LARGEST_SIZE:
        raise PhantomError(
            f"The phantom size is {size!r}: give a whole number of pixels from {SMALLEST_SIZE} "
            f"to {LARGEST_SIZE}."
        )
    if not _whole(seed) or seed < 0:
        raise PhantomError(f"The phantom seed is {seed!r}: give a whole number from 0 upwards.")


def _whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _half_edge(rng: Generator, traits: Traits) -> float:
    """Half the width of a fading transition in mean radii; 0 for an abrupt edge."""
    share = float(rng.uniform(*_FADING))
    return share if traits.edge is Edge.FADING else 0.0


def _place(rng: Generator, outline: Outline, traits: Traits, half_edge: float) -> Placement:
    """True to the diameter as far as the frame allows, always whole and inside the margin."""
    turn = float(rng.uniform(0, 2 * np.pi))
    field_of_view = FIELD_OF_VIEW_MM[traits.modality] * rng.uniform(0.94, 1.06)
    extent = float(np.clip(traits.diameter_mm / field_of_view, *EXTENT[traits.modality]))
    shift = rng.uniform(-0.07, 0.07, 2)
    margin = MARGIN + 0.2 * half_edge * extent
    left, right, up, down = (extent * reach + margin for reach in bounding_reach(outline, turn))
    column = float(np.clip(0.5 + shift[0], left, 1 - right))
    row = float(np.clip(0.5 + shift[1], up, 1 - down))
    return Placement(column, row, extent, turn)


def _compose(
    seed: int, traits: Traits, frame: LesionFrame, colouring: Colouring, half_edge: float
) -> Field:
    """The lesion on its skin under even light, L*a*b* (H, W, 3)."""
    size = frame.distance.shape[0]
    rng = stream(seed, "skin")
    base, texture = draw_skin(rng, size, traits.skin_tone, traits.modality, traits.site)
    shine = draw_shine(rng, size, traits.modality)
    thinness = draw_thinness(stream(seed, "thinness"), frame)[..., None]
    lesion = colouring.lab + thinness * (base - colouring.lab)
    lesion = lesion + 0.6 * texture + _inner_detail(seed, traits, frame, colouring)
    cover = _cover(stream(seed, "edge"), frame, half_edge)
    skin = base + texture
    skin[..., 0] += shine
    return skin + cover[..., None] * (lesion - skin)


def _inner_detail(seed: int, traits: Traits, frame: LesionFrame, colouring: Colouring) -> Field:
    """What structures and uneven pigment change inside the lesion, L*a*b* (H, W, 3)."""
    rng = stream(seed, "structures")
    pigment, redness = draw_structures(rng, frame, traits.diagnosis)
    strength = _STRUCTURE_STRENGTH[traits.modality]
    change = strength * pigment * colouring.headroom + 2.3 * draw_mottling(rng, frame)
    change = change + draw_relief(rng, frame, traits.modality)
    detail = change[..., None] * np.array([1.0, -0.3, 0.3])
    return np.asarray(detail + strength * redness[..., None] * np.array([-2.0, 6.0, 1.0]))


def _cover(rng: Generator, frame: LesionFrame, half_edge: float) -> Field:
    """How much of the lesion shows over the skin, half of it on the outline, (H, W)."""
    size = frame.distance.shape[0]
    if not half_edge:
        depth = -frame.distance + 0.003 * fractal(rng, size, (30, 60))
        halo = smoothstep(-_HALO * frame.mean_radius, _HALO * frame.mean_radius, depth)
        return smoothstep(-_SHARP, _SHARP, depth) * (1 - _HALO_WEIGHT) + _HALO_WEIGHT * halo
    half = max(half_edge * frame.mean_radius, _LEAST_FADING)
    # True distances, for the radial ones of `frame` would turn notches into rays this far out.
    depth = (distance_transform_edt(frame.inside) - distance_transform_edt(~frame.inside)) / size
    return smoothstep(-half, half, depth + 0.16 * half * fractal(rng, size, (14, 30, 60)))


def _photograph(seed: int, traits: Traits, lab: Field, unit_per_mm: float) -> NDArray[np.uint8]:
    """The scene (H, W, 3) in L*a*b* under the light and through the artefacts of the camera."""
    rng = stream(seed, "camera")
    lab = lab.copy()
    lab[..., 0] += draw_illumination(rng, lab.shape[0], traits.modality)
    artefacts = draw_artefacts(rng, traits.modality)
    picture = add_artefacts(rng, lab_to_srgb(lab), artefacts, unit_per_mm)
    return np.rint(np.clip(picture, 0.0, 1.0) * 255).astype(np.uint8)
