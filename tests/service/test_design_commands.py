"""`sweep` and `build` on the command line: folders for people, JSON for scripts."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from backend.cli import build_app
from backend.errors import DermaFluxError
from backend.generation.building.card import CARD
from backend.generation.sweeps.running import FIGURE
from backend.jobs.queue import list_jobs
from tests.service.studio import Studio, open_studio

GRID = ["--across", "border=regular,irregular", "--down", "guidance=1,3", "--model", "tiny"]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, tiny_flux: Path) -> Iterator[Studio]:
    """One workspace for all commands here."""
    studio = open_studio(tmp_path_factory.mktemp("commands"), tiny_flux)
    yield studio
    studio.database.close()


@pytest.fixture(autouse=True)
def _environment(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in studio.settings.environment().items():
        monkeypatch.setenv(name, value)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), list(arguments))


def printed(*arguments: str) -> dict:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


def refusal(*arguments: str) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, DermaFluxError), result.output
    return str(result.exception)


def test_a_sweep_leaves_a_figure_and_its_images(tmp_path: Path) -> None:
    out = tmp_path / "grid"
    made = printed("sweep", *GRID, "--steps", "2", "--seed", "7", "--out", str(out))
    assert made["synthetic"] is True
    assert Path(made["figure"]) == out / FIGURE
    assert len(list(out.glob(f"{made['job']}-*.png"))) == 4
    assert "there already" in refusal("sweep", *GRID, "--out", str(out))


def test_a_set_is_built_from_a_table_and_shown(studio: Studio, tmp_path: Path) -> None:
    table = tmp_path / "captions.jsonl"
    run("design", "write", "--vary", "label", "--out", str(table))
    options = [str(table), "--model", "tiny", "--steps", "1", "--any-picture"]
    options += ["--min-confidence", "0", "--max-correlation", "1"]
    made = printed("build", "run", *options, "--name", "Small", "--best-of", "2")
    assert json.loads((Path(made["folder"]) / CARD).read_text())["images"] == 2
    shown = printed("build", "show", made["job"])
    assert {name: (one["made"], one["kept"]) for name, one in shown["classes"].items()} == {
        "benign": (2, 1),
        "malignant": (2, 1),
    }
    assert printed("build", "list") == {"Small": made["job"]}
    assert "a set called Small already" in refusal("build", "run", *options, "--name", "Small")
    queued = printed("build", "run", *options, "--name", "Later", "--queue")
    assert queued["job"] == list_jobs(studio.database, limit=1)[0].id


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--across", "depth=1"], "A sweep has no axis depth"),
        (["--across", "border", "--caption", "My mole."], "words of its own"),
        (["--across", "border", "--caption", "Mine.", "--label", "benign"], "not both"),
        (["--across", "border", "--template", "A {site}"], "does not name {border}"),
        (["--across", "seed=1,2", "--size", "100"], "multiple of 16"),
    ],
)
def test_a_mistake_gets_a_sentence_before_a_job_is_made(
    studio: Studio, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    before = len(list_jobs(studio.database))
    out = ["--model", "tiny", "--out", str(tmp_path / "out")]
    assert sentence in refusal("sweep", *arguments, *out)
    assert len(list_jobs(studio.database)) == before
