"""The numbers behind the meter, on drawings whose geometry is known."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from backend.abc.attributes import Colour
from backend.abc.measurement.asymmetry import asymmetry_indices, principal_angle
from backend.abc.measurement.border import border_indices
from backend.abc.measurement.colour import fit_palette
from backend.abc.measurement.decision import Decision, Layer
from backend.abc.measurement.edge import edge_indices
from backend.abc.measurement.frame import depth_inside, field_of_view, to_lab
from backend.abc.measurement.hair import hair_mask, remove_hair
from backend.abc.measurement.outline import Outline, perimeter_of, trace_outline
from backend.abc.measurement.segmentation import segment
from backend.abc.measurement.skin import ita_degrees, skin_surface

SIZE = 128
ANGLES = np.linspace(0, 2 * np.pi, 1440, endpoint=False)


def test_a_disc_is_compact_solid_smooth_and_symmetric():
    outline = _outline(np.full_like(ANGLES, 40.0))
    border = border_indices(outline)

    assert outline.area == pytest.approx(np.pi * 40**2, rel=0.02)
    assert perimeter_of(outline.points) == pytest.approx(2 * np.pi * 40, rel=0.02)
    assert border["compactness"] == pytest.approx(1.0, abs=0.03)
    assert border["solidity"] == pytest.approx(1.0, abs=0.01)
    assert border["border_irregularity"] < 0.01
    assert border["fractal_dimension"] == pytest.approx(1.0, abs=0.02)


def test_the_compactness_of_a_square_is_four_over_pi():
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[32:96, 32:96] = True

    assert border_indices(trace_outline(_soft(mask)))["compactness"] == pytest.approx(
        4 / np.pi, rel=0.06
    )


@given(depth=st.floats(0.0, 0.12), count=st.integers(7, 12), turn=st.floats(0, np.pi))
@settings(max_examples=25, deadline=None)
def test_radial_irregularity_is_the_relative_deviation_of_the_waves(
    depth: float, count: int, turn: float
):
    outline = _outline(40 * (1 + depth * np.cos(count * ANGLES + turn)))

    measured = border_indices(outline)["radial_irregularity"]

    assert measured == pytest.approx(depth / np.sqrt(2), abs=0.012)


def test_a_deeper_notch_is_more_irregular_and_less_solid():
    def notched(depth: float) -> dict[str, float]:
        notch = np.exp(-0.5 * ((ANGLES - np.pi) / 0.12) ** 2)
        return border_indices(_outline(40 * (1 - depth * notch)))

    shallow, deep = notched(0.1), notched(0.4)

    assert deep["border_irregularity"] > 1.5 * shallow["border_irregularity"]
    assert deep["solidity"] < shallow["solidity"]
    assert deep["border_deepest_notch"] > shallow["border_deepest_notch"]


@given(aspect=st.floats(1.2, 2.0), turn=st.floats(0, np.pi))
@settings(max_examples=25, deadline=None)
def test_an_ellipse_mirrors_on_both_axes_however_it_lies(aspect: float, turn: float):
    outline = _ellipse(aspect, turn)
    indices = asymmetry_indices(outline, _plain())

    difference = np.angle(np.exp(2j * (principal_angle(outline.smooth) - turn))) / 2
    assert abs(difference) < 0.06
    assert indices["asymmetry_index_major"] < 0.05
    assert indices["asymmetry_index_minor"] < 0.05
    assert indices["elongation"] == pytest.approx(1 / aspect, abs=0.04)


def test_an_egg_differs_across_one_axis_only():
    indices = asymmetry_indices(_egg(), _plain())
    pair = sorted((indices["asymmetry_index_major"], indices["asymmetry_index_minor"]))

    assert pair[0] < 0.05
    assert pair[1] > 0.1


def test_colour_on_one_side_is_asymmetric_only_when_folded_across_it():
    lab = _plain()
    lab[:, : SIZE // 2, 0] = 10
    indices = asymmetry_indices(_ellipse(1.4, 0.0), lab)

    assert indices["colour_asymmetry_lower"] < 4
    assert indices["colour_asymmetry_upper"] > 20
    assert indices["colour_offset"] > 0.2


def test_a_blurred_edge_is_wider_and_less_steep_than_a_sharp_one():
    mask = _disc(40)
    sharp = cv2.GaussianBlur(mask.astype(np.float32) * 20, (0, 0), 0.7)
    fading = cv2.GaussianBlur(mask.astype(np.float32) * 20, (0, 0), 5.0)
    centre = complex(SIZE / 2, SIZE / 2)

    abrupt, soft = (edge_indices(_soft(mask), d, centre) for d in (sharp, fading))

    assert abrupt["edge_width"] < 3 < soft["edge_width"]
    assert abrupt["edge_sharpness"] > 2 * soft["edge_sharpness"]
    assert abrupt["edge_abrupt_segments"] == 8
    assert soft["edge_abrupt_segments"] == 0


@pytest.mark.parametrize(
    ("lightness", "yellow", "degrees"), [(70, 20, 45.0), (50, 15, 0.0), (30, 20, -45.0)]
)
def test_the_typology_angle_follows_its_formula(lightness: float, yellow: float, degrees: float):
    assert ita_degrees(lightness, yellow) == pytest.approx(degrees)


def test_the_skin_surface_follows_uneven_light_and_ignores_a_stray_mole():
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    truth = np.stack([70 - 12 * x + 6 * y, 14 + 0 * x, 18 + 0 * y], axis=2).astype(np.float32)
    seen = truth + np.random.default_rng(0).normal(0, 1, truth.shape).astype(np.float32)
    seen[5:20, 5:20] = (25, 10, 10)
    skin = ~_disc(40)

    surface = skin_surface(seen, skin)

    assert np.abs(surface - truth)[30:, 30:].max() < 2.0


def test_the_lesion_in_the_middle_is_found_and_the_one_in_the_corner_is_not():
    lab = np.full((SIZE, SIZE, 3), (70, 12, 18), dtype=np.float32)
    lab += np.random.default_rng(1).normal(0, 1, lab.shape).astype(np.float32)
    lab[_disc(24)] = (35, 18, 22)
    lab[4:20, 4:20] = (35, 18, 22)

    lesion = segment(lab, np.ones((SIZE, SIZE), dtype=bool))

    assert lesion is not None
    assert (lesion.mask ^ _disc(24)).sum() < 0.06 * _disc(24).sum()
    assert not lesion.mask[:22, :22].any()
    assert lesion.quality > 0.8


def test_white_lesions_count_as_much_as_dark_ones():
    lab = np.full((SIZE, SIZE, 3), (60, 14, 20), dtype=np.float32)
    lab[_disc(20)] = (86, 3, 4)

    lesion = segment(lab, np.ones((SIZE, SIZE), dtype=bool))

    assert lesion is not None
    assert (lesion.mask ^ _disc(20)).sum() < 0.06 * _disc(20).sum()


def test_a_black_frame_is_out_of_view_and_a_black_lesion_is_not():
    rgb = np.full((SIZE, SIZE, 3), 0.7, dtype=np.float32)
    rgb[~_disc(70)] = 0.0
    rgb[_disc(20)] = 0.02

    field = field_of_view(to_lab(rgb))

    assert field[_disc(20)].all()
    assert not field[~_disc(71)].any()


def test_hair_is_removed_and_a_lesion_stays():
    clean = np.full((SIZE, SIZE, 3), (217, 174, 153), dtype=np.uint8)
    clean[_disc(22)] = (90, 56, 40)
    hairy = clean.copy()
    for start, end in (((5, 10), (120, 60)), ((20, 120), (110, 90)), ((100, 3), (70, 125))):
        cv2.line(hairy, start, end, (40, 26, 20), 1, cv2.LINE_AA)
    clean, hairy = clean.astype(np.float32) / 255, hairy.astype(np.float32) / 255

    shaved = remove_hair(hairy, hair_mask(hairy))

    away = ~_disc(24)
    assert np.abs(hairy - clean)[away].mean() > 5 * np.abs(shaved - clean)[away].mean()
    assert np.abs(shaved - clean)[_disc(19)].mean() < 0.03


def test_an_image_without_hair_is_left_as_it_is():
    rgb = np.full((SIZE, SIZE, 3), (0.8, 0.6, 0.5), dtype=np.float32)
    rgb[_disc(22)] = (0.35, 0.22, 0.16)

    assert remove_hair(rgb, hair_mask(rgb)) is rgb


@given(st.integers(0, 5))
@settings(max_examples=6, deadline=None)
def test_a_palette_gives_back_the_colour_it_was_fitted_to(number: int):
    rng = np.random.default_rng(3)
    means = np.array(
        [(85, 3, 4), (48, 42, 20), (58, 17, 35), (33, 18, 22), (48, 0, -10), (12, 2, 2)]
    )
    samples = {
        colour: [
            (mean + 0.2 * (skin - 60) + rng.normal(0, 2, (50, 3)), np.array([skin, 14.0, 18.0]))
            for skin in (45.0, 55.0, 65.0, 75.0)
        ]
        for colour, mean in zip(Colour, means, strict=True)
    }
    palette = fit_palette(samples)

    distances = palette.distances(means[number] + np.zeros((1, 3)), np.array([60.0, 14.0, 18.0]))

    assert distances.argmin() == number
    assert distances.min() < 1.0


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2))
def test_a_decision_gives_probabilities_for_any_indices(values: list[float]):
    decision = _decision()
    indices = dict(zip(decision.inputs, values, strict=True))

    probabilities = decision.probabilities(indices)

    assert probabilities.sum() == pytest.approx(1.0)
    assert (probabilities >= 0).all()


def test_a_higher_temperature_is_less_sure_of_the_same_category():
    cool = _decision()
    warm = cool.model_copy(update={"temperature": 3.0})
    indices = {"a": 2.0, "b": 0.5}

    assert warm.probabilities(indices).argmax() == cool.probabilities(indices).argmax()
    assert warm.probabilities(indices).max() < cool.probabilities(indices).max()


def test_a_layer_whose_rows_do_not_fit_is_refused():
    with pytest.raises(ValueError, match="as many numbers as there are biases"):
        Layer(weights=((1.0, 2.0), (1.0,)), biases=(0.0, 0.0))


@given(radius=st.integers(3, 40))
@settings(max_examples=10, deadline=None)
def test_depth_is_the_distance_to_the_outside(radius: int):
    assert depth_inside(_disc(radius)).max() == pytest.approx(radius, abs=1.0)


def _decision() -> Decision:
    return Decision(
        categories=("x", "y"),
        inputs=("a", "b"),
        exclusive=True,
        means=(0.0, 0.0),
        scales=(1.0, 1.0),
        layers=(
            Layer(weights=((1.0, -1.0), (0.5, 0.5)), biases=(0.0, 0.1)),
            Layer(weights=((1.0, -0.5), (0.2, 0.4)), biases=(0.0, 0.0)),
        ),
    )


def _disc(radius: float) -> NDArray[np.bool_]:
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    return np.asarray((x - SIZE / 2) ** 2 + (y - SIZE / 2) ** 2 <= radius**2)


def _plain() -> NDArray[np.float32]:
    return np.full((SIZE, SIZE, 3), (-30, 4, 6), dtype=np.float32)


def _soft(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.7) - 0.5


def _outline(radii: NDArray[np.float64]) -> Outline:
    points = np.stack([np.cos(ANGLES) * radii, np.sin(ANGLES) * radii], axis=1) + SIZE / 2
    fine = np.zeros((SIZE * 8, SIZE * 8), dtype=np.uint8)
    cv2.fillPoly(fine, [np.round(points * 8).astype(np.int32)], 255)
    small = cv2.resize(fine, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return trace_outline(small.astype(np.float32) / 255 - 0.5)


def _ellipse(aspect: float, turn: float) -> Outline:
    return _outline(30 / np.hypot(np.cos(ANGLES - turn) / aspect, np.sin(ANGLES - turn)))


def _egg() -> Outline:
    ellipse = 34 / np.hypot(np.cos(ANGLES) / 1.3, np.sin(ANGLES))
    return _outline(ellipse * (1 + 0.13 * np.cos(3 * ANGLES) + 0.08 * np.cos(ANGLES)))
