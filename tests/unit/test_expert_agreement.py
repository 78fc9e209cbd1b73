"""The meter against experts: figures on known answers, and whole folders of phantoms as labels."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, f1_score
from typer.testing import CliRunner

from backend.abc.attributes import Asymmetry, Colour
from backend.abc.expert.agreement import Comparison, agreement_of
from backend.abc.expert.evaluation import evaluate, write_readings
from backend.abc.measure import MeasureError
from backend.abc.sampling import sample_split
from backend.abc.survey import contact_sheet, survey
from backend.cli import build_app
from backend.images import write_image
from backend.phantom import Phantom, render

AXES = tuple(Asymmetry)
FIRST_SEED = 78_000
axes = st.sampled_from(AXES)
colour_sets = st.frozensets(st.sampled_from(Colour), min_size=1)


def _comparison(
    expert: Asymmetry | None = None,
    measured: Asymmetry | None = None,
    asked: frozenset[Colour] | None = None,
    told: frozenset[Colour] | None = None,
    *,
    sure: bool = True,
) -> Comparison:
    certain = frozenset(Colour) if sure else frozenset[Colour]()
    return Comparison("a", expert, asked, measured, told, sure, certain)


@given(st.lists(st.tuples(axes, axes), min_size=2, max_size=30))
@settings(max_examples=30, deadline=None)
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[Asymmetry, Asymmetry]]):
    agreement = agreement_of([_comparison(*pair) for pair in pairs], resamples=5)
    expert, meter = ([AXES.index(axis) for axis in side] for side in zip(*pairs, strict=True))

    if len({*expert, *meter}) == 1:
        assert agreement.kappa_all.value is None
    else:
        assert agreement.kappa_all.value == pytest.approx(
            cohen_kappa_score(expert, meter, weights="quadratic")
        )
    assert sum(map(sum, agreement.confusion)) == len(pairs)


@given(st.lists(st.tuples(colour_sets, colour_sets), min_size=1, max_size=20))
@settings(max_examples=20, deadline=None)
def test_f1_is_that_of_scikit_learn(pairs: list[tuple[frozenset[Colour], frozenset[Colour]]]):
    agreement = agreement_of([_comparison(asked=a, told=t) for a, t in pairs], resamples=5)
    asked, told = (
        np.array([[colour in one for colour in Colour] for one in side])
        for side in zip(*pairs, strict=True)
    )

    for figure, average in ((agreement.micro_f1, "micro"), (agreement.macro_f1, "macro")):
        labels = np.flatnonzero(asked.any(axis=0)) if average == "macro" else range(len(Colour))
        expected = f1_score(asked, told, average=average, labels=list(labels), zero_division=0.0)
        assert figure.value == pytest.approx(expected)


@given(st.lists(colour_sets, min_size=1, max_size=20))
@settings(max_examples=20, deadline=None)
def test_naming_what_experts_name_scores_one(named: list[frozenset[Colour]]):
    agreement = agreement_of([_comparison(asked=s, told=s) for s in named], resamples=5)

    assert agreement.micro_f1.value == agreement.macro_f1.value == 1.0
    assert agreement.micro_f1.interval is not None
    assert agreement.micro_f1.interval.low == agreement.micro_f1.interval.high == 1.0
    present = frozenset[Colour]().union(*named)
    assert {c for c, one in agreement.colours.items() if one.f1 == 1.0} == present


def test_unsure_images_count_for_the_best_guess_only():
    right = _comparison(Asymmetry.TWO_AXES, Asymmetry.TWO_AXES)
    also_right = _comparison(Asymmetry.SYMMETRIC, Asymmetry.SYMMETRIC)
    wrong = _comparison(Asymmetry.SYMMETRIC, Asymmetry.TWO_AXES, sure=False)

    agreement = agreement_of([right, also_right, wrong], resamples=5)

    assert agreement.kappa_sure.value == 1.0
    assert agreement.kappa_sure.count == 2
    assert agreement.kappa_all.value is not None
    assert agreement.kappa_all.value < 1.0
    assert agreement.asymmetry_unsure == pytest.approx(1 / 3)


def test_a_lesion_that_was_not_found_names_no_colour_and_has_no_kappa():
    red = frozenset({Colour.RED})
    missed = _comparison(Asymmetry.SYMMETRIC, None, red, None, sure=False)

    agreement = agreement_of([missed], resamples=5)

    assert agreement.not_found == 1
    assert agreement.kappa_all.value is None
    assert agreement.micro_f1.value == 0.0
    assert agreement.asymmetry_unsure == 1.0


def test_a_table_without_colours_or_without_asymmetry_has_no_figures_of_them():
    shapes = agreement_of([_comparison(Asymmetry.SYMMETRIC, Asymmetry.SYMMETRIC)], resamples=5)
    colours = agreement_of([_comparison(asked=frozenset({Colour.RED}), told=frozenset())])

    assert shapes.colours == {}
    assert shapes.micro_f1.value is shapes.colours_unsure is None
    assert colours.asymmetry_unsure is None
    assert sum(map(sum, colours.confusion)) == 0


@pytest.fixture(scope="module")
def phantoms() -> list[Phantom]:
    """Phantoms whose truth stands in for experts."""
    return [
        render(sample_split(np.random.default_rng(seed), held_out=True), size=128, seed=seed)
        for seed in range(FIRST_SEED, FIRST_SEED + 12)
    ]


@pytest.fixture
def ph2(phantoms: list[Phantom], tmp_path: Path) -> Path:
    """A folder laid out as PH2, with masks, one of them of another size, and one image damaged."""
    lines = ["|| Name || Asymmetry || Colors ||"]
    for number, phantom in enumerate(phantoms):
        name = f"IMD{number:03d}"
        nest = tmp_path / "PH2 Dataset images" / name
        for folder, plane in (
            ("Dermoscopic_Image", phantom.image),
            ("lesion", np.repeat(phantom.mask[..., None] * np.uint8(255), 3, axis=2)),
        ):
            (nest / f"{name}_{folder}").mkdir(parents=True)
            file = name if folder == "Dermoscopic_Image" else f"{name}_lesion"
            (nest / f"{name}_{folder}" / f"{file}.bmp").write_bytes(
                cv2.imencode(".bmp", plane[..., ::-1])[1].tobytes()
            )
        truth = phantom.truth
        assert truth.asymmetry is not None
        numbers = "  ".join(str(1 + list(Colour).index(colour)) for colour in truth.colours)
        lines.append(f"|| {name} || {AXES.index(truth.asymmetry)} || {numbers} ||")
    lines += ["|| IMD900 || 1 || 3 ||", "|| IMD901 || 5 || 3 ||", "|| IMD902 || 1 || 3 ||"]
    images = tmp_path / "PH2 Dataset images"
    (images / "IMD902.bmp").write_bytes(b"BM no image")
    write_image(
        images / "IMD001" / "IMD001_lesion" / "IMD001_lesion.bmp",
        np.zeros((40, 40, 3), dtype=np.uint8),
    )
    (tmp_path / "PH2_dataset.txt").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def test_phantoms_as_experts_are_agreed_with_and_every_fault_gets_one_sentence(ph2: Path):
    evaluation = evaluate(ph2)
    agreement = evaluation.agreement

    assert agreement.images == 12
    assert agreement.kappa_all.value is not None
    assert agreement.kappa_all.value > 0.8
    assert agreement.micro_f1.value is not None
    assert agreement.micro_f1.value > 0.9
    assert agreement.overlap.count == 11
    assert agreement.overlap.value is not None
    assert agreement.overlap.value > 0.9
    assert agreement.dice.value is not None
    assert agreement.dice.value > agreement.overlap.value
    assert len(evaluation.problems) == 4
    for name, words in (
        ("IMD900", "no such image"),
        ("IMD901", "asymmetry '5'"),
        ("IMD902", "not an image"),
        ("IMD001", "not of the size"),
    ):
        (problem,) = (one for one in evaluation.problems if name in one)
        assert words in problem
        assert problem.endswith(".")


def test_what_was_read_of_every_image_is_written_as_csv(ph2: Path, tmp_path: Path):
    evaluation = evaluate(ph2)
    path = tmp_path / "out" / "readings.csv"

    write_readings(path, evaluation.comparisons)

    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("image,asymmetry,measured_asymmetry,sure,colours")
    assert len(lines) == 1 + len(evaluation.comparisons)


def test_the_command_prints_every_figure_as_text_and_as_json(ph2: Path):
    run = CliRunner()

    text = run.invoke(build_app(), ["measure", "--evaluate", str(ph2)])
    document = run.invoke(build_app(), ["measure", "--evaluate", str(ph2), "--json"])

    assert text.exit_code == document.exit_code == 0
    for word in ("weighted kappa", "micro F1", "unsure of asymmetry", "dark_brown", "EXPERT"):
        assert word in text.stdout
    value = json.loads(document.stdout)
    assert value["agreement"]["kappa_all"]["value"] > 0.8
    assert set(value["agreement"]["colours"]) == set(Colour)
    assert len(value["problems"]) == 4


def test_a_table_whose_images_are_all_missing_is_refused(tmp_path: Path):
    (tmp_path / "labels.csv").write_text("image,asymmetry\na,1\n", encoding="utf-8")

    with pytest.raises(MeasureError, match=r"labels\.csv could be measured.*no such image"):
        evaluate(tmp_path)


def test_a_survey_counts_empty_masks_and_unsure_readings(phantoms: list[Phantom], tmp_path: Path):
    for number, phantom in enumerate(phantoms[:3]):
        write_image(tmp_path / f"{number}.png", phantom.image)
    write_image(tmp_path / "skin.png", np.full((96, 96, 3), 200, dtype=np.uint8))
    (tmp_path / "broken.png").write_bytes(b"no image")

    counted = survey(sorted(tmp_path.glob("*.png")))

    assert counted.images == 4
    assert (counted.empty, counted.full, counted.usable) == (0.25, 0.0, 0.75)
    assert counted.unsure["asymmetry"] >= 0.25
    assert [sentence.split(":")[0] for sentence in counted.problems] == ["broken.png"]
    printed = CliRunner().invoke(build_app(), ["measure", "--survey", str(tmp_path)])
    assert "masks neither empty nor full  75.0%" in printed.stdout


def test_a_contact_sheet_has_a_tile_for_every_image(phantoms: list[Phantom]):
    sheet = contact_sheet([phantom.image for phantom in phantoms[:5]], side=48, columns=3)

    assert sheet.shape == (96, 144, 3)
    assert not sheet[48:, 96:].any()


@pytest.mark.parametrize("words", [[], ["a.png", "--survey", "b"]])
def test_the_command_asks_for_one_thing_to_measure(words: list[str]):
    result = CliRunner().invoke(build_app(), ["measure", *words])

    assert result.exit_code == 2
    assert "--evaluate" in result.output
