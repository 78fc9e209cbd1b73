"""The reading of photographs: the camera's white, the six colours on it, and when it applies."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from backend.abc.attributes import Asymmetry, Colour
from backend.abc.measure import measure
from backend.abc.measurement.frame import to_lab
from backend.abc.measurement.photograph import (
    BALANCED_SKIN,
    axes_of_asymmetry,
    balance,
    photograph_weight,
)
from backend.abc.sampling import sample_split
from backend.phantom import render

SIZE = 160
SKIN = (214, 172, 150)
# sRGB of the colours as dermoscopy shows them on that skin.
SHADES = {
    Colour.RED: (196, 70, 84),
    Colour.LIGHT_BROWN: (160, 108, 74),
    Colour.DARK_BROWN: (92, 54, 36),
    Colour.BLUE_GRAY: (96, 100, 116),
    Colour.BLACK: (24, 20, 20),
}


@given(
    gains=st.tuples(*[st.floats(0.75, 1.2)] * 3),
    skin=st.tuples(st.floats(60, 85), st.floats(6, 30), st.floats(-8, 22)),
)
@settings(max_examples=40, deadline=None)
def test_balanced_skin_has_one_colour_whatever_the_camera(
    gains: tuple[float, float, float], skin: tuple[float, float, float]
):
    rgb = cv2.cvtColor(np.array([[skin]], dtype=np.float32), cv2.COLOR_LAB2RGB)
    seen = np.clip(rgb * np.array(gains, dtype=np.float32), 0.02, 0.98)
    lab = to_lab(seen)[0, 0].astype(np.float64)
    if lab[0] < 60:
        return

    balanced = to_lab(balance(seen, lab))[0, 0]

    assert balanced == pytest.approx(BALANCED_SKIN, abs=1.0)


def test_dark_skin_is_not_made_fair():
    lab = np.array([42.0, 14.0, 13.0])
    seen = cv2.cvtColor(lab.astype(np.float32)[None, None], cv2.COLOR_LAB2RGB)

    balanced = to_lab(balance(seen, lab))[0, 0]

    assert balanced[0] == pytest.approx(72 * 42 / 60, abs=1.0)


@pytest.mark.parametrize("cast", [(1.0, 1.0, 1.0), (1.1, 0.86, 0.92), (0.9, 0.95, 1.12)])
@pytest.mark.parametrize("colour", SHADES)
def test_a_colour_keeps_its_name_under_the_cast_of_a_camera(
    colour: Colour, cast: tuple[float, float, float]
):
    image = _photograph(SHADES[colour], cast)

    indices = measure(image).indices
    shares = {one: indices[f"photo_{one}"] for one in Colour}

    assert max(shares, key=lambda one: shares[one]) is colour
    assert shares[colour] > 0.8


def test_a_paler_patch_than_skin_inside_a_brown_lesion_is_white():
    image = _photograph(SHADES[Colour.DARK_BROWN], (1.0, 1.0, 1.0))
    image[_disc(18)] = (236, 228, 224)

    indices = measure(image).indices

    assert 0.08 < indices["photo_white"] < 0.3
    assert indices["photo_dark_brown"] > 0.6


def test_phantoms_are_read_as_what_they_are():
    weights = [
        photograph_weight(
            measure(
                render(sample_split(np.random.default_rng(s), held_out=True), seed=s).image
            ).indices
        )
        for s in range(81_000, 81_016)
    ]

    assert max(weights) < 0.5
    assert np.mean(weights) < 0.05


def test_unlike_colours_need_grain_or_a_cast_to_be_a_photograph():
    plain = {"palette_misfit": 6.0, "photo_grain": 0.1, "photo_cast": 0.0}

    assert photograph_weight(plain) < 0.1
    assert photograph_weight(plain | {"photo_grain": 0.8}) > 0.9
    assert photograph_weight(plain | {"photo_cast": 12.0}) > 0.9
    assert photograph_weight(plain | {"photo_grain": 0.8, "palette_misfit": 1.5}) < 0.1


@given(lower=st.floats(0, 6), more=st.floats(0, 4))
def test_the_probabilities_of_the_axes_sum_to_one_and_follow_the_mismatch(
    lower: float, more: float
):
    indices = {"axis_asymmetry_lower": lower, "axis_asymmetry_upper": lower + more}

    likely = axes_of_asymmetry(indices)

    assert likely.sum() == pytest.approx(1.0)
    assert (likely >= -1e-9).all()
    middle = lower + more / 2
    expected = Asymmetry.SYMMETRIC if middle < 1.6 else Asymmetry.TWO_AXES if middle > 2.4 else None
    if expected is not None:
        assert tuple(Asymmetry)[int(likely.argmax())] is expected


def _photograph(shade: tuple[int, int, int], cast: tuple[float, float, float]) -> NDArray[np.uint8]:
    """A soft disc of one shade on grainy skin, as a camera of some cast sees it."""
    image = np.full((SIZE, SIZE, 3), SKIN, dtype=np.float64)
    cover = cv2.GaussianBlur(_disc(44).astype(np.float64), (0, 0), 1.5)[..., None]
    image += cover * (np.array(shade) - image)
    image += np.random.default_rng(3).normal(0, 3, image.shape)
    # The gains of a camera act on linear light.
    linear = (np.clip(image, 0, 255) / 255) ** 2.2 * np.array(cast)
    return np.clip(linear ** (1 / 2.2) * 255, 0, 255).round().astype(np.uint8)


def _disc(radius: float) -> NDArray[np.bool_]:
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    return np.asarray((x - SIZE / 2) ** 2 + (y - SIZE / 2) ** 2 <= radius**2)
