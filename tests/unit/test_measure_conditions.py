"""Hard conditions: what the meter is sure of is right; where it is not, it is unsure."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from backend.abc.attributes import Colour, LesionAttributes, Modality, SkinTone
from backend.abc.measure import SURE_FROM, Measurement, measure
from backend.abc.sampling import sample_split
from backend.phantom import Phantom, artefacts, render

COUNT = 16
FIRST_SEED = 79_000
Image = NDArray[np.uint8]
Condition = Callable[[Generator, NDArray[np.float64]], NDArray[np.float64]]


def _ruler(rng: Generator, image: NDArray[np.float64]) -> NDArray[np.float64]:
    return artefacts._with_ruler(rng, image, 1 / 12.5)


def _all_at_once(rng: Generator, image: NDArray[np.float64]) -> NDArray[np.float64]:
    worse = artefacts._with_hair(rng, artefacts._with_bubbles(rng, image))
    return artefacts._with_vignette(rng, _ruler(rng, worse))


CONDITIONS: dict[str, Condition] = {
    "hair": artefacts._with_hair,
    "gel bubbles": artefacts._with_bubbles,
    "a dark rim": artefacts._with_vignette,
    "a ruler": _ruler,
    "all at once": _all_at_once,
}


@pytest.fixture(scope="module")
def phantoms() -> list[Phantom]:
    """Dermoscopic phantoms of combinations that the calibration never saw."""
    return [_phantom(seed) for seed in range(FIRST_SEED, FIRST_SEED + COUNT)]


@pytest.mark.parametrize("name", CONDITIONS)
def test_artefacts_hardly_change_what_is_said(phantoms: list[Phantom], name: str):
    rng = np.random.default_rng(5)
    images = [_worse(CONDITIONS[name], rng, phantom.image) for phantom in phantoms]

    measured = [measure(image) for image in images]

    assert (
        np.mean([_overlap(p.mask, m.mask) for p, m in zip(phantoms, measured, strict=True)]) > 0.9
    )
    _assert_right_or_unsure(phantoms, measured, unsure=0.2)


@pytest.mark.parametrize("tone", [SkinTone.V, SkinTone.VI])
def test_dark_skin_is_measured_as_well_as_fair(tone: SkinTone):
    phantoms = [_phantom(seed, skin_tone=tone) for seed in range(FIRST_SEED, FIRST_SEED + COUNT)]

    measured = [measure(phantom.image) for phantom in phantoms]

    assert (
        np.mean([_overlap(p.mask, m.mask) for p, m in zip(phantoms, measured, strict=True)]) > 0.9
    )
    _assert_right_or_unsure(phantoms, measured, unsure=0.2)


@pytest.mark.parametrize("side", [0, 3])
def test_a_lesion_cut_by_the_frame_is_outlined_and_its_shape_is_told_less_surely(
    phantoms: list[Phantom], side: int
):
    cut = [_cut(phantom, side) for phantom in phantoms]

    measured = [measure(image) for image, _ in cut]

    assert np.mean([_overlap(m, r.mask) for (_, m), r in zip(cut, measured, strict=True)]) > 0.85
    surely_wrong = [
        m.confidence["asymmetry"] >= SURE_FROM and m.attributes.asymmetry != p.truth.asymmetry
        for p, m in zip(phantoms, measured, strict=True)
    ]
    assert np.mean(surely_wrong) <= 0.2


def _assert_right_or_unsure(
    phantoms: list[Phantom], measured: list[Measurement], *, unsure: float
) -> None:
    for field in ("asymmetry", "border"):
        sure = [m.confidence[field] >= SURE_FROM for m in measured]
        right = [
            getattr(m.attributes, field) == getattr(p.truth, field)
            for p, m, known in zip(phantoms, measured, sure, strict=True)
            if known
        ]
        assert 1 - np.mean(sure) <= unsure, field
        assert np.mean(right) >= 0.9, field
    judged = [
        (colour in m.attributes.colours) == (colour in p.truth.colours)
        for p, m in zip(phantoms, measured, strict=True)
        for colour in m.sure_colours
    ]
    assert len(judged) >= (1 - unsure) * len(Colour) * len(phantoms)
    assert np.mean(judged) >= 0.97


def _phantom(seed: int, **wanted: object) -> Phantom:
    drawn = sample_split(np.random.default_rng(seed), held_out=True)
    update = {"modality": Modality.DERMOSCOPIC, **wanted}
    return render(LesionAttributes.model_validate(dict(drawn) | update), size=160, seed=seed)


def _worse(condition: Condition, rng: Generator, image: Image) -> Image:
    return np.clip(condition(rng, image / 255) * 255, 0, 255).round().astype(np.uint8)


def _cut(phantom: Phantom, side: int) -> tuple[Image, NDArray[np.bool_]]:
    """The picture with about a quarter of the lesion beyond one side, and what is left of it."""
    image, mask = (np.rot90(part, side) for part in (phantom.image, phantom.mask))
    reach = np.cumsum(mask.sum(axis=0)) / mask.sum()
    first = int(np.searchsorted(reach, 0.25))
    return np.ascontiguousarray(image[:, first:]), np.ascontiguousarray(mask[:, first:])


def _overlap(truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> float:
    return float((truth & found).sum() / (truth | found).sum())
