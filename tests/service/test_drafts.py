"""Drafts stay in the gallery: no export and no set holds one, and it is said how many."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from backend.abc.sampling import sample_attributes
from backend.cli import build_app
from backend.errors import DermaFluxError
from backend.generation.building.task import BuildError, make_task
from backend.generation.errors import GenerationError
from backend.generation.export import ExportFormat, export_images
from backend.generation.export.running import submit_export
from backend.generation.gallery import GalleryFilter, count_images, query_images
from backend.generation.image_sets import add_to_set, get_set, make_set
from backend.generation.profile import Profile
from backend.generation.selection import Selection, count_drafts, left_out
from backend.jobs.queue import get_job
from backend.settings import Settings
from backend.store.database import Database
from tests.service.pictures import fill_gallery

LESIONS = [sample_attributes(np.random.default_rng(seed)) for seed in range(3)]


def fill(settings: Settings, database: Database) -> tuple[list[str], list[str]]:
    """Three images, and three drafts."""
    kept = fill_gallery(settings, database, LESIONS)
    drafts = fill_gallery(settings, database, LESIONS, job_id="DRAFT", profile=Profile.DRAFT)
    return kept, drafts


def test_the_gallery_tells_drafts_from_the_rest(
    any_settings: Settings, any_database: Database
) -> None:
    kept, drafts = fill(any_settings, any_database)
    for wanted, ids in ((True, drafts), (False, kept), (None, [*kept, *drafts])):
        criteria = GalleryFilter(drafts=wanted)
        found = {image.id for image in query_images(any_database, any_settings, criteria)}
        assert found == set(ids)
        assert count_images(any_database, criteria) == len(ids)
    assert count_drafts(any_database, GalleryFilter()) == 3
    assert count_drafts(any_database, GalleryFilter(drafts=False)) == 0
    assert count_drafts(any_database, [*kept, *drafts[:2], drafts[0]]) == 2


@pytest.mark.parametrize("form", list(ExportFormat))
def test_no_export_holds_a_draft(
    settings: Settings, database: Database, tmp_path: Path, form: ExportFormat
) -> None:
    kept, drafts = fill(settings, database)
    selections: list[Selection] = [GalleryFilter(), [drafts[0], kept[0], drafts[1], kept[1]]]
    for number, selection in enumerate(selections):
        done = export_images(database, settings, selection, tmp_path / str(number), form)
        assert (done.images, done.drafts) == ((3, 3), (2, 2))[number]
        manifest = json.loads((done.folder / "manifest.json").read_text())
        assert "DRAFT" not in json.dumps(manifest)
        assert not any(b"DRAFT-0" in file.read_bytes() for file in done.folder.iterdir())


def test_drafts_alone_are_refused_with_what_to_do(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    _, drafts = fill(settings, database)
    with pytest.raises(GenerationError, match=r"nothing to export\. 3 drafts were left out: make"):
        export_images(database, settings, drafts, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(GenerationError, match=r"nothing to export\. 1 draft was left out"):
        submit_export(database, settings, drafts[:1], ExportFormat.CSV)


def test_the_title_of_an_export_counts_what_will_be_in_it(
    settings: Settings, database: Database
) -> None:
    fill(settings, database)
    job = submit_export(database, settings, GalleryFilter(), ExportFormat.CSV)
    assert get_job(database, job).title == "Export of 3 images as csv"


def test_no_set_takes_a_draft(any_settings: Settings, any_database: Database) -> None:
    kept, drafts = fill(any_settings, any_database)
    make_set(any_database, "mine")
    assert add_to_set(any_database, "mine", [kept[0], *drafts]) == 1
    assert add_to_set(any_database, "mine", GalleryFilter()) == 2
    assert get_set(any_database, "mine").images == 3


def test_a_set_is_not_built_from_drafts() -> None:
    values = {"name": "mine", "table": "0" * 64}
    assert make_task({**values, "profile": "fast"}).profile is Profile.FAST
    with pytest.raises(BuildError, match="not built from drafts: choose another profile"):
        make_task({**values, "profile": "draft"})


def test_what_was_left_out_is_one_sentence() -> None:
    assert left_out(0) == ""
    assert left_out(1).startswith("1 draft was left out: ")
    assert left_out(1234).startswith("1,234 drafts were left out: ")


@pytest.fixture
def commands(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    return settings


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build_app(), list(arguments))


def test_the_commands_say_how_many_drafts_they_left_out(
    commands: Settings, database: Database, tmp_path: Path
) -> None:
    _, drafts = fill(commands, database)
    exported = run("gallery", "export", "--all", "--out", str(tmp_path / "out"))
    assert "3 images are in" in exported.stdout
    assert "3 drafts were left out" in exported.stdout
    run("gallery", "set", "make", "mine")
    added = run("gallery", "set", "add", "mine", "--all", "--json")
    assert json.loads(added.stdout) == {"set": "mine", "added": 3, "drafts_left_out": 3}
    refused = run("gallery", "export", *drafts, "--out", str(tmp_path / "none"))
    assert isinstance(refused.exception, DermaFluxError)
    assert "There is nothing to export" in str(refused.exception)
