"""The report's numbers are the command line's; what the data cannot carry is said, not drawn."""

import dataclasses
import json
import re
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
from PIL import Image
from pydantic import TypeAdapter
from typer.testing import CliRunner

from backend.cli import build_app
from backend.evaluation.canvas import Canvas, Dot, Text
from backend.evaluation.checklists import CHECKLISTS
from backend.evaluation.evaluation import Evaluation, Options, evaluate
from backend.evaluation.figures import Line
from backend.evaluation.plots import sensitivity_plot
from backend.evaluation.prediction_files import write_predictions
from backend.evaluation.predictions import Predictions
from backend.evaluation.report import Study, study_figures, write_report
from backend.evaluation.report_tables import said
from tests.unit.test_evaluation import rows, table

QUICK = Options(replicates=200)


def study(predictions: Predictions, options: Options = QUICK) -> Study:
    return Study("A study", predictions, evaluate(predictions, options), ["one.csv"], "abc")


@pytest.fixture(scope="module")
def two_models() -> Predictions:
    """Two models on the same test images, one with validation images too."""
    return table(rows("vit", 2.5), rows("res & next", 1.0), rows("vit", 2.5, split="validation"))


def test_the_page_has_the_numbers_of_the_command(two_models: Predictions, tmp_path: Path) -> None:
    file = tmp_path / "both.parquet"
    write_predictions(two_models, file)
    run = CliRunner().invoke
    asked = [str(file), "--replicates", "200"]
    printed = run(build_app(), ["evaluate", "predictions", *asked, "--json"])
    made = run(build_app(), ["evaluate", "report", *asked, "--out", str(tmp_path / "study")])
    assert made.exit_code == 0, made.output
    page = (tmp_path / "study" / "report.html").read_text()
    found = TypeAdapter(Evaluation).validate_json(printed.stdout)
    for model in found.models:
        for mean in model.means:
            assert f"<td>{said(mean.estimate)}</td>" in page, (model.model, mean)
    models = pd.read_csv(tmp_path / "study" / "models.csv")
    assert models["auc"].tolist() == pytest.approx(
        [model.runs[0].auc.value for model in found.models], abs=1e-12
    )


def test_the_page_needs_nothing_from_elsewhere(two_models: Predictions, tmp_path: Path) -> None:
    files = write_report(study(two_models), tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert set(re.findall(r'src="(data:image/svg\+xml)?', page)) == {"data:image/svg+xml"}
    anchors = set(re.findall(r'href="#([\w-]+)"', page))
    assert anchors <= set(re.findall(r'id="([\w-]+)"', page))
    assert "res &amp; next" in page
    for file in files:
        if file.suffix == ".svg":
            ET.fromstring(file.read_text())  # noqa: S314 - our own
        if file.suffix == ".png":
            assert Image.open(BytesIO(file.read_bytes())).width >= 800
    assert r"res \& next" in (tmp_path / "models.tex").read_text()


def test_every_item_that_is_answered_points_to_a_section(
    two_models: Predictions, tmp_path: Path
) -> None:
    write_report(study(two_models), tmp_path)
    page = (tmp_path / "report.html").read_text()
    for name, items in CHECKLISTS.items():
        assert name in page
        for item in items:
            assert bool(item.section) == bool(item.answer), item
    assert "To be stated by the authors." in page


def test_one_class_has_no_curve_and_a_sentence(tmp_path: Path) -> None:
    sick = rows("vit", 2.0)
    found = study(table(sick[sick["y_true"] == 1]))
    assert {"roc", "precision-recall", "decision", "calibration"}.isdisjoint(study_figures(found))
    write_report(found, tmp_path)
    assert "All images are malignant" in (tmp_path / "report.html").read_text()


def test_ties_two_rows_and_a_tiny_group_are_said(tmp_path: Path) -> None:
    tied = study(table(rows("vit", 2.0).assign(score=0.4)))
    write_report(tied, tmp_path / "tied")
    assert "gives every image the same score" in (tmp_path / "tied" / "report.html").read_text()
    two = rows("vit", 2.0)
    two = pd.concat([two[two["y_true"] == 1].head(1), two[two["y_true"] == 0].head(1)])
    write_report(study(table(two)), tmp_path / "two")
    assert "too few to judge" in (tmp_path / "two" / "report.html").read_text()
    groups = study_figures(study(table(rows("vit", 2.0))))["subgroups-1"]
    words = [shape for shape in groups.shapes if isinstance(shape, Text)]
    assert any(one.words == "V (small)" and one.part == "quiet" for one in words)


def test_different_images_are_not_compared_and_the_flow_says_so(tmp_path: Path) -> None:
    mixed = study(table(rows("vit", 2.0), rows("resnext", 1.0, images=200)))
    write_report(mixed, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "different sets of images" in page
    assert not (tmp_path / "comparisons.csv").exists()


def test_an_evaluation_survives_json(two_models: Predictions) -> None:
    found = evaluate(two_models, QUICK)
    adapter = TypeAdapter(Evaluation)
    assert dataclasses.asdict(adapter.validate_json(adapter.dump_json(found))) == (
        dataclasses.asdict(found)
    )
    json.loads(adapter.dump_json(found))


def test_published_lines_are_hollow_and_say_so() -> None:
    lines = [Line("ViT", [0, 1], [0.7, 0.8]), Line("ViT", [0, 1], [0.6, 0.7], published=True)]
    canvas = sensitivity_plot("Figure 4", lines, "Accuracy")
    assert isinstance(canvas, Canvas)
    dots = [shape for shape in canvas.shapes if isinstance(shape, Dot)]
    assert [dot.hollow for dot in dots] == [False, False, True, True]
    assert "ViT (published)" in canvas.svg()
    assert sensitivity_plot("Figure 4", [], "Accuracy") is None
