"""A sweep is a job: the pixels of single requests, a figure that says what it is, an export."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.abc.grammar import CaptionStyle
from backend.generation.errors import GenerationError
from backend.generation.gallery import delete, restore
from backend.generation.provenance import FIGURE_KEY, SYNTHETIC_XMP, XMP_KEY, read_png
from backend.generation.sweeps.running import FIGURE, export_sweep, submit_sweep
from backend.generation.sweeps.sweep import Sweep, cells, make_sweep
from backend.images import read_image
from backend.jobs.queue import cancel, retry
from backend.jobs.states import JobState
from tests.service.studio import Studio, open_studio, partial_files, tiny_request, wait_for

TEMPLATE = "A lesion with {asymmetry} and a {border} border."


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, tiny_flux: Path) -> Iterator[Studio]:
    """One workspace for all tests here: the model is loaded once."""
    studio = open_studio(tmp_path_factory.mktemp("sweeps"), tiny_flux)
    yield studio
    studio.database.close()


def sweep(**changes: object) -> Sweep:
    values = {
        "request": tiny_request(steps=2, style=CaptionStyle.PLAIN),
        "across": {"name": "border", "values": ["regular", "irregular"]},
        "down": {"name": "guidance", "values": [1.0, 3.5]},
        "template": TEMPLATE,
    }
    return make_sweep(values | changes)


@pytest.fixture(scope="module")
def finished(studio: Studio) -> tuple[Sweep, str]:
    """A sweep that ran to its end, and its job."""
    job_id = submit_sweep(studio.database, studio.settings, sweep())
    job = studio.work()
    assert job.error is None
    assert (job.state, job.done, job.total) == (JobState.DONE, 8, 8)
    return make_sweep(job.payload), job_id


def test_each_cell_has_the_pixels_of_the_single_request_from_the_same_noise(
    studio: Studio, finished: tuple[Sweep, str]
) -> None:
    made, job_id = finished
    images = studio.images(job_id)
    assert [image.request for image in images] == list(cells(made))
    assert {image.seed for image in images} == {7}
    assert len({image.pixel_hash for image in images}) == 4
    (alone,) = studio.make(images[2].request)
    assert alone.pixel_hash == images[2].pixel_hash
    assert read_png(images[2].path).request.template == TEMPLATE


def test_the_figure_is_marked_and_holds_the_pixels(
    studio: Studio, finished: tuple[Sweep, str], tmp_path: Path
) -> None:
    made, job_id = finished
    folder = export_sweep(studio.database, studio.settings, job_id, tmp_path / "out")
    assert len(list(folder.glob(f"{job_id}-*.png"))) == 4
    with Image.open(folder / FIGURE) as figure:
        text = figure.info
    assert text[XMP_KEY] == SYNTHETIC_XMP
    facts = json.loads(text[FIGURE_KEY])
    assert facts["synthetic"] is True
    assert make_sweep(facts["sweep"]) == made
    shown = read_image(folder / FIGURE)
    tile = np.kron(read_image(studio.images(job_id)[3].path), np.ones((2, 2, 1), dtype=np.uint8))
    height, width = shown.shape[0] - 128, shown.shape[1] - 128
    assert any(
        np.array_equal(shown[row : row + 128, column : column + 128], tile)
        for row in range(height)
        for column in range(width)
        if (shown[row, column] == tile[0, 0]).all()
    )


def test_a_cancelled_sweep_keeps_its_cells_and_makes_the_rest(studio: Studio) -> None:
    slow = sweep(request=tiny_request(steps=100))
    job_id = submit_sweep(studio.database, studio.settings, slow)

    def cancel_after_the_first() -> None:
        wait_for(lambda: len(studio.images(job_id)) > 0)
        cancel(studio.database, job_id)

    canceller = threading.Thread(target=cancel_after_the_first)
    canceller.start()
    assert studio.work().state is JobState.CANCELLED
    canceller.join()
    before = studio.images(job_id)
    assert 0 < len(before) < 4
    retry(studio.database, job_id)
    assert studio.work().state is JobState.DONE
    assert studio.images(job_id)[: len(before)] == before
    assert (studio.settings.jobs_dir / job_id / FIGURE).is_file()
    assert partial_files(studio.settings) == []


def test_a_deleted_cell_leaves_its_place_empty(
    studio: Studio, finished: tuple[Sweep, str], tmp_path: Path
) -> None:
    _, job_id = finished
    gone = studio.images(job_id)[0].id
    delete(studio.database, [gone])
    folder = export_sweep(studio.database, studio.settings, job_id, tmp_path / "three")
    restore(studio.database, [gone])
    assert len(list(folder.glob(f"{job_id}-*.png"))) == 3


def test_only_a_sweep_is_exported_as_one(studio: Studio, tmp_path: Path) -> None:
    job_id = studio.submit(tiny_request(steps=1))
    studio.work()
    with pytest.raises(GenerationError, match="is no sweep"):
        export_sweep(studio.database, studio.settings, job_id, tmp_path / "out")
