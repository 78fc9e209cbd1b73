"""Phantoms show what their attributes say, exactly and reproducibly."""

import hashlib
import itertools

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, binary_erosion, gaussian_filter

from backend.abc.attributes import (
    Asymmetry,
    Border,
    Colour,
    ColourPattern,
    Diagnosis,
    Edge,
    Label,
    LesionAttributes,
    Modality,
    Site,
    SkinTone,
)
from backend.phantom import (
    COLOUR_LAB,
    LARGEST_SIZE,
    SKIN_LAB,
    Phantom,
    PhantomError,
    colour_lab,
    mirror_mismatch,
    render,
    render_between,
)
from backend.phantom.artefacts import draw_artefacts
from backend.phantom.outline import ANGLES, draw_outline

COLOURS = tuple(Colour)


def lab_of(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)


def mask_mismatch(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Share of the mask that misses its mirror image about its two principal axes, ascending."""
    points = np.argwhere(mask).astype(float)
    centre = points.mean(axis=0)
    axes = np.linalg.eigh(np.cov((points - centre).T))[1].T
    found = []
    for axis in axes:
        mirror = 2 * np.outer(axis, axis) - np.eye(2)
        image = affine_transform(mask.astype(np.uint8), mirror, centre - mirror @ centre, order=0)
        found.append(np.count_nonzero(image != mask) / len(points))
    return min(found), max(found)


def mask_irregularity(mask: NDArray[np.bool_]) -> float:
    """Relative deviation of the mask's radius in harmonics 5 to 24."""
    rows, columns = (float(axis.mean()) for axis in np.nonzero(mask))
    reach = mask.shape[0] / 2
    flags = cv2.WARP_POLAR_LINEAR | cv2.INTER_LINEAR | cv2.WARP_FILL_OUTLIERS
    smooth = gaussian_filter(mask.astype(np.float32), 0.7)
    polar = cv2.warpPolar(smooth, (400, 360), (columns, rows), reach, flags)
    radii = polar.sum(axis=1)
    spectrum = np.fft.rfft(radii / radii.mean())
    spectrum[:5] = spectrum[25:] = 0
    return float(np.fft.irfft(spectrum, 360).std())


def test_same_request_gives_the_same_pixels_and_another_seed_does_not() -> None:
    request = LesionAttributes(diagnosis=Diagnosis.MELANOMA)
    first, again, other = (render(request, size=96, seed=seed) for seed in (5, 5, 6))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.mask, again.mask)
    assert first.truth == again.truth
    assert not np.array_equal(first.image, other.image)


