"""The meter as a whole: phantoms in, attributes out; anything else in, nothing or a sentence."""

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.abc.adherence import score_attributes
from backend.abc.attributes import (
    Asymmetry,
    Border,
    Colour,
    LesionAttributes,
    Modality,
    SkinTone,
    pattern_of,
)
from backend.abc.measure import MEASURED_FIELDS, MeasureError, Measurement, measure, overlay
from backend.abc.sampling import sample_split
from backend.phantom import Phantom, render

Measured = list[tuple[Phantom, Measurement]]

FIRST_SEED = 77_000
COUNT = 60
BAR = {"colours": 0.90, "border": 0.88, "asymmetry": 0.90, "skin_tone": 0.90, "edge": 0.85}


@pytest.fixture(scope="module")
def measured() -> Measured:
    """Phantoms of combinations that the calibration never saw, and what the meter says of them."""
    phantoms = [
        render(sample_split(np.random.default_rng(seed), held_out=True), size=128, seed=seed)
        for seed in range(FIRST_SEED, FIRST_SEED + COUNT)
    ]
    return [(phantom, measure(phantom.image)) for phantom in phantoms]


@pytest.mark.parametrize("attribute", sorted(BAR))
def test_unseen_phantoms_are_read_at_the_bar(measured: Measured, attribute: str):
    pairs = [(phantom.truth, measurement.attributes) for phantom, measurement in measured]

    assert score_attributes(pairs)[attribute] >= BAR[attribute]


def test_masks_cover_the_lesion_and_little_else(measured: Measured):
    overlaps = [_overlap(phantom.mask, m.mask) for phantom, m in measured]

    assert np.mean(overlaps) > 0.9
    assert min(overlaps) > 0.6


def test_confidence_is_higher_where_the_meter_is_right(measured: Measured):
    right, wrong = [], []
    for phantom, measurement in measured:
        for field in ("border", "edge", "colours", "asymmetry"):
            told = getattr(measurement.attributes, field)
            group = right if told == getattr(phantom.truth, field) else wrong
            group.append(measurement.confidence[field])

    assert all(0.0 <= value <= 1.0 for value in right + wrong)
    assert np.mean(right) > np.mean(wrong) + 0.1


def test_every_measured_field_is_said_with_a_confidence(measured: Measured):
    for _, measurement in measured:
        said = measurement.attributes
        assert measurement.found
        assert set(measurement.confidence) == set(MEASURED_FIELDS)
        assert all(getattr(said, field) is not None for field in MEASURED_FIELDS)
        assert said.pattern is pattern_of(said.colours)
        assert (said.label, said.diagnosis, said.modality, said.site) == (None,) * 4
        assert all(np.isfinite(value) for value in measurement.indices.values())


def test_the_same_image_is_measured_the_same_twice():
    image = _phantom(seed=5).image

    first, second = measure(image), measure(image)

    assert first.attributes == second.attributes
    assert first.indices == second.indices
    assert np.array_equal(first.mask, second.mask)


@pytest.mark.parametrize("size", [96, 192, 512])
def test_shape_and_colour_are_the_same_at_any_size(size: int):
    lesion = LesionAttributes(
        asymmetry=Asymmetry.TWO_AXES,
        border=Border.IRREGULAR,
        colours=(Colour.DARK_BROWN, Colour.BLUE_GRAY),
        skin_tone=SkinTone.II,
        modality=Modality.DERMOSCOPIC,
    )
    phantom = render(lesion, size=size, seed=11)

    measurement = measure(phantom.image)

    assert measurement.mask.shape == (size, size)
    assert _overlap(phantom.mask, measurement.mask) > 0.85
    assert measurement.attributes.asymmetry is Asymmetry.TWO_AXES
    assert measurement.attributes.border is Border.IRREGULAR
    assert set(measurement.attributes.colours) == {Colour.DARK_BROWN, Colour.BLUE_GRAY}


