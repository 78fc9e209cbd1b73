"""The commands that make, find and judge images: JSON for scripts, one sentence for mistakes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from backend.abc.parser import parse
from backend.abc.sampling import is_held_out
from backend.cli import build_app
from backend.errors import DermaFluxError
from backend.generation.adherence import make_task, probes
from backend.generation.models import usable_model
from backend.jobs.queue import list_jobs
from backend.jobs.states import JobState
from tests.service.studio import Studio, break_weights, open_studio

ABC = ["--asymmetry", "one_axis", "--border", "irregular", "--colour", "black", "--colour", "red"]


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


def printed(*arguments: str) -> object:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr or result.exception
    return json.loads(result.stdout)


def refusal(*arguments: str) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, DermaFluxError), result.output
    return str(result.exception)


def generate(out: Path, *arguments: str) -> dict:
    options = ["--model", "tiny", "--seed", "7", "--out", str(out)]
    return printed("generate", *options, *arguments)  # type: ignore[return-value]


def test_a_caption_is_written_from_attributes_and_they_come_back(tmp_path: Path) -> None:
    made = generate(tmp_path, *ABC, "--skin-tone", "4")
    request = made["request"]
    assert request["attributes"]["asymmetry"] == "one_axis"
    assert request["attributes"]["colours"] == ["black", "red"]
    assert request["attributes"]["skin_tone"] == 4
    assert (request["width"], request["steps"]) == (64, 4)
    (shown,) = printed("gallery", "list", "--asymmetry", "one_axis", "--colour", "red")["images"]
    assert shown["id"] == made["images"][0]["id"]
    recalled = printed("gallery", "recall", made["images"][0]["file"])
    assert recalled["request"] == request
    assert recalled["synthetic"] is True


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Say what to show"),
        (["--caption", "A mole.", *ABC], "not both"),
        (["--caption", " "], "The caption is empty"),
        (["--caption", "x" * 10_000], "10,000 characters"),
        (["--caption", "A mole.", "--size", "100"], "must be a multiple of 16"),
        (["--caption", "A mole.", "--size", "big"], "--size big is no size"),
        (["--caption", "A mole.", "--count", "0"], "number of images"),
        (["--caption", "A mole.", "--model", "gone"], "no model called gone"),
        (["--label", "benign", "--diagnosis", "melanoma"], "A melanoma is malignant, not benign"),
        (["--style", "authors", *ABC], "names the label and none is set"),
    ],
)
def test_a_mistake_gets_a_sentence_before_a_job_is_made(
    studio: Studio, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    before = len(list_jobs(studio.database))
    assert sentence in refusal("generate", "--model", "tiny", "--out", str(tmp_path), *arguments)
    assert len(list_jobs(studio.database)) == before


def test_images_are_starred_exported_deleted_restored_and_purged(tmp_path: Path) -> None:
    made = generate(tmp_path / "first", *ABC, "--count", "2", "--style", "plain")
    first, second = (image["id"] for image in made["images"])
    printed("gallery", "star", first)
    starred = printed("gallery", "list", "--starred", "--job", made["job"])
    assert [image["id"] for image in starred["images"]] == [first]
    printed("gallery", "export", first, second, "--out", str(tmp_path / "set"))
    assert len(list((tmp_path / "set").glob("*.png"))) == 2
    assert printed("gallery", "delete", first) == {"deleted": [first]}
    assert printed("gallery", "list", "--job", made["job"])["total"] == 1
    printed("gallery", "restore", first)
    assert printed("gallery", "show", first)["deleted"] is False
    printed("gallery", "delete", first, second)
    assert printed("gallery", "purge", "--days", "0", "--yes") == {"purged": 2}
    assert "There is no image" in refusal("gallery", "show", first)


def test_models_are_listed_checked_and_identified(studio: Studio, tmp_path: Path) -> None:
    names = {entry["name"]: entry["problem"] for entry in printed("models", "list")["models"]}
    assert names["tiny"] is None
    folder = studio.settings.models_dir / "tiny"
    assert printed("models", "check", str(folder))["usable"] is True
    assert len(printed("models", "hash", "tiny")["sha256"]) == 64
    assert "model_index.json is missing" in refusal("models", "check", str(tmp_path))


def test_adherence_prints_every_attribute_with_its_ceiling(studio: Studio) -> None:
    scores = printed("adherence", "--model", "tiny", "--count", "4", "--seed", "1")
    assert set(scores) == {"colours", "border", "asymmetry", "skin_tone", "edge"}
    for value in scores.values():
        assert set(value) == {"score", "ceiling", "ratio"}
        assert 0 <= value["score"] <= 1
        assert 0 < value["ceiling"] <= 1
        assert value["ratio"] == pytest.approx(value["score"] / value["ceiling"])
    (job,) = list_jobs(studio.database, kinds=["adherence"])
    assert job.state is JobState.DONE
    assert (job.done, job.total) == (16, 16)


def test_adherence_asks_the_same_unseen_combinations_each_time(studio: Studio) -> None:
    entry = usable_model(studio.settings, "tiny")
    task = make_task({"model": "tiny", "count": 40, "seed": 1})
    asked = list(probes(entry, task))
    assert asked == list(probes(entry, task))
    assert asked[:10] == list(probes(entry, task.model_copy(update={"count": 10})))
    assert asked != list(probes(entry, task.model_copy(update={"seed": 2})))
    assert all(is_held_out(probe.attributes) for probe in asked)
    assert len({probe.request.seed for probe in asked}) == 40
    for probe in asked:
        read = parse(probe.request.caption).attributes
        assert (read.asymmetry, read.border) == (
            probe.attributes.asymmetry,
            probe.attributes.border,
        )


def test_adherence_says_which_number_is_wrong() -> None:
    assert "count of an adherence run" in refusal("adherence", "--count", "0")


def test_a_failed_run_says_why_and_stays_in_the_list_of_jobs(
    studio: Studio, tiny_flux: Path, tmp_path: Path
) -> None:
    break_weights(tiny_flux, studio.settings.models_dir / "broken")
    sentence = refusal(
        "generate", "--model", "broken", "--caption", "A mole.", "--out", str(tmp_path / "out")
    )
    assert "numbers that are no colours" in sentence
    assert not (tmp_path / "out").exists()
    (job, *_) = list_jobs(studio.database)
    assert (job.state, job.error) == (JobState.FAILED, sentence)
