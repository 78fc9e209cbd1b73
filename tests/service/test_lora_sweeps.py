"""LoRAs in sweeps and sets: another weight in each cell, one pinned LoRA in every candidate."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend.cli import build_app
from backend.generation.building.card import README, read_card, set_folder
from backend.generation.building.running import prepare_build, submit_build
from backend.generation.design.design import make_design
from backend.generation.design.files import save_table
from backend.generation.design.table import write_table
from backend.generation.errors import LoraError, RequestError
from backend.generation.lora.shelf import add_lora, get_lora
from backend.generation.sweeps.running import submit_sweep
from backend.generation.sweeps.sweep import make_sweep
from backend.jobs.queue import job_log
from backend.jobs.states import JobState
from tests.lora_files import kohya_lora, save_lora
from tests.service.studio import Studio, open_studio, tiny_request

TINY = 32
TABLE = write_table(make_design({"vary": {"label": ["benign", "malignant"]}}))


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, tiny_flux: Path) -> Iterator[Studio]:
    """One workspace for all tests here, with LoRAs a and b on its shelf."""
    studio = open_studio(tmp_path_factory.mktemp("lora-sweeps"), tiny_flux)
    for seed, name in enumerate("ab"):
        file = studio.settings.workspace / "arrivals" / f"{name}.safetensors"
        save_lora(file, kohya_lora(hidden=TINY, seed=seed))
        add_lora(studio.database, studio.settings, file)
    yield studio
    studio.database.close()


def test_each_cell_acts_with_its_weight_and_has_the_pixels_of_the_single_request(
    studio: Studio,
) -> None:
    declared = make_sweep(
        {
            "request": tiny_request(steps=2, loras=({"name": "b", "weight": 0.5},)),
            "across": {"name": "lora:a", "values": [1, 0, -0.5]},
        }
    )
    job_id = submit_sweep(studio.database, studio.settings, declared)
    job = studio.work()
    assert (job.state, job.error) == (JobState.DONE, None)
    images = studio.images(job_id)
    pinned = get_lora(studio.database, studio.settings, "a").hash
    assert [[(use.name, use.weight) for use in image.request.loras] for image in images] == [
        [("b", 0.5), ("a", weight)] for weight in (1, 0, -0.5)
    ]
    assert {image.request.loras[1].hash for image in images} == {pinned}
    assert len({image.pixel_hash for image in images}) == 3
    for image in images:
        (alone,) = studio.make(image.request)
        assert alone.pixel_hash == image.pixel_hash
    (without,) = studio.make(tiny_request(steps=2, loras=({"name": "b", "weight": 0.5},)))
    assert without.pixel_hash == images[1].pixel_hash
    loads = [line for line in job_log(studio.database, job_id) if "loading" in line.text]
    assert len(loads) <= 1


def test_a_lora_that_is_not_on_the_shelf_is_refused_before_a_job_is_made(studio: Studio) -> None:
    declared = make_sweep(
        {"request": tiny_request(), "across": {"name": "lora:gone", "values": [0, 1]}}
    )
    with pytest.raises(LoraError, match="no LoRA called gone on the shelf"):
        submit_sweep(studio.database, studio.settings, declared)


def test_every_image_of_a_set_is_made_with_its_loras_and_the_card_names_them(
    studio: Studio,
) -> None:
    values = {
        "name": "With a LoRA",
        "model": "tiny",
        "steps": 2,
        "width": 64,
        "height": 64,
        "rules": {"lesion": False, "min_confidence": 0, "max_correlation": 1},
        "loras": [{"name": "a", "weight": 0.75}],
    }
    task = prepare_build(studio.database, studio.settings, TABLE, values)
    job_id = submit_build(studio.database, studio.settings, task)
    assert studio.work().error is None
    pinned = get_lora(studio.database, studio.settings, "a").hash
    images = studio.images(job_id)
    assert [use.hash for image in images for use in image.request.loras] == [pinned, pinned]
    (alone,) = studio.make(images[1].request)
    assert alone.pixel_hash == images[1].pixel_hash
    (plain,) = studio.make(images[1].request.model_copy(update={"loras": ()}))
    assert plain.pixel_hash != images[1].pixel_hash
    card = read_card(studio.settings, job_id)
    assert card["build"]["loras"] == [{"name": "a", "weight": 0.75, "hash": pinned}]
    readme = (set_folder(studio.settings, job_id) / README).read_text("utf-8")
    assert f"LoRAs: a x 0.75 (SHA-256 of its tensors `{pinned}`)." in readme


def test_a_set_refuses_loras_that_are_gone_or_named_twice(studio: Studio) -> None:
    values = {"name": "Refused", "model": "tiny", "width": 64, "height": 64}
    gone, twice = [{"name": "gone"}], [{"name": "a"}, {"name": "a", "weight": 0.5}]
    with pytest.raises(LoraError, match="no LoRA called gone"):
        prepare_build(studio.database, studio.settings, TABLE, values | {"loras": gone})
    with pytest.raises(RequestError, match="The LoRA a is asked for twice"):
        prepare_build(studio.database, studio.settings, TABLE, values | {"loras": twice})


def test_the_command_line_sweeps_a_weight_and_builds_with_loras(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in studio.settings.environment().items():
        monkeypatch.setenv(name, value)
    common = ["--model", "tiny", "--size", "64", "--steps", "1", "--json"]
    swept = CliRunner().invoke(
        build_app(),
        [
            *("sweep", "--across", "lora:a=0,1", "--caption", "A mole.", "--lora", "b:0.5"),
            *("--out", str(tmp_path / "sweep"), *common),
        ],
    )
    assert swept.exit_code == 0, swept.output
    loras = json.loads(swept.stdout)["sweep"]["request"]["loras"]
    assert [(use["name"], use["weight"]) for use in loras] == [("b", 0.5), ("a", 1)]
    assert (tmp_path / "sweep" / "sweep.png").is_file()
    captions = tmp_path / "captions.csv"
    save_table(captions, TABLE)
    queued = CliRunner().invoke(
        build_app(),
        [
            *("build", "run", str(captions), "--name", "By command", "--lora", "a:-0.5"),
            *("--queue", *common),
        ],
    )
    assert queued.exit_code == 0, queued.output
    (use,) = json.loads(queued.stdout)["build"]["loras"]
    assert (use["name"], use["weight"], len(use["hash"])) == ("a", -0.5, 64)