def test_pixels_are_those_recorded_when_the_look_was_frozen() -> None:
    digest = hashlib.sha256()
    for seed in range(6):
        truth = LesionAttributes(
            asymmetry=list(Asymmetry)[seed % 3],
            border=list(Border)[seed // 2],
            edge=list(Edge)[seed % 2],
            colours=COLOURS[seed:] if seed else COLOURS[2:4],
            diagnosis=list(Diagnosis)[seed],
            modality=list(Modality)[seed % 2],
            skin_tone=SkinTone(seed + 1),
            site=list(Site)[seed],
            diameter_mm=4.0 + seed,
        )
        digest.update(render(truth, size=64, seed=seed).image.tobytes())
    assert digest.hexdigest() == (
        "a39b07ffe49de4ad8445fa0c7c2172607e26865e1c164ff67ebe4d85136580ea"
    )


@pytest.mark.parametrize("seed", range(12))
def test_truth_keeps_what_was_said_and_leaves_nothing_open(seed: int) -> None:
    request = LesionAttributes(label=list(Label)[seed % 2], skin_tone=SkinTone(seed % 6 + 1))
    truth = render(request, size=32, seed=seed).truth
    assert all(value is not None and value != () for _, value in truth)
    assert (truth.label, truth.skin_tone) == (request.label, request.skin_tone)
    assert truth.diagnosis is not None
    assert truth.diagnosis.label == truth.label
    assert LesionAttributes.model_validate(truth.model_dump()) == truth


@pytest.mark.parametrize("pattern", ColourPattern)
@pytest.mark.parametrize("named", [(), (Colour.RED,)])
def test_colours_are_drawn_to_suit_the_pattern(
    pattern: ColourPattern, named: tuple[Colour, ...]
) -> None:
    truth = render(LesionAttributes(pattern=pattern, colours=named), size=32, seed=1).truth
    assert truth.pattern is pattern
    assert set(named) <= set(truth.colours)
    least = list(ColourPattern).index(pattern) + 1
    assert len(truth.colours) >= least
    assert truth.colours[:1] == named or not named


def test_complete_request_comes_back_unchanged() -> None:
    truth = render(LesionAttributes(), size=32, seed=3).truth
    assert render(truth, size=32, seed=99).truth == truth


@pytest.mark.parametrize("border", Border)
@pytest.mark.parametrize("asymmetry", Asymmetry)
def test_low_order_outline_keeps_the_margins_of_its_asymmetry(
    asymmetry: Asymmetry, border: Border
) -> None:
    for seed in range(10):
        outline = draw_outline(np.random.default_rng(seed), asymmetry, border)
        smaller, larger, least = mirror_mismatch(outline.smooth)
        if asymmetry is Asymmetry.SYMMETRIC:
            assert larger < 0.06
        elif asymmetry is Asymmetry.ONE_AXIS:
            assert smaller < 0.06
            assert larger > 0.20
        else:
            assert smaller > 0.20
            assert least > 0.15


@pytest.mark.parametrize("asymmetry", Asymmetry)
def test_exact_mask_shows_its_asymmetry(asymmetry: Asymmetry) -> None:
    request = LesionAttributes(
        asymmetry=asymmetry, border=Border.REGULAR, modality=Modality.DERMOSCOPIC
    )
    for seed in range(8):
        smaller, larger = mask_mismatch(render(request, size=160, seed=seed).mask)
        assert (smaller > 0.15) == (asymmetry is Asymmetry.TWO_AXES)
        assert (larger > 0.15) == (asymmetry is not Asymmetry.SYMMETRIC)
        assert not 0.10 < smaller < 0.17
        assert not 0.08 < larger < 0.17


@pytest.mark.parametrize("asymmetry", Asymmetry)
def test_borders_are_ordered_with_a_gap_whatever_the_asymmetry(asymmetry: Asymmetry) -> None:
    bands = []
    for border in Border:
        request = LesionAttributes(asymmetry=asymmetry, border=border)
        found = [mask_irregularity(render(request, size=160, seed=s).mask) for s in range(6)]
        bands.append((min(found), max(found)))
    for below, above in itertools.pairwise(bands):
        assert below[1] < 0.9 * above[0], bands


def test_between_two_lesions_lie_outlines_of_neither_kind() -> None:
    symmetric, other = (
        LesionAttributes(asymmetry=kind, border=Border.REGULAR, colours=(Colour.LIGHT_BROWN,))
        for kind in (Asymmetry.SYMMETRIC, Asymmetry.ONE_AXIS)
    )
    for seed in range(4):
        drawn = [
            render_between(symmetric, other, share, size=160, seed=seed)
            for share in (0.0, 0.3, 0.6, 1.0)
        ]
        assert np.array_equal(drawn[0].image, render(symmetric, size=160, seed=seed).image)
        assert np.array_equal(drawn[-1].image, render(other, size=160, seed=seed).image)
        mismatch = [mask_mismatch(phantom.mask)[1] for phantom in drawn]
        assert mismatch == sorted(mismatch)
        assert mismatch[0] + 0.02 < mismatch[2] < mismatch[3] - 0.02
        nearer = [phantom.truth.asymmetry for phantom in drawn]
        assert nearer == [Asymmetry.SYMMETRIC] * 2 + [Asymmetry.ONE_AXIS] * 2


@pytest.mark.parametrize("share", [-0.1, 1.01, float("nan")])
def test_a_share_between_lesions_out_of_range_is_refused(share: float) -> None:
    lesion = LesionAttributes()
    with pytest.raises(PhantomError, match=r"share between two lesions is .*: give 0 to 1"):
        render_between(lesion, lesion, share, seed=1)


def test_border_leaves_the_orders_of_asymmetry_alone() -> None:
    rng = np.random.default_rng(2)
    outline = draw_outline(rng, Asymmetry.SYMMETRIC, Border.IRREGULAR)
    spectrum = np.abs(np.fft.rfft(outline.radii / outline.smooth)) / ANGLES
    assert spectrum[1:5].max() < 1e-12
    assert spectrum[5:].max() > 0.01


def edge_width(phantom: Phantom) -> float:
    """Width in pixels over which the colour goes from 25 to 75 % of lesion against skin."""
    lab = lab_of(phantom.image)
    depth = cv2.distanceTransform(phantom.mask.astype(np.uint8), cv2.DIST_L2, 5)
    depth = depth - cv2.distanceTransform((~phantom.mask).astype(np.uint8), cv2.DIST_L2, 5)
    inner, outer = (lab[side].mean(axis=0) for side in (depth > 0.6 * depth.max(), depth < -14))
    share = (lab - outer) @ (inner - outer) / np.sum((inner - outer) ** 2)
    places = np.arange(-12, 0.8 * depth.max(), 0.5)
    profile = np.array([share[np.abs(depth - place) < 1.1].mean() for place in places])
    return float(np.count_nonzero((profile > 0.25) & (profile < 0.75)) * 0.5)


def test_fading_edge_is_several_times_as_wide_as_a_well_defined_one() -> None:
    widths: dict[Edge, list[float]] = {edge: [] for edge in Edge}
    for edge, seed in itertools.product(Edge, range(8)):
        request = LesionAttributes(
            edge=edge, colours=(Colour.DARK_BROWN,), skin_tone=SkinTone.II, border=Border.REGULAR
        )
        widths[edge].append(edge_width(render(request, seed=seed)))
    assert max(widths[Edge.WELL_DEFINED]) <= 3.0
    assert min(widths[Edge.FADING]) >= 4.0


@pytest.mark.parametrize("count", range(1, 7))
@pytest.mark.parametrize("asymmetry", Asymmetry)
def test_named_colours_cover_their_shares(count: int, asymmetry: Asymmetry) -> None:
    rng = np.random.default_rng(count)
    for seed in range(2):
        colours = tuple(COLOURS[i] for i in rng.permutation(6)[:count])
        phantom = render(LesionAttributes(colours=colours, asymmetry=asymmetry), seed=seed)
        shares = np.bincount(phantom.colour_map[phantom.mask], minlength=count)
        shares = shares / np.count_nonzero(phantom.mask)
        assert len(shares) == count
        # Five others at a tenth each leave the dominant colour a hair under half.
        assert shares[0] >= (0.49 if count == 6 else 0.5)
        assert shares[1:].min(initial=1.0) >= 0.10


@pytest.mark.parametrize("tone", SkinTone)
@pytest.mark.parametrize("colour", Colour)
def test_structures_leave_a_colour_what_it_is(colour: Colour, tone: SkinTone) -> None:
    references = np.array([colour_lab(other, tone) for other in COLOURS])
    strays = []
    for diagnosis in list(Diagnosis)[tone % 2 :: 2]:
        request = LesionAttributes(
            colours=(colour,), skin_tone=tone, diagnosis=diagnosis, edge=Edge.WELL_DEFINED
        )
        phantom = render(request, seed=int(tone))
        core = lab_of(phantom.image)[binary_erosion(phantom.mask, iterations=3)]
        nearest = ((core[:, None] - references) ** 2).sum(axis=2).argmin(axis=1)
        strays.append(np.mean(nearest != COLOURS.index(colour)))
    # Dark network lines on the darkest shade of a light brown may reach half-way to dark brown.
    assert np.mean(strays) < 0.03
    assert max(strays) < 0.10


@pytest.mark.parametrize("tone", SkinTone)
def test_colours_and_skin_stay_apart_on_every_skin(tone: SkinTone) -> None:
    looks = [np.array(colour_lab(colour, tone)) for colour in Colour] + [np.array(SKIN_LAB[tone])]
    closest = min(np.linalg.norm(one - other) for one, other in itertools.combinations(looks, 2))
    assert closest > 12


def test_colour_references_on_the_fairest_skin_are_the_exported_ones() -> None:
    for colour in Colour:
        assert colour_lab(colour, SkinTone.I) == pytest.approx(COLOUR_LAB[colour])


def test_skin_types_are_ordered_by_lightness_without_overlap() -> None:
    bands = []
    for tone in SkinTone:
        found = []
        for seed in range(6):
            request = LesionAttributes(skin_tone=tone, colours=(Colour.DARK_BROWN,))
            phantom = render(request, seed=seed)
            found.append(float(np.median(lab_of(phantom.image)[..., 0][near_skin(phantom.mask)])))
        bands.append((min(found), max(found)))
    for fairer, darker in itertools.pairwise(bands):
        assert fairer[0] > darker[1], bands


def near_skin(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Skin beyond the widest edge, within the round of the lens."""
    rows, columns = np.indices(mask.shape) / mask.shape[0] - 0.5
    away = binary_erosion(~mask, iterations=mask.shape[0] // 12, border_value=1)
    return away & (np.hypot(rows, columns) < 0.5)


@pytest.mark.parametrize("diameter", [0.1, 3.0, 12.0, 200.0])
@pytest.mark.parametrize("asymmetry", Asymmetry)
@pytest.mark.parametrize("modality", Modality)
def test_lesion_lies_whole_inside_the_frame(
    modality: Modality, asymmetry: Asymmetry, diameter: float
) -> None:
    request = LesionAttributes(modality=modality, asymmetry=asymmetry, diameter_mm=diameter)
    for seed in range(3):
        mask = render(request, size=96, seed=seed).mask
        rows, columns = np.nonzero(mask)
        assert min(rows.min(), columns.min()) >= 2
        assert max(rows.max(), columns.max()) <= 93
        points = np.stack([columns, rows], axis=1).astype(np.int32)
        extent = 2 * cv2.minEnclosingCircle(points)[1] / 96
        assert extent > 0.3


def test_wider_lesions_look_wider() -> None:
    areas = [
        np.count_nonzero(
            render(
                LesionAttributes(
                    modality=Modality.DERMOSCOPIC, asymmetry=Asymmetry.SYMMETRIC, diameter_mm=d
                ),
                seed=4,
            ).mask
        )
        for d in (7.8, 9.0, 10.2)
    ]
    assert areas[0] < areas[1] < areas[2]


@pytest.mark.parametrize("seed", range(2))
def test_every_size_shows_the_same_lesion(seed: int) -> None:
    small = render(LesionAttributes(), size=64, seed=seed)
    for size in (128, 256, 512 if seed else 1024):
        large = render(LesionAttributes(), size=size, seed=seed)
        assert large.image.shape == (size, size, 3)
        assert large.mask.shape == large.colour_map.shape == (size, size)
        assert large.truth == small.truth
        shrunk = cv2.resize(large.image, (64, 64), interpolation=cv2.INTER_AREA)
        assert np.abs(shrunk.astype(float) - small.image).mean() < 3.0
        mask = cv2.resize(large.mask.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA)
        assert np.count_nonzero((mask > 0.5) != small.mask) < 0.04 * np.count_nonzero(small.mask)


def test_a_third_of_pictures_or_more_has_no_artefacts() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_artefacts(rng, Modality.DERMOSCOPIC) for _ in range(2000)]
    kinds = np.array([[a.hair, a.bubbles, a.vignette, a.ruler] for a in drawn])
    assert 0.35 < np.mean(~kinds.any(axis=1)) < 0.65
    assert kinds.mean(axis=0).max() < 0.4


@pytest.mark.parametrize("size", [0, -1, 31, LARGEST_SIZE + 1, 128.0, True, "128", None])
def test_impossible_size_is_refused_with_a_sentence(size: object) -> None:
    with pytest.raises(PhantomError, match=r"phantom size is .*: give a whole number of pixels"):
        render(LesionAttributes(), size=size, seed=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 1.5, None, "7", True])
def test_impossible_seed_is_refused_with_a_sentence(seed: object) -> None:
    with pytest.raises(PhantomError, match=r"phantom seed is .*: give a whole number"):
        render(LesionAttributes(), seed=seed)  # type: ignore[arg-type]


def test_contradiction_of_pattern_and_colours_is_refused_with_a_sentence() -> None:
    request = LesionAttributes(colours=(Colour.RED, Colour.BLACK), pattern=ColourPattern.UNIFORM)
    with pytest.raises(PhantomError, match=r"pattern is uniform but 2 colours are named: name"):
        render(request, seed=1)
