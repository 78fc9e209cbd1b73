"""Classifiers train by the paper's recipes, go on where they stopped, and see no test image."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from backend.abc.attributes import Label
from backend.abc.sampling import sample_attributes
from backend.corpus.pictures import Picture
from backend.evaluation.cells import (
    CellTask,
    Rows,
    is_done,
    missing_cells,
    read_cell,
    read_scores,
    write_cell,
)
from backend.evaluation.errors import EvaluationError
from backend.evaluation.grid import make_grid
from backend.evaluation.planning import experiments_dir, results_dir
from backend.evaluation.pools import LabelledPicture, Pool, open_pool
from backend.evaluation.prediction_files import read_predictions
from backend.evaluation.prediction_tables import list_tables
from backend.evaluation.predictions import Split, clusters_of, series_of
from backend.evaluation.recipes import PAPER, Recipe
from backend.evaluation.reporting import KIND as EVALUATE
from backend.evaluation.reporting import NOT_SCORED, EvaluateTask, report_dir
from backend.evaluation.running import KIND, payload_of
from backend.generation.provenance import write_phantom
from backend.images import read_image
from backend.jobs.here import run_here
from backend.jobs.queue import JobView
from backend.jobs.states import JobState
from backend.phantom import render
from backend.settings import Settings
from backend.store.database import Database
from tests.phantom_download import write_download
from tests.service.imports import import_folder
from training.classifier.loop import run_cell
from training.classifier.models import build_classifier

SMALL = Recipe(
    architecture="test_efficientnet", learning_rate=1e-3, epochs=2, batch_size=4, side=32
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sets of phantoms in folders by label: 12 real, 8 test, 8 synthetic."""
    root = tmp_path_factory.mktemp("phantoms")
    for number, (name, count) in enumerate((("real", 12), ("test", 8), ("made", 8))):
        for index in range(count):
            label = list(Label)[index % 2]
            seed = 1000 * number + index
            attributes = sample_attributes(np.random.default_rng(seed), label=label)
            phantom = render(attributes, size=64, seed=seed)
            path = root / name / label.value / f"{index}.png"
            write_phantom(path, phantom.image, truth=phantom.truth, seed=seed)
    return root


@pytest.fixture
def pool(pictures: Path, tmp_path: Path) -> Callable[[str, int], Pool]:
    """A decoded set at a side."""

    def opened(name: str, side: int) -> Pool:
        paths = sorted((pictures / name).rglob("*.png"))
        labelled = [
            LabelledPicture(Picture(str(path), path), path.parent.name == "malignant")
            for path in paths
        ]
        return open_pool(tmp_path / "pools", labelled, side)

    return opened


