"""The Benchmark tab's handlers: import, choose, move, see images, report; and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from backend.evaluation.errors import EvaluationError
from backend.evaluation.exploring import at_point, explore
from backend.evaluation.metrics import confusion_of, rates_of
from backend.evaluation.operating_points import Rule, Wanted
from backend.evaluation.prediction_tables import keep_table, list_tables
from backend.evaluation.reporting import ARCHIVE, PAGE, run_evaluate
from backend.evaluation.thresholds import CELLS, images_in
from backend.jobs.queue import list_jobs
from backend.jobs.worker import Worker
from backend.settings import Settings
from backend.store.database import Database
from studio.actions import PageAction
from studio.context import StudioContext
from studio.tabs.benchmark import FIRST, BenchmarkTab, build_benchmark, wanted_of
from tests.unit.test_evaluation import rows, table


@pytest.fixture
def studio(settings: Settings, database: Database) -> StudioContext:
    """A workspace with nothing in it."""
    return StudioContext(settings, database)


@pytest.fixture
def tab(studio: StudioContext) -> BenchmarkTab:
    """The tab, laid out."""
    import gradio as gr

    with gr.Blocks():
        return build_benchmark(studio)


def values_of(tab: BenchmarkTab, tables: list[str], **changed: Any) -> dict[Any, Any]:
    values: dict[Any, Any] = dict.fromkeys(tab.inputs)
    values |= {tab.tables: tables, tab.split: "test", tab.point: FIRST, tab.shown: []}
    return values | {getattr(tab, name): value for name, value in changed.items()}


def brought(studio: StudioContext, tmp_path: Path, frame: pd.DataFrame, name: str) -> str:
    file = tmp_path / name
    frame.to_csv(file, index=False)
    return keep_table(studio.settings.workspace, file).name


def test_nothing_chosen_says_what_to_do(tab: BenchmarkTab, studio: StudioContext) -> None:
    drawn = tab.look(studio, values_of(tab, []))
    assert "Run the embedded demo" in drawn[tab.curves]
    assert not drawn[tab.report].interactive


def test_the_readout_follows_the_point(
    tab: BenchmarkTab, studio: StudioContext, tmp_path: Path
) -> None:
    names = [
        brought(studio, tmp_path, rows("vit", 2.5), "vit.csv"),
        brought(studio, tmp_path, rows("resnext", 1.0), "resnext.csv"),
    ]
    drawn = tab.draw(studio, values_of(tab, names))
    assert drawn[tab.curves].count('data-plot="') == 4
    assert "published" in drawn[tab.curves].casefold()
    assert "V (small)" in drawn[tab.forest]
    acted = tab.act(
        studio, values_of(tab, names), PageAction(action="point", value="0.25", nonce=1)
    )
    frame = rows("vit", 2.5)
    truth, score = frame["y_true"].to_numpy() == 1, frame["score"].to_numpy()
    cells = confusion_of(truth, score, 0.25)
    assert f"Missed malignant: {cells.false_negatives:,}" in acted[tab.readout]
    assert "0.250" in acted[tab.readout]
    assert acted[tab.threshold] == 0.25


def test_a_threshold_makes_what_counting_makes() -> None:
    found = explore(table(rows("vit", 1.5)))
    run = found.runs[0]
    for threshold in np.linspace(0, 1, 41):
        at = at_point(found, Wanted(Rule.FIXED, float(threshold)))[0].at
        cells = confusion_of(run.series.y_true, run.series.score, threshold)
        assert at.confusion == cells
        counts = [cells.true_positives, cells.false_positives]
        counts += [cells.true_negatives, cells.false_negatives]
        expected = rates_of(np.array(counts, dtype=float))
        assert at.sensitivity.value == pytest.approx(expected[2])
        listed = {name: images_in(run.scores, float(threshold), name) for name in CELLS}
        assert {name: len(one) for name, one in listed.items()} == {
            name: getattr(cells, name) for name in CELLS
        }
        assert sorted(np.concatenate(list(listed.values()))) == sorted(run.series.images)


def test_a_cell_shows_its_images_worst_first(
    tab: BenchmarkTab, studio: StudioContext, tmp_path: Path
) -> None:
    name = brought(studio, tmp_path, rows("vit", 1.0), "vit.csv")
    press = PageAction(action="cell", value="false_negatives", nonce=1)
    acted = tab.act(studio, values_of(tab, [name]), press)
    shown = acted[tab.images]
    assert shown.count("<li ") <= 24
    assert "not in the corpus" in shown
    scores = [float(one.split("<")[0]) for one in shown.split("Score ")[1:]]
    assert scores == sorted(scores)
    again = tab.act(studio, values_of(tab, [name], cell=acted[tab.cell]), press)
    assert again[tab.cell]["name"] == ""
    with pytest.raises(EvaluationError, match="unknown"):
        tab.act(studio, values_of(tab, [name]), PageAction(action="cell", value="x", nonce=2))
    with pytest.raises(EvaluationError, match="from 0 to 1"):
        tab.act(studio, values_of(tab, [name]), PageAction(action="point", value="7", nonce=3))


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (rows("vit", 2).assign(y_true=1), "All images are malignant"),
        (rows("vit", 2).assign(score=0.5), "same score"),
        (rows("vit", 2).sort_values("y_true").iloc[[0, -1]], "too few to judge"),
    ],
)
def test_what_the_data_cannot_carry_is_a_sentence(
    tab: BenchmarkTab, studio: StudioContext, tmp_path: Path, frame: pd.DataFrame, sentence: str
) -> None:
    name = brought(studio, tmp_path, frame, "odd.csv")
    drawn = tab.draw(studio, values_of(tab, [name]))
    assert sentence in drawn[tab.curves]
    if frame["y_true"].nunique() == 1:
        assert "<svg" not in drawn[tab.curves]


def test_runs_of_different_images_are_not_to_be_compared(
    tab: BenchmarkTab, studio: StudioContext, tmp_path: Path
) -> None:
    both = pd.concat([rows("vit", 2), rows("resnext", 1, images=200)])
    name = brought(studio, tmp_path, both, "both.csv")
    assert "different sets" in tab.draw(studio, values_of(tab, [name]))[tab.curves]
    shared = tab.draw(studio, values_of(tab, [name], shared=True))
    assert "different sets" not in shared[tab.curves]


def test_the_form_guesses_maps_and_refuses(
    tab: BenchmarkTab, studio: StudioContext, tmp_path: Path
) -> None:
    form, file = tab.form, tmp_path / "foreign.csv"
    words = np.where(rows("m", 1)["y_true"] == 1, "mel", "nv")
    foreign = rows("m", 1)[["image_id", "score"]].assign(dx=words)
    foreign.rename(columns={"image_id": "isic_id", "score": "prob"}).to_csv(file, index=False)
    offered = form.offer({form.drop: str(file)})
    assert "<caption>First rows</caption>" in offered[form.preview]
    assert offered[form.columns["image_id"]].value == "isic_id"
    values: dict[Any, Any] = dict.fromkeys(form.columns.values(), "")
    values |= {form.drop: str(file), form.malignant: "", form.benign: ""}
    values |= {form.columns["image_id"]: "isic_id", form.columns["score"]: "prob"}
    with pytest.raises(EvaluationError, match="which column is the truth"):
        form.keep(studio, values)
    values[form.columns["y_true"]] = "dx"
    with pytest.raises(EvaluationError, match=r"The truth in foreign\.csv says"):
        form.keep(studio, values)
    kept = form.keep(studio, values | {form.malignant: "mel", form.benign: "nv"})
    assert [entry.name for entry in list_tables(studio.settings.workspace)] == [kept.name]
    with pytest.raises(EvaluationError, match="chosen twice"):
        form.keep(studio, values | {form.columns["y_true"]: "prob"})
    file.write_text(file.read_text().replace("isic_id", "isic_id", 1) + "x,nan,mel\n")
    with pytest.raises(EvaluationError, match="no number as its score"):
        form.keep(studio, values | {form.malignant: "mel", form.benign: "nv"})
    with pytest.raises(EvaluationError, match="first"):
        form.keep(studio, values | {form.drop: None})


def test_a_report_is_a_job_and_gives_the_curves_their_bands(
    tab: BenchmarkTab, studio: StudioContext, tmp_path: Path
) -> None:
    from backend.evaluation.reporting import EvaluateTask, submit_evaluate
    from backend.jobs.processes import this_process
    from backend.jobs.queue import claim_next

    name = brought(studio, tmp_path, rows("vit", 2.0), "vit.csv")
    before = tab.draw(studio, values_of(tab, [name]))
    assert "fill-opacity" not in before[tab.curves]
    submit_evaluate(studio.database, studio.settings, EvaluateTask(tables=(name,)))
    job = claim_next(studio.database, this_process())
    assert job is not None
    Worker(studio.settings, studio.database).run_job(job)
    assert list_jobs(studio.database)[0].error is None
    after = tab.follow(studio, values_of(tab, [name], seen=before[tab.seen]))
    assert "fill-opacity" in after[tab.curves]
    assert PAGE in after[tab.downloads]
    assert ARCHIVE in after[tab.downloads]
    with pytest.raises(EvaluationError, match="cannot evaluate"):
        run_evaluate(None, {"tables": []}, None)  # type: ignore[arg-type]


def test_presets_and_hands_become_rules() -> None:
    assert wanted_of(FIRST) == Wanted(Rule.YOUDEN)
    assert wanted_of({"preset": "", "threshold": 0.3}) == Wanted(Rule.FIXED, 0.3)
    with pytest.raises(EvaluationError, match="from 0 to 1"):
        wanted_of({"preset": "", "threshold": "nan"})
