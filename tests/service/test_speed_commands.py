"""`profiles`, `cache` and `replay` from the command line."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from backend.cli import build_app
from backend.errors import DermaFluxError
from backend.generation.profile import Profile
from backend.generation.provenance import read_png, write_png
from backend.images import read_image
from tests.service.studio import CAPTION, Studio, open_studio, tiny_request


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
    assert result.exit_code == 0, result.stderr or result.exception
    return json.loads(result.stdout)


def refusal(*arguments: str) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, DermaFluxError), result.output
    return str(result.exception)


def test_profiles_are_explained_and_the_cpu_is_exact() -> None:
    shown = printed("profiles", "--model", "tiny")
    assert list(shown["profiles"]) == [profile.value for profile in Profile]
    assert shown["automatic"] == "exact"
    assert "made on the CPU" in shown["why"]
    assert shown["why"] in run("profiles", "--model", "tiny").stdout


def test_captions_are_kept_shown_and_cleared(studio: Studio, tmp_path: Path) -> None:
    options = ["--model", "tiny", "--seed", "7", "--steps", "2", "--profile", "fast"]
    made = printed("generate", "--caption", CAPTION, "--out", str(tmp_path), *options)
    assert made["request"]["profile"] == "fast"
    contents = printed("cache", "show")
    assert contents["captions"] == 1
    assert contents["bytes"] > 0
    assert contents["limit_gb"] == studio.settings.text_cache_gb
    declined = CliRunner().invoke(build_app(), ["cache", "clear"], input="n\n")
    assert "Nothing was removed" in str(declined.exception)
    assert printed("cache", "clear", "--yes")["captions"] == 1
    assert printed("cache", "show")["captions"] == 0


def test_an_exact_image_is_made_again_and_another_profile_is_refused(
    studio: Studio, tmp_path: Path
) -> None:
    (exact,) = studio.make(tiny_request())
    file = Path(shutil.copy(exact.path, tmp_path / "mine.png"))
    again = printed("replay", str(file))
    assert again["identical"] is True
    assert again["pixel_sha256"] == exact.pixel_hash
    (draft,) = studio.make(tiny_request(profile=Profile.DRAFT))
    assert "made with the profile draft" in refusal("replay", str(draft.path))


def test_pixels_that_differ_are_told_with_what_was_not_the_same(
    studio: Studio, tmp_path: Path
) -> None:
    (exact,) = studio.make(tiny_request())
    foreign = read_png(exact.path).model_copy(update={"device": "cpu of 1999", "threads": 99})
    write_png(tmp_path / "other.png", 255 - read_image(exact.path), foreign)
    sentence = refusal("replay", str(tmp_path / "other.png"))
    assert "differ" in sentence
    assert "the device (cpu of 1999 then, " in sentence
    assert "the number of threads (99 then, 1 now)" in sentence


def test_an_unknown_profile_names_those_there_are(tmp_path: Path) -> None:
    result = run("generate", "--caption", "x", "--out", str(tmp_path), "--profile", "ludicrous")
    assert result.exit_code == 2
    assert "exact" in result.stderr
