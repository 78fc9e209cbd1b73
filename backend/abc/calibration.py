"""Make the meter: fit palette and decisions on phantoms, whose truth is exact, and score them.

Run with `python -m backend calibrate`. The phantoms come from seeds, and the scores from
other seeds and from combinations of attributes that the fit never saw.
"""

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from backend.abc.adherence import score_attributes
from backend.abc.attributes import (
    Asymmetry,
    Border,
    Colour,
    Edge,
    LesionAttributes,
    SkinTone,
    pattern_of,
)
from backend.abc.measure import decide
from backend.abc.measurement.colour import Palette, fit_palette, lesion_pixels
from backend.abc.measurement.decision import Decision
from backend.abc.measurement.fitting import Example, Question, fit_decision
from backend.abc.measurement.meter import Meter, Provenance
from backend.abc.measurement.reading import indices_of, read_image
from backend.abc.sampling import sample_split
from backend.files import write_file
from backend.phantom import render

FIRST_SEED = 1_000_000_000
PALETTE_FIRST_SEED = 1_400_000_001
HELD_OUT_FIRST_SEED = 1_800_000_000
SIZE = 128

_SHAPE_INPUTS = (
    "asymmetry",
    "rough_asymmetry",
    "shape_asymmetry",
    "colour_asymmetry",
    "colour_dispersion",
    "colour_offset",
    "outline",
    "border",
    "radial",
    "round",
    "compactness",
    "smooth",
    "solidity",
    "elongation",
    "fractal",
    "bending",
    "concavities",
    "excess",
    "edge",
    "area_fraction",
    "segmentation",
)
_EDGE_INPUTS = ("edge", "area_fraction", "segmentation", "surround", "border_irreg", "solidity")
_COLOUR_INPUTS = (
    "area_",
    "flat_area",
    "nearest_area",
    "patch",
    "nearness",
    "lightness",
    "redness",
    "yellowness",
    "skin_",
    "edge_width_whole",
    "colour_dispersion",
)
_SKIN_INPUTS = ("ita", "surround", "skin_")


def calibrate(*, phantoms: int, held_out: int, palette_rounds: int) -> Meter:
    """A meter fitted on `phantoms` phantoms and scored on `held_out` others, the same each time."""
    palette = calibrate_palette(palette_rounds)
    seen = list(examples(phantoms, FIRST_SEED, palette, held_out=False))
    unseen = list(examples(held_out, HELD_OUT_FIRST_SEED, palette, held_out=True))
    return fit_meter(palette, seen, unseen, palette_rounds=palette_rounds)


def fit_meter(
    palette: Palette, seen: Sequence[Example], unseen: Sequence[Example], *, palette_rounds: int
) -> Meter:
    """Decisions fitted on the examples seen, scores on those unseen."""
    decisions = {question.name: fit_decision(question, seen) for question in questions()}
    pairs = [(example.truth, decided(example, decisions)) for example in unseen]
    return Meter(
        palette=palette,
        decisions=decisions,
        provenance=Provenance(
            command=(
                f"python -m backend calibrate --phantoms {len(seen)} "
                f"--held-out {len(unseen)} --palette-rounds {palette_rounds}"
            ),
            phantoms=len(seen),
            first_seed=FIRST_SEED,
            palette_phantoms=palette_rounds * len(Colour) * len(SkinTone),
            palette_first_seed=PALETTE_FIRST_SEED,
            held_out_phantoms=len(unseen),
            held_out_first_seed=HELD_OUT_FIRST_SEED,
            size=SIZE,
            versions=_versions(),
            scores={name: round(score, 4) for name, score in score_attributes(pairs).items()},
        ),
    )


def questions() -> tuple[Question, ...]:
    """What the meter decides, and on which indices."""
    tones = tuple(str(int(tone)) for tone in SkinTone)
    return (
        Question("asymmetry", tuple(Asymmetry), _SHAPE_INPUTS, _one_of(Asymmetry, "asymmetry")),
        Question("border", tuple(Border), _SHAPE_INPUTS, _one_of(Border, "border")),
        Question("edge", tuple(Edge), _EDGE_INPUTS, _one_of(Edge, "edge")),
        Question("skin_tone", tones, _SKIN_INPUTS, _one_of(SkinTone, "skin_tone")),
        Question(
            "colours", tuple(Colour), _COLOUR_INPUTS, _colours_shown, exclusive=False, hidden=48
        ),
        Question(
            "dominant_colour", tuple(Colour), _COLOUR_INPUTS, _one_of(Colour, "dominant_colour")
        ),
    )


def examples(count: int, first_seed: int, palette: Palette, *, held_out: bool) -> Iterator[Example]:
    """Phantoms as the meter reads them, every other one degraded."""
    for seed in range(first_seed, first_seed + count):
        rng = np.random.default_rng(seed)
        phantom = render(sample_split(rng, held_out=held_out), size=SIZE, seed=seed)
        image = degrade(phantom.image, rng) if seed % 2 else phantom.image
        reading = read_image(image)
        lesion = reading.lesion
        indices = None if lesion is None else indices_of(reading.frame, lesion, palette)
        yield Example(phantom.truth, indices)


def decided(example: Example, decisions: Mapping[str, Decision]) -> LesionAttributes:
    """What the meter would say of an example; nothing where it found no lesion."""
    if example.indices is None:
        return LesionAttributes()
    return decide(example.indices, decisions)[0]


def calibrate_palette(rounds: int) -> Palette:
    """References from phantoms of one colour each, on every skin, `rounds` times."""
    samples: dict[Colour, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {}
    seed = PALETTE_FIRST_SEED
    for colour in Colour:
        samples[colour] = []
        for tone in list(SkinTone) * rounds:
            plain = sample_split(np.random.default_rng(seed), held_out=False)
            wanted = {"colours": (colour,), "pattern": pattern_of((colour,)), "skin_tone": tone}
            phantom = render(plain.model_copy(update=wanted), size=SIZE, seed=seed)
            seed += 1
            reading = read_image(phantom.image)
            if reading.lesion is not None:
                lesion = reading.lesion
                even, judged, skin = lesion_pixels(reading.frame.lab, lesion.skin, lesion.mask)
                samples[colour].append((even[judged].astype(np.float64), skin))
    return fit_palette(samples)


def degrade(image: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
    """What lenses, files and generative models do to an image: blur, noise, JPEG."""
    sigma = float(rng.uniform(0.0, 1.2))
    values = image.astype(np.float32)
    if sigma > 0.2:
        values = np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), dtype=np.float32)
    values += rng.normal(0, rng.uniform(0, 3.0), image.shape).astype(np.float32)
    noisy = np.clip(values, 0, 255).round().astype(np.uint8)
    quality = int(rng.integers(85, 101))
    _, stream = cv2.imencode(".jpg", noisy[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(stream, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(np.asarray(decoded, dtype=np.uint8)[..., ::-1])


def write_meter(meter: Meter, path: Path) -> None:
    """Put the meter in place at once, never half of it."""
    write_file(path, (meter.model_dump_json() + "\n").encode())


def _one_of(kind: type[Enum], field: str) -> Callable[[LesionAttributes], NDArray[np.float64]]:
    return lambda truth: np.array([float(value == getattr(truth, field)) for value in kind])


def _colours_shown(truth: LesionAttributes) -> NDArray[np.float64]:
    return np.isin(list(Colour), truth.colours).astype(np.float64)


def _versions() -> dict[str, str]:
    packages = ("numpy", "scipy", "scikit-image", "scikit-learn", "opencv-python-headless")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}
