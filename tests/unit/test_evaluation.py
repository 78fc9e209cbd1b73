"""A whole table of models: means, comparisons, subgroups, and what is said where it cannot be."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from backend.cli import build_app
from backend.cli.output import emit
from backend.evaluation.delong import ALL_TIED
from backend.evaluation.errors import EvaluationError
from backend.evaluation.estimates import Method
from backend.evaluation.evaluation import Options, evaluate
from backend.evaluation.operating_points import Rule, Wanted
from backend.evaluation.prediction_files import write_predictions
from backend.evaluation.predictions import Predictions, Split, make_predictions

QUICK = Options(replicates=200)
IMAGES = 300


def rows(
    model: str, strength: float, *, run: int = 0, images: int = IMAGES, split: str = "test"
) -> pd.DataFrame:
    """One run of a model on images of 150 patients, of two skin tones and a rare third."""
    truths = np.random.default_rng(1)
    truth = truths.random(images) < 0.4
    chance = np.random.default_rng([run, len(model), int(strength * 10), len(split)])
    score = 1 / (1 + np.exp(-chance.normal(truth * strength - strength / 2, 1)))
    return pd.DataFrame(
        {
            "image_id": [f"{split}{number}" for number in range(images)],
            "y_true": truth.astype(int),
            "score": score.round(3),
            "model": model,
            "run": str(run),
            "seed": run,
            "split": split,
            "patient": [f"{split}{number // 2}" for number in range(images)],
            "skin_tone": ["V" if n < 3 else ("I-II" if n % 2 else "III-IV") for n in range(images)],
            "age": [str(n % 90) for n in range(images)],
        }
    )


def table(*parts: pd.DataFrame) -> Predictions:
    """One prediction table."""
    return make_predictions(pd.concat(parts, ignore_index=True))


def test_everything_of_two_models_is_told_and_is_json() -> None:
    found = evaluate(table(rows("vit", 2.5), rows("resnext", 1.0)), QUICK)
    assert [model.model for model in found.models] == ["vit", "resnext"]
    assert found.clustered_by == "patient"
    run = found.models[0].runs[0]
    assert run.auc.method is Method.CLUSTERED_DELONG
    assert run.average_precision.method is Method.CLUSTERED_BOOTSTRAP
    for estimate in (run.auc, run.auc_bootstrap, run.average_precision, run.brier):
        assert None not in (estimate.value, estimate.low, estimate.high)
        assert estimate.low < estimate.value < estimate.high
    (compared,) = found.comparisons
    assert (compared.first, compared.second) == ("vit", "resnext")
    assert compared.delong.p == compared.holm_p
    assert compared.delong.p < 0.01
    assert compared.bootstrap_p < 0.02
    assert compared.mcnemar.exact_p < 0.05
    again = json.dumps(dataclasses.asdict(found), allow_nan=False)
    assert json.loads(again)["models"][0]["runs"][0]["auc"]["value"] == run.auc.value
    assert evaluate(table(rows("vit", 2.5), rows("resnext", 1.0)), QUICK) == found


def test_five_runs_give_means_with_intervals_of_runs() -> None:
    runs = [rows(model, strength, run=run) for model, strength in (("a", 2.0), ("b", 1.6))
            for run in range(5)]  # fmt: skip
    found = evaluate(table(*runs), QUICK)
    model = found.models[0]
    means = {(mean.figure, mean.point): mean.estimate for mean in model.means}
    values = [run.auc.value for run in model.runs]
    assert means["auc", ""].value == pytest.approx(np.mean(values))
    assert means["auc", ""].method is Method.RUNS
    assert means["sensitivity", "Youden"].method is Method.RUNS
    assert model.auc.method is Method.RUNS_BOOTSTRAP
    (compared,) = found.comparisons
    difference = np.mean(values) - np.mean([run.auc.value for run in found.models[1].runs])
    assert compared.delong.difference.value == pytest.approx(difference)
    assert compared.bootstrap.method is Method.RUNS_BOOTSTRAP
    assert compared.mcnemar is None
    assert compared.mcnemar_reason


def test_thresholds_come_from_validation_where_there_is_one() -> None:
    test, validation = rows("a", 2.0), rows("a", 2.0, split="validation")
    with_validation = evaluate(table(test, validation), QUICK)
    without = evaluate(table(test), QUICK)
    chosen = [one.point.chosen_on for one in with_validation.models[0].runs[0].points]
    assert chosen == [None, Split.VALIDATION, Split.VALIDATION, Split.VALIDATION]
    assert not any("no validation predictions" in note for note in with_validation.notes)
    assert any("no validation predictions of a" in note for note in without.notes)
    assert without.models[0].runs[0].images == IMAGES


def test_small_groups_are_marked_and_ages_lie_in_spans() -> None:
    groups = evaluate(table(rows("a", 2.0)), QUICK).models[0].runs[0].subgroups
    small = {group.value: group.small for group in groups if group.fact == "skin_tone"}
    assert small == {"I-II": False, "III-IV": False, "V": True}
    assert [group.value for group in groups if group.fact == "age"] == [
        "0 to 29", "30 to 49", "50 to 69", "70 and over"
    ]  # fmt: skip
    assert sum(group.images for group in groups if group.fact == "age") == IMAGES
    three = next(group for group in groups if group.value == "V")
    assert three.images == 3
    assert three.auc.low is None
    assert three.auc.reason


def test_groups_are_averaged_over_runs() -> None:
    runs = [rows("a", strength, run=place) for place, strength in enumerate((2.0, 1.0, 0.5))]
    (model,) = evaluate(table(*runs), QUICK).models
    for group, *each in zip(model.subgroups, *(run.subgroups for run in model.runs), strict=True):
        assert {(one.fact, one.value, one.images) for one in (group, *each)} == {
            (group.fact, group.value, group.images)
        }
        for figure in ("auc", "sensitivity", "specificity"):
            mean, found = getattr(group, figure), [getattr(one, figure) for one in each]
            for end in ("value", "low", "high"):
                values = [getattr(one, end) for one in found]
                known = None not in values
                assert getattr(mean, end) == (pytest.approx(np.mean(values)) if known else None)
    (tiny,) = (group.auc.reason for group in model.subgroups if group.value == "V")
    assert tiny
    (partial,) = evaluate(table(*runs, rows("a", 1.0, run=9, images=200)), QUICK).models
    assert len(partial.runs) == 4
    assert partial.subgroups == model.subgroups
    (single,) = evaluate(table(runs[0]), QUICK).models
    assert single.subgroups == single.runs[0].subgroups


def test_one_class_has_no_curve_and_says_why() -> None:
    benign = rows("a", 2.0)
    found = evaluate(table(benign[benign["y_true"] == 0]), QUICK)
    run = found.models[0].runs[0]
    assert run.roc is run.precision_recall is run.decision is None
    assert run.auc.value is run.average_precision.value is None
    assert run.points[0].rates.specificity.value is not None
    assert run.points[0].rates.sensitivity.value is None
    assert any(note.startswith("All images are benign") for note in found.notes)
    assert [one.point.rule for one in run.points] == [Rule.FIXED]
    json.dumps(dataclasses.asdict(found), allow_nan=False)


def test_the_same_score_for_all_is_said() -> None:
    found = evaluate(table(rows("a", 2.0).assign(score=0.5)), QUICK)
    assert found.models[0].runs[0].auc.value == 0.5
    assert found.models[0].runs[0].auc.reason == ALL_TIED
    assert any("every image the same score" in note for note in found.notes)


def test_two_rows_are_too_few() -> None:
    frame = pd.DataFrame({"image_id": ["a", "b"], "y_true": [0, 1], "score": [0.1, 0.8]})
    found = evaluate(make_predictions(frame), QUICK)
    run = found.models[0].runs[0]
    assert run.small
    assert run.auc.low is None
    assert any("too few" in note for note in found.notes)
    json.dumps(dataclasses.asdict(found), allow_nan=False)


def test_models_of_different_images_are_not_compared_unless_on_shared_ones() -> None:
    parts = table(rows("a", 2.0), rows("b", 1.0, images=200))
    found = evaluate(parts, QUICK)
    assert found.comparisons == ()
    assert any("different sets of images (a: 300; b: 200)" in note for note in found.notes)
    shared = evaluate(parts, dataclasses.replace(QUICK, shared_only=True))
    assert len(shared.comparisons) == 1
    assert {model.runs[0].images for model in shared.models} == {200}
    apart = rows("b", 1.0).assign(image_id=lambda frame: "x" + frame["image_id"])
    with pytest.raises(EvaluationError, match="No image was scored by every run"):
        evaluate(table(rows("a", 2.0), apart), dataclasses.replace(QUICK, shared_only=True))


def test_a_run_stopped_half_way_is_left_out_of_means() -> None:
    found = evaluate(
        table(rows("a", 2.0), rows("a", 2.0, run=1), rows("a", 2.0, run=2, images=100)), QUICK
    )
    model = found.models[0]
    assert [run.images for run in model.runs] == [300, 300, 100]
    means = {mean.figure: mean.estimate for mean in model.means if not mean.point}
    assert means["auc"].value == pytest.approx(np.mean([run.auc.value for run in model.runs[:2]]))
    assert any(note.startswith("a, run 2 scored 100 images") for note in found.notes)


def test_a_split_without_rows_and_a_point_without_target_are_refused() -> None:
    with pytest.raises(EvaluationError, match="no row of the split train"):
        evaluate(table(rows("a", 2.0)), dataclasses.replace(QUICK, split=Split.TRAIN))
    for target in (None, 1.2, -0.1, float("nan")):
        with pytest.raises(EvaluationError, match="target from 0 to 1"):
            Wanted(Rule.SENSITIVITY, target)


def test_the_command_prints_the_same_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = []
    for model, strength in (("vit", 2.5), ("resnext", 1.0)):
        files.append(str(tmp_path / f"{model}.csv"))
        write_predictions(table(rows(model, strength)), Path(files[-1]))
    command = ["evaluate", "predictions", *files, "--replicates", "200"]
    printed = CliRunner().invoke(build_app(), [*command, "--json"], catch_exceptions=False)
    expected = evaluate(table(rows("vit", 2.5), rows("resnext", 1.0)), QUICK)
    emit(expected, True, "")
    assert json.loads(printed.output) == json.loads(capsys.readouterr().out)
    text = CliRunner().invoke(build_app(), command, catch_exceptions=False).output
    auc = expected.models[0].auc
    assert f"{auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})" in text
    assert "no validation predictions of vit, resnext" in text
    assert "V (small)" in text


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        (["--column", "score"], "is no NAME=VALUE"),
        (["--label", "nevus=fine"], "benign or malignant"),
        (["--split", "holdout"], "is no split"),
        (["--sensitivity", "95"], "target from 0 to 1"),
        (["--facts", "none.csv"], "There is no file"),
    ],
)
def test_the_command_refuses_with_a_sentence(
    tmp_path: Path, extra: list[str], sentence: str
) -> None:
    path = tmp_path / "a.csv"
    write_predictions(table(rows("a", 2.0)), path)
    result = CliRunner().invoke(build_app(), ["evaluate", "predictions", str(path), *extra])
    assert sentence in str(result.exception)
