"""Captions for the corpus: measured or taken from a file, each image once, through any kill."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend.captioning.errors import CaptioningError
from backend.captioning.findings import Check
from backend.captioning.records import (
    captions_of,
    count_captions,
    iterate_captions,
    seen_on,
)
from backend.captioning.running import CaptionTask, submit_captions
from backend.cli import build_app
from backend.corpus.queries import iterate_corpus
from backend.jobs.queue import job_log
from backend.jobs.states import JobState
from backend.settings import Settings
from backend.store.database import Database
from tests.service.corpus_pictures import caption, fill_corpus
from tests.service.studio import wait_for


def test_every_image_is_captioned_or_named_as_unsure_and_a_rerun_changes_nothing(
    any_settings: Settings, any_database: Database, tmp_path: Path
) -> None:
    fill_corpus(any_settings, any_database, tmp_path / "set", 9)
    assert caption(any_settings, any_database).state is JobState.DONE
    (count,) = count_captions(any_database)
    assert (count.captioner, count.captions + count.unsure) == ("measured", 9)
    views = {one.image_id: one for one in iterate_captions(any_database, "measured", count.prompt)}
    by_name = {image.source_id: image for image in iterate_corpus(any_database, any_settings)}
    (skin,) = (views[i.id] for name, i in by_name.items() if "skin" in name)
    assert (skin.text, skin.unsure) == ("", "no lesion was found on the image")
    said = [one.text for one in views.values() if one.text]
    assert sum("brown" in text for text in said) > len(said) / 2
    assert not any("benign" in text or "malignant" in text for text in said)
    image_id = next(one.image_id for one in views.values() if one.text)
    pixel_hash, seen = seen_on(any_database, [image_id])[image_id]
    assert seen is not None
    assert 0 <= seen.confidence["border"] <= 1
    assert pixel_hash == next(i.pixel_hash for i in by_name.values() if i.id == image_id)
    assert caption(any_settings, any_database, processes=2).state is JobState.DONE
    again = {one.image_id: one for one in iterate_captions(any_database, "measured", count.prompt)}
    assert again == views


def test_killed_in_the_middle_and_run_again_no_image_is_missing_and_none_twice(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    fill_corpus(settings, database, tmp_path / "set", 70)
    command = [sys.executable, "-m", "backend", "caption", "--processes", "2"]
    environment = {**os.environ, "DERMAFLUX_WORKSPACE": str(settings.workspace)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    wait_for(lambda: bool(count_captions(database)) or process.poll() is not None)
    killed = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert killed
    (partly,) = count_captions(database)
    assert 0 < partly.captions + partly.unsure < 70
    assert caption(settings, database).state is JobState.DONE
    (count,) = count_captions(database)
    assert count.captions + count.unsure == 70


def test_an_archive_finds_its_images_by_name_and_names_those_that_are_not_there(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    fill_corpus(settings, database, tmp_path / "set", 5)
    file = tmp_path / "kaggle1.json"
    said = "The mole is symmetric, with a regular border. It suggests malignancy."
    file.write_text(json.dumps({"000.png": said, "sub/001.PNG": said, "900.png": said}))
    job = caption(settings, database, captioner="archive", archive=file)
    assert job.state is JobState.DONE, job.error
    (count,) = count_captions(database)
    assert (count.captions, count.flagged) == (2, 2)
    assert count.prompt.startswith("kaggle1-")
    log = [entry.text for entry in job_log(database, job.id)]
    assert "The caption file names 900.png, which is not in the corpus." in log
    image = next(i for i in iterate_corpus(database, settings) if "000" in i.source_id)
    (view,) = captions_of(database, image.id)
    assert view.findings[0].check is Check.LEAKAGE


@pytest.mark.parametrize(
    "text",
    [
        '[{"image_id": "000", "caption": "A symmetric mole."}]',
        '[{"file_name": "benign/000.png", "text": "A symmetric mole."}]',
        '{"image": "000", "text": "A symmetric mole."}\n\n{"image": "1", "caption": "A mole."}',
        '\ufeff{"000": "A symmetric mole."}',
        '{"000": "A symmetric mole.", "001": 5, "002": ""}',
    ],
)
def test_every_form_of_archive_is_read(
    settings: Settings, database: Database, tmp_path: Path, text: str
) -> None:
    fill_corpus(settings, database, tmp_path / "set", 3)
    file = tmp_path / "captions.json"
    file.write_text(text, encoding="utf-8")
    assert caption(settings, database, captioner="archive", archive=file).state is JobState.DONE
    (count,) = count_captions(database)
    assert count.captions == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{broken", "line 1 cannot be read"),
        (b"[]", "holds no caption"),
        (b'["only text"]', "entry 1: it needs image or image_id or file_name"),
        (b"\xff\xfe\x00", "is not UTF-8"),
        (b'{"a": "' + b"x" * 5000 + b'"}', "the most allowed is 2,000"),
    ],
)
def test_a_caption_file_that_cannot_be_used_is_refused_in_a_sentence(
    settings: Settings, database: Database, tmp_path: Path, content: bytes, sentence: str
) -> None:
    fill_corpus(settings, database, tmp_path / "set", 2)
    file = tmp_path / "captions.json"
    file.write_bytes(content)
    job = caption(settings, database, captioner="archive", archive=file)
    assert job.state is JobState.FAILED
    assert sentence in str(job.error)
    assert count_captions(database) == []


def test_what_cannot_be_started_says_why(settings: Settings, database: Database) -> None:
    with pytest.raises(CaptioningError, match="no captioner called oracle"):
        submit_captions(database, CaptionTask(captioner="oracle"))
    assert "import a dataset first" in str(caption(settings, database).error)
    assert "no subset 'gone'" in str(caption(settings, database, subset="gone").error)
    assert "say which with --archive" in str(caption(settings, database, captioner="archive").error)


def test_the_commands_caption_count_show_and_check(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_corpus(settings, database, tmp_path / "set", 3)
    monkeypatch.setenv("DERMAFLUX_WORKSPACE", str(settings.workspace))
    run = CliRunner()
    done = run.invoke(build_app(), ["caption", "--processes", "1", "--json"])
    assert done.exit_code == 0, done.output
    assert sum(json.loads(done.stdout)["counts"][0][key] for key in ("captions", "unsure")) == 3
    assert "measured" in run.invoke(build_app(), ["captions", "list"]).stdout
    name = next(iter(iterate_corpus(database, settings))).source_id
    assert "measured" in run.invoke(build_app(), ["captions", "show", name]).stdout
    leaky = "The mole is symmetric. It looks malignant."
    checked = run.invoke(build_app(), ["captions", "check", leaky, "--strip"])
    assert checked.stdout.splitlines()[0] == "The mole is symmetric."
    assert "Gives the label away" in checked.stdout
