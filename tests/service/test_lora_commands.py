"""The commands of the LoRA shelf: facts as JSON, one sentence for what is refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from backend.cli import build_app
from backend.errors import DermaFluxError
from backend.generation.adherence import MEASURED, read_report
from backend.generation.provenance import read_png
from backend.jobs.queue import list_jobs
from tests.lora_files import kohya_lora, save_lora
from tests.service.studio import Studio, open_studio

TINY = 32


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


def run(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(build_app(), list(arguments), input=given)


def printed(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr or result.exception
    return json.loads(result.stdout)


def refusal(*arguments: str, given: str | None = None) -> str:
    result = run(*arguments, given=given)
    assert isinstance(result.exception, DermaFluxError), result.output
    return str(result.exception)


def generate(out: Path, *arguments: str) -> Any:
    options = ["--model", "tiny", "--seed", "7", "--caption", "A mole.", "--out", str(out)]
    return printed("generate", *options, *arguments)


def test_from_a_file_to_pictures_and_off_the_shelf_again(tmp_path: Path) -> None:
    assert "The shelf is empty" in run("lora", "list").stdout
    file = save_lora(tmp_path / "mole.safetensors", kohya_lora(hidden=TINY))
    added = printed("lora", "add", str(file), "--title", "Moles")
    assert (added["name"], added["title"], added["layout"]) == ("mole", "Moles", "kohya")
    assert added["targets"] == "all linear layers of the blocks"
    assert printed("lora", "list") == [added] == [printed("lora", "show", "mole")]
    assert added["hash"][:10] in run("lora", "list").stdout
    assert f"{added['parameters']:,}" in run("lora", "show", "mole").stdout

    plain = generate(tmp_path / "plain")
    whole = generate(tmp_path / "whole", "--lora", "mole")
    half = generate(tmp_path / "half", "--lora", "mole:-0.5")
    hashes = [made["images"][0]["pixel_sha256"] for made in (plain, whole, half)]
    assert len(set(hashes)) == 3
    (use,) = half["request"]["loras"]
    assert use == {"name": "mole", "weight": -0.5, "hash": added["hash"]}
    recalled = printed("gallery", "recall", half["images"][0]["file"])
    assert recalled["request"]["loras"] == [use]

    assert printed("lora", "rename", "mole", "nevus")["name"] == "nevus"
    out = tmp_path / "nevus.safetensors"
    exported = printed("lora", "export", "nevus", "--out", str(out), "--layout", "kohya")
    assert exported == {"file": str(out), "layout": "kohya"}
    assert out.read_bytes() == file.read_bytes()
    assert refusal("lora", "remove", "nevus", given="n\n") == "Nothing was removed."
    assert printed("lora", "remove", "nevus", "--yes") == {"removed": "nevus"}
    assert printed("lora", "list") == []
    assert read_png(Path(half["images"][0]["file"])).request.loras[0].name == "mole"


def test_the_adherence_of_a_model_with_a_lora_is_measured_on_images_made_with_it(
    tmp_path: Path, studio: Studio
) -> None:
    file = save_lora(tmp_path / "strong.safetensors", kohya_lora(hidden=TINY))
    added = printed("lora", "add", str(file))
    printed("adherence", "--model", "tiny", "--count", "1", "--lora", "strong:2")
    (job,) = list_jobs(studio.database, kinds=["adherence"])
    assert job.title == "Adherence of tiny with strong on 1 held-out combinations"
    report = read_report(studio.settings.jobs_dir / job.id)
    assert report["loras"] == [{"name": "strong", "weight": 2.0, "hash": None}]
    line = json.loads((studio.settings.jobs_dir / job.id / MEASURED).read_bytes())
    assert line["model_hash"] == f"{report['model_hash']}+{added['hash']}:2.0"
    assert "no LoRA called gone" in refusal("adherence", "--model", "tiny", "--lora", "gone")
    printed("lora", "remove", "strong", "--yes")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--lora", "gone"], "no LoRA called gone on the shelf"),
        (["--lora", "gone:much"], "--lora gone:much has no weight"),
        (["--lora", "gone:3"], "weight of a LoRA must be between -2 and 2, not 3"),
        (["--lora", "gone:nan"], "weight of a LoRA must be between -2 and 2"),
        (["--lora", "gone", "--lora", "gone:0.5"], "gone is asked for twice"),
        (["--lora", ":1"], "A LoRA without a name"),
    ],
)
def test_a_lora_that_cannot_be_used_gets_a_sentence(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    common = ["generate", "--model", "tiny", "--caption", "A mole.", "--out", str(tmp_path)]
    assert sentence in refusal(*common, *arguments)


def test_a_pickle_is_refused_whatever_it_is_called(tmp_path: Path) -> None:
    import torch

    for name in ("mole.pt", "mole.safetensors"):
        torch.save({"weight": torch.ones(2)}, tmp_path / name)
        assert "is a pickle, which can run any program" in refusal(
            "lora", "add", str(tmp_path / name)
        )
    assert printed("lora", "list") == []