def _task(recipe: Recipe, train: Pool, test: Pool, *, seed: int = 0, images: int = 0) -> CellTask:
    def rows(pool: Pool, count: int = 0) -> tuple[Rows, ...]:
        chosen = [index for label in (0, 1) for index in _of(pool, label)[: count // 2 or None]]
        return (Rows(pool=pool.folder, digest=pool.digest, indices=tuple(sorted(chosen))),)

    return CellTask(
        model="tiny",
        seed=seed,
        recipe=recipe,
        train=rows(train, images),
        validation=rows(test, 4),
        test=rows(test),
    )


def _of(pool: Pool, label: int) -> list[int]:
    return [index for index, value in enumerate(pool.labels) if value == label]


@pytest.mark.parametrize("architecture", sorted(PAPER))
def test_a_recipe_of_the_paper_trains_a_real_step_and_scores(
    architecture: str, pool: Callable[[str, int], Pool], tmp_path: Path
) -> None:
    paper = PAPER[architecture]
    assert (paper.epochs, paper.batch_size, paper.side) == (40, 32, 224)
    recipe = paper.model_copy(update={"epochs": 1, "batch_size": 2})
    train, test = pool("real", 224), pool("test", 224)
    task = _task(recipe, train, test, images=2)
    task = task.model_copy(update={"validation": (), "test": task.validation})
    folder = write_cell(tmp_path, task)
    run_cell(folder, "cpu")
    frame = read_scores(folder, "paper")
    assert len(frame) == 4
    assert frame["score"].between(0, 1).all()
    line = json.loads((folder / "epochs.jsonl").read_text())
    assert line["epoch"] == 1
    assert 0 < line["loss"] < 10


def test_a_cell_that_was_stopped_ends_as_one_that_was_not(
    pool: Callable[[str, int], Pool], tmp_path: Path
) -> None:
    task = _task(SMALL, pool("real", 32), pool("test", 32))
    whole, stopped = write_cell(tmp_path / "a", task), write_cell(tmp_path / "b", task)
    run_cell(whole, "cpu")

    def stop(epoch: int) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cell(stopped, "cpu", stop)
    assert not is_done(stopped)
    run_cell(stopped, "cpu")
    assert read_scores(whole, "x").equals(read_scores(stopped, "x"))
    lines = (stopped / "epochs.jsonl").read_text().splitlines()
    epochs = [json.loads(line)["epoch"] for line in lines]
    assert epochs == [1, 2]
    assert missing_cells([whole, stopped]) == []


def test_the_key_of_a_cell_follows_what_decides_its_result_and_nothing_else(
    pool: Callable[[str, int], Pool], tmp_path: Path
) -> None:
    train, test = pool("real", 32), pool("test", 32)
    task = _task(SMALL, train, test)
    renamed = task.model_copy(update={"model": "another name"})
    other_seed = task.model_copy(update={"seed": 1})
    faster = _task(SMALL.model_copy(update={"learning_rate": 2e-3}), train, test)
    fewer = _task(SMALL, train, test, images=4)
    keys = [one.key for one in (other_seed, faster, fewer)]
    assert renamed.key == task.key
    assert len({task.key, *keys}) == 4
    assert read_cell(write_cell(tmp_path, task)) == task


def test_weights_from_safetensors_are_used_and_pickles_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first = build_classifier(SMALL)
    file = tmp_path / "model.safetensors"
    save_file(first.network.state_dict(), file)
    torch.manual_seed(1)
    again = build_classifier(SMALL.model_copy(update={"weights": str(file)}))
    name = "conv_stem.weight"
    assert torch.equal(first.network.state_dict()[name], again.network.state_dict()[name])
    (tmp_path / "config.json").write_text('{"architecture": "resnet18"}')
    for weights, sentence in (
        (tmp_path / "model.pth", "pickle"),
        (tmp_path / "none.safetensors", "not there"),
        (tmp_path, "weights of resnet18"),
    ):
        with pytest.raises(EvaluationError, match=sentence):
            build_classifier(SMALL.model_copy(update={"weights": str(weights)}))
    with pytest.raises(EvaluationError, match="no architecture"):
        build_classifier(SMALL.model_copy(update={"architecture": "resnet_of_dreams"}))
    file.write_bytes(b"broken")
    (tmp_path / "config.json").unlink()
    with pytest.raises(EvaluationError, match="cannot be built"):
        build_classifier(SMALL.model_copy(update={"weights": str(file)}))


def _grid(pictures: Path, **changes: object) -> dict[str, object]:
    return {
        "name": "Tiny",
        "real": f"folder:{pictures / 'real'}",
        "test": f"folder:{pictures / 'test'}",
        "validation": 0.3,
        "generators": {"Phantoms": f"folder:{pictures / 'made'}"},
        "architectures": [{"name": "Net", **SMALL.model_dump(mode="json")}],
        "scenarios": [
            {"name": "(i)", "shows": ["table-2"], "synthetic": [4]},
            {
                "name": "s",
                "shows": ["figure-4", "table-3-figure-5"],
                "real": [4],
                "ratios": [0, 1],
                "synthetic_only": [4],
            },
        ],
        "seeds": [0, 1],
        "rule": True,
        **changes,
    }


def _run(settings: Settings, database: Database, values: dict[str, object]) -> JobView:
    grid = make_grid(values)
    return run_here(
        settings,
        database,
        kind=KIND,
        payload=payload_of(grid),
        title="t",
        total=0,
        show=lambda _job: None,
    )


def test_a_grid_makes_every_table_and_a_rerun_trains_only_what_is_missing(
    settings: Settings, database: Database, pictures: Path
) -> None:
    values = _grid(pictures)
    job = _run(settings, database, values)
    assert (job.state, job.error) == (JobState.DONE, None)
    folder = results_dir(settings.workspace, make_grid(values))
    names = {path.name for path in folder.iterdir()}
    expected = {"predictions.parquet", "table-2.csv", "table-3.md", "figure-4.csv"}
    assert expected | {"figure-4-roc-auc.svg", "figure-5.svg", "table-2.tex"} <= names
    assert "Published by the paper" in (folder / "table-2.md").read_text()
    cells = sorted((experiments_dir(settings.workspace) / "cells").iterdir())
    assert len(cells) == 6, "(i) and 0:1 are the same classifiers"
    before = {cell: (cell / "predictions.parquet").stat().st_mtime_ns for cell in cells}
    table = (folder / "figure-4.csv").read_bytes()
    shutil.rmtree(cells[0])
    assert _run(settings, database, values).state is JobState.DONE
    after = {cell: (cell / "predictions.parquet").stat().st_mtime_ns for cell in cells}
    assert [cell for cell in cells if before[cell] != after[cell]] == [cells[0]]
    assert (folder / "figure-4.csv").read_bytes() == table


def test_predictions_of_corpus_images_say_whose_they_are(
    settings: Settings, database: Database, pictures: Path, tmp_path: Path
) -> None:
    import_folder(settings, database, write_download(tmp_path / "ham", 12, first=500), "ham10000")
    values = _grid(pictures, test="dataset:ham10000", scenarios=[{"name": "s", "real": [4]}])
    job = _run(settings, database, values)
    assert (job.state, job.error) == (JobState.DONE, None)
    table = results_dir(settings.workspace, make_grid(values)) / "predictions.parquet"
    predictions = read_predictions(table)
    series = series_of(predictions)[0]
    owners, kind = clusters_of(predictions, series.images)
    assert kind == "lesion"
    assert len(series.images) == 12
    assert np.bincount(owners).tolist() == [2] * 6
    facts = predictions.facts.iloc[series.images]
    assert set(facts["sex"]) == {"male", "female"}
    assert facts["age"].str.fullmatch(r"\d\d").all()
    held_back = series_of(predictions, Split.VALIDATION)[0]
    assert set(predictions.facts["lesion"].iloc[held_back.images]) == {""}
    later = write_download(tmp_path / "later", 3, first=700)
    import_folder(settings, database, later, "ham10000")
    entries = list_tables(settings.workspace)
    task = EvaluateTask(tables=(entries[0].name,))
    payload = task.model_dump(mode="json")
    told = run_here(
        settings, database, kind=EVALUATE, payload=payload, title="t", total=0, show=lambda _: None
    )
    assert (told.state, told.error) == (JobState.DONE, None)
    flow = (report_dir(settings, entries, task) / "flow.svg").read_text()
    assert f"{NOT_SCORED}: 3" in flow


def test_leakage_between_training_and_test_stops_the_run_with_the_pairs(
    settings: Settings, database: Database, pictures: Path, tmp_path: Path
) -> None:
    leaking = tmp_path / "leaking"
    shutil.copytree(pictures / "test", leaking)
    stolen = pictures / "real" / "malignant" / "1.png"
    Image.fromarray(read_image(stolen)).save(leaking / "malignant" / "copy.jpg", quality=90)
    job = _run(settings, database, _grid(pictures, test=f"folder:{leaking}"))
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert "the training images" in job.error
    assert "copy.jpg" in job.error
    assert "leakage: report" in job.error
    assert not (experiments_dir(settings.workspace) / "cells").exists()


def test_too_few_images_and_missing_models_are_named(
    settings: Settings, database: Database, pictures: Path, tmp_path: Path
) -> None:
    scenarios = [{"name": "s", "real": [40]}]
    job = _run(settings, database, _grid(pictures, scenarios=scenarios))
    assert "Only" in (job.error or "")
    assert "not 20" in (job.error or "")
    scenarios = [{"name": "s", "synthetic": [4]}]
    models = [{"name": "MAKE", "folder": str(tmp_path / "MAKE")}]
    job = _run(settings, database, _grid(pictures, scenarios=scenarios, zero_shot=models))
    assert "MAKE is not in" in (job.error or "")
