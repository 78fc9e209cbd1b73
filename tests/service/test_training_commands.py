"""`train`: what the page does for LoRA runs, by command."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from backend.cli import build_app
from backend.finetuning.run_folder import find_run
from backend.settings import Settings
from tests.service.planned_runs import write_checkpoint, write_pairs


@pytest.fixture
def pairs(settings: Settings, tiny_flux: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pairs for the tiny model of a workspace that commands open."""
    monkeypatch.setenv("DERMAFLUX_WORKSPACE", str(settings.workspace))
    monkeypatch.setenv("DERMAFLUX_DEVICE", "cpu")
    shutil.copytree(tiny_flux, settings.models_dir / "tiny")
    return write_pairs(settings.workspace / "moles")


def run(*words: object) -> Result:
    return CliRunner().invoke(build_app(), ["train", *map(str, words)])


def test_a_run_is_planned_started_listed_shown_and_taken_out_of_the_queue(pairs: Path) -> None:
    asked = ("--folder", pairs, "--base", "tiny", "--set", "lora.rank=2", "--set", "steps=3")
    sizes = ("--set", "resolutions=[32,64]", "--set", "batch=2", "--title", "Mine")
    planned = run("plan", *asked, *sizes)
    assert "4 to learn from" in planned.output or "to learn from" in planned.output
    assert "Assumed: The largest images are 16 tokens" in planned.output
    assert run("list").output.strip() == "There is no run yet."
    started = json.loads(run("start", *asked, *sizes, "--json").stdout)
    assert started["plan"]["targets"]["rank"] == 2
    (listed,) = json.loads(run("list", "--json").stdout)
    assert (listed["run"], listed["title"], listed["state"]) == (started["run"], "Mine", "queued")
    assert "queued" in run("show", started["run"]).output
    assert "taken out of the queue" in run("stop", started["run"]).output
    assert "in the queue" in run("resume", started["run"]).output


def test_a_checkpoint_is_exported_in_every_layout(
    pairs: Path, settings: Settings, tmp_path: Path
) -> None:
    started = json.loads(
        run(
            "start", "--folder", pairs, "--base", "tiny", "--set", "precision=fp32", "--json"
        ).stdout
    )
    folder = find_run(settings, started["run"])
    write_checkpoint(settings, folder)
    said = run("export", started["run"], "--shelf")
    assert "It is on the shelf as tiny-on-moles" in said.output
    assert folder.card.is_file()
    kohya = tmp_path / "kohya.safetensors"
    run("export", started["run"], "--layout", "kohya", "--out", kohya)
    assert kohya.is_file()
    run("export", started["run"], "--layout", "merged", "--name", "merged")
    assert (settings.models_dir / "merged" / "model_index.json").is_file()


@pytest.mark.usefixtures("pairs")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("plan",), "choose a caption set or a folder"),
        (("plan", "--preset", "none"), "no preset none"),
        (("plan", "--set", "rank"), "is no setting"),
        (("plan", "--set", "title.x=1", "--title", "a"), "names a part of a setting"),
        (("start", "--caption-set", "none"), "no caption set 'none'"),
        (("show", "../../etc"), "no training run"),
        (("export", "none"), "no training run"),
        (("describe", "--base", "none"), "no base model called none"),
    ],
)
def test_what_cannot_be_done_is_said(words: tuple[str, ...], sentence: str) -> None:
    done = run(*words)
    assert done.exit_code != 0
    assert sentence in str(done.exception)


@pytest.mark.usefixtures("pairs")
def test_presets_and_target_sets_are_listed() -> None:
    assert "starter-cpu" in run("presets").output
    described = json.loads(run("describe", "--base", "tiny", "--rank", 2, "--json").stdout)
    assert len(described) == 6
