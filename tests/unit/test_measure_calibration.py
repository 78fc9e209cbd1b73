"""The file that the meter reads, and the command that makes it."""

import json
from pathlib import Path

import numpy as np
import pytest

from backend.abc.calibration import (
    FIRST_SEED,
    HELD_OUT_FIRST_SEED,
    PALETTE_FIRST_SEED,
    calibrate_palette,
    degrade,
    examples,
    fit_meter,
    write_meter,
)
from backend.abc.measure import MeasureError, measure
from backend.abc.measurement.colour import Palette
from backend.abc.measurement.fitting import Example
from backend.abc.measurement.meter import METER_FILE, Meter, load_meter
from backend.abc.sampling import is_held_out, sample_split
from backend.phantom import render

Calibration = tuple[Palette, list[Example], list[Example]]


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    """A real calibration's palette and examples, few of them."""
    palette = calibrate_palette(1)
    seen = list(examples(70, FIRST_SEED, palette, held_out=False))
    return palette, seen, list(examples(6, HELD_OUT_FIRST_SEED, palette, held_out=True))


@pytest.fixture(scope="module")
def small_meter(calibration: Calibration) -> Meter:
    """The meter that comes of it."""
    palette, seen, unseen = calibration
    return fit_meter(palette, seen, unseen, palette_rounds=1)


def test_the_shipped_meter_reads_held_out_phantoms_at_the_bar():
    scores = load_meter().provenance.scores

    assert all(scores[name] >= 0.90 for name in ("colours", "border", "asymmetry", "skin_tone"))


def test_the_shipped_meter_was_scored_on_seeds_that_it_was_not_fitted_to():
    made = load_meter().provenance

    ranges = [
        range(made.first_seed, made.first_seed + made.phantoms),
        range(made.palette_first_seed, made.palette_first_seed + made.palette_phantoms),
        range(made.held_out_first_seed, made.held_out_first_seed + made.held_out_phantoms),
    ]
    assert [r.start for r in ranges] == [FIRST_SEED, PALETTE_FIRST_SEED, HELD_OUT_FIRST_SEED]
    assert all(
        max(a.start, b.start) >= min(a.stop, b.stop) for a in ranges for b in ranges if a is not b
    )


def test_the_shipped_meter_says_how_it_was_made_and_holds_plain_numbers_only():
    raw = json.loads(METER_FILE.read_text(encoding="utf-8"))

    assert raw["provenance"]["command"].startswith("python -m backend calibrate --phantoms")
    assert {"numpy", "scikit-learn"} <= set(raw["provenance"]["versions"])
    assert METER_FILE.stat().st_size < 400_000


def test_calibrating_again_gives_the_same_meter(calibration: Calibration, small_meter: Meter):
    palette, seen, unseen = calibration

    assert list(examples(4, FIRST_SEED, palette, held_out=False)) == seen[:4]
    assert fit_meter(palette, seen, unseen, palette_rounds=1) == small_meter


def test_too_few_phantoms_are_refused_in_a_sentence(calibration: Calibration):
    palette, seen, unseen = calibration

    with pytest.raises(MeasureError, match="ask for more with --phantoms"):
        fit_meter(palette, seen[:4], unseen, palette_rounds=1)


def test_the_fit_and_the_scores_share_no_combination(calibration: Calibration):
    _, seen, unseen = calibration

    assert not any(is_held_out(example.truth) for example in seen)
    assert all(is_held_out(example.truth) for example in unseen)


def test_a_written_meter_is_read_back_the_same_and_measures(small_meter: Meter, tmp_path: Path):
    path = tmp_path / "assets" / "meter.json"
    write_meter(small_meter, path)
    phantom = render(sample_split(np.random.default_rng(4), held_out=False), size=128, seed=4)

    meter = load_meter(path)

    assert meter == small_meter
    assert measure(phantom.image, meter=meter).found
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_or_damaged_meter_is_named_in_a_sentence(tmp_path: Path):
    damaged = tmp_path / "damaged.json"
    damaged.write_text('{"palette": {}}', encoding="utf-8")

    with pytest.raises(MeasureError, match=r"missing\.json.*backend calibrate"):
        load_meter(tmp_path / "missing.json")
    with pytest.raises(MeasureError, match=r"damaged\.json.*make it again"):
        load_meter(damaged)


def test_degrading_keeps_the_picture_recognisable():
    rng = np.random.default_rng(0)
    image = render(sample_split(rng, held_out=False), size=128, seed=1).image

    worse = degrade(image, np.random.default_rng(3))

    assert worse.shape == image.shape
    assert worse.dtype == np.uint8
    assert 0 < np.abs(worse.astype(int) - image).mean() < 12