def test_a_wide_image_is_measured_in_its_own_shape():
    image = _phantom(seed=3).image
    skin = np.median(image[:8].reshape(-1, 3), axis=0).astype(np.uint8)
    wide = np.tile(skin, (128, 300, 1)).astype(np.uint8)
    wide[:, 86:214] = image

    measurement = measure(wide)

    assert measurement.found
    assert measurement.mask.shape == (128, 300)


@pytest.mark.parametrize("level", [0, 30, 128, 200, 255])
def test_a_blank_image_holds_no_lesion(level: int):
    _assert_nothing(measure(np.full((128, 128, 3), level, dtype=np.uint8)))


def test_pure_noise_holds_no_lesion():
    noise = np.random.default_rng(2).integers(0, 256, (128, 128, 3), dtype=np.uint8)

    _assert_nothing(measure(noise))


def test_a_lesion_of_one_pixel_is_no_lesion():
    skin = np.full((128, 128, 3), (224, 180, 160), dtype=np.uint8)
    skin[64, 64] = (60, 30, 20)

    _assert_nothing(measure(skin))


def test_an_image_that_is_all_lesion_has_no_skin_to_tell_it_from():
    _assert_nothing(measure(np.full((200, 160, 3), (96, 60, 40), dtype=np.uint8)))


@pytest.mark.parametrize("shape", [(32, 32), (32, 4096), (4096, 40), (33, 250)])
def test_the_smallest_and_the_longest_images_are_measured(shape: tuple[int, int]):
    image = np.full((*shape, 3), (220, 176, 158), dtype=np.uint8)
    height, width = shape
    image[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = (90, 55, 40)

    assert measure(image).mask.shape == shape


def test_a_grey_image_is_measured_without_its_colours():
    image = _phantom(seed=8).image
    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)

    measurement = measure(grey)

    assert measurement.attributes.asymmetry is not None or not measurement.found


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (np.zeros((64, 64), np.uint8), "RGB"),
        (np.zeros((64, 64, 4), np.uint8), "RGB"),
        (np.zeros((64, 64, 3), np.float32), "uint8"),
        (np.zeros((64, 64, 3), np.int64), "uint8"),
        (np.zeros((31, 64, 3), np.uint8), "resize"),
        (np.zeros((64, 4097, 3), np.uint8), "resize"),
        (np.zeros((0, 0, 3), np.uint8), "resize"),
    ],
)
def test_what_is_no_image_is_refused_in_a_sentence(image: NDArray[np.uint8], word: str):
    with pytest.raises(MeasureError, match=word) as refusal:
        measure(image)

    assert str(refusal.value).endswith(".")


def test_the_overlay_marks_the_lesion_and_leaves_the_image_alone():
    phantom = _phantom(seed=5)
    before = phantom.image.copy()

    drawn = overlay(phantom.image, measure(phantom.image))

    changed = (drawn != phantom.image).any(axis=2)
    assert np.array_equal(phantom.image, before)
    assert drawn.shape == phantom.image.shape
    assert drawn.dtype == np.uint8
    assert changed[phantom.mask].any()
    assert 0.02 < changed.mean() < 0.5


def test_the_overlay_of_an_image_without_lesion_is_a_copy():
    skin = np.full((64, 64, 3), 180, dtype=np.uint8)

    drawn = overlay(skin, measure(skin))

    assert drawn is not skin
    assert np.array_equal(drawn, skin)


def _phantom(*, seed: int) -> Phantom:
    return render(sample_split(np.random.default_rng(seed), held_out=False), size=128, seed=seed)


def _overlap(truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> float:
    return float((truth & found).sum() / (truth | found).sum())


def _assert_nothing(measurement: Measurement) -> None:
    assert not measurement.found
    assert measurement.attributes == LesionAttributes()
    assert set(measurement.confidence.values()) == {0.0}
    assert not measurement.mask.any()
