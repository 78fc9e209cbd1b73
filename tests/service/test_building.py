"""A set is built to its end whatever happens on the way, and says how it came to be."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import select

from backend.abc.attributes import Label
from backend.generation.building.card import (
    CAPTIONS,
    CARD,
    MEMBERS,
    README,
    SHEET,
    read_card,
    set_folder,
)
from backend.generation.building.ledger import Ledger, build_counts
from backend.generation.building.running import prepare_build, submit_build
from backend.generation.building.task import BuildError, BuildTask, candidate_seed
from backend.generation.design.design import make_design
from backend.generation.design.files import read_table, table_hash
from backend.generation.design.table import write_table
from backend.generation.errors import GenerationError
from backend.generation.provenance import FIGURE_KEY, SYNTHETIC_XMP, XMP_KEY, read_png
from backend.jobs.queue import JobView, retry
from backend.jobs.reconcile import reconcile
from backend.jobs.states import JobState
from backend.store.tables import BuildImage, Verdict
from tests.service.studio import Studio, open_studio, partial_files, wait_for

ROOT = Path(__file__).parents[2]
TEMPLATE = "A {label} lesion with {asymmetry} and a {border} border."
TABLE = write_table(
    make_design(
        {
            "vary": {"label": ["benign", "malignant"], "border": ["regular", "irregular"]},
            "drawn": ["asymmetry", "colours"],
            "template": TEMPLATE,
        }
    )
)
ANY = {"lesion": False, "min_confidence": 0, "max_correlation": 1}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, tiny_flux: Path) -> Iterator[Studio]:
    """One workspace for all tests here: the model is loaded once."""
    studio = open_studio(tmp_path_factory.mktemp("builds"), tiny_flux)
    yield studio
    studio.database.close()


def task(studio: Studio, name: str, **changes: object) -> BuildTask:
    values = {"name": name, "model": "tiny", "steps": 2, "width": 64, "height": 64, "rules": ANY}
    return prepare_build(studio.database, studio.settings, TABLE, values | changes)


def build(studio: Studio, declared: BuildTask) -> JobView:
    submit_build(studio.database, studio.settings, declared)
    return studio.work()


def decisions(studio: Studio, job_id: str) -> list[tuple[object, ...]]:
    statement = select(BuildImage).where(BuildImage.job_id == job_id)
    with studio.database.session() as session:
        rows = session.scalars(statement.order_by(BuildImage.position, BuildImage.attempt)).all()
    return [
        (row.position, row.attempt, row.seed, row.verdict, row.agreement, row.pixel_hash)
        for row in rows
    ]


def test_the_best_of_two_is_kept_and_the_card_tells_everything(studio: Studio) -> None:
    declared = task(studio, "Best of two", best_of=2, seed=3)
    job = build(studio, declared)
    assert (job.state, job.error, job.done, job.total) == (JobState.DONE, None, 16, 16)
    ledger = Ledger(studio.database, job.id)
    images = studio.images(job.id)
    kept = ledger.kept()
    assert [image.id for image in images] == [one.image_id for one in kept]
    assert [image.position for image in images] == [0, 1, 2, 3]
    for image, winner in zip(images, kept, strict=True):
        known = ledger.candidates(image.position).values()
        best = max(known, key=lambda one: (one.judgement.agreement, one.judgement.confidence))
        assert winner.judgement.agreement == best.judgement.agreement
        assert image.pixel_hash == winner.judgement.pixel_hash
        assert image.seed == candidate_seed(3, image.position, winner.attempt)
        assert image.request.template == TEMPLATE
        assert {one.judgement.verdict for one in known} == {Verdict.KEPT, Verdict.BEATEN}
    (alone,) = studio.make(images[1].request)
    assert alone.pixel_hash == images[1].pixel_hash
    counts = build_counts(studio.database, job.id)
    assert {label: (count.made, count.kept) for label, count in counts.items()} == {
        Label.BENIGN: (4, 2),
        Label.MALIGNANT: (4, 2),
    }


def test_a_set_has_card_members_captions_and_a_marked_sheet(studio: Studio) -> None:
    declared = task(studio, "Described")
    job = build(studio, declared)
    folder = set_folder(studio.settings, job.id)
    card = read_card(studio.settings, job.id)
    assert card["synthetic"] is card["not_for_diagnosis"] is card["complete"] is True
    assert card["model"]["sha256"] == read_png(studio.images(job.id)[0].path).model_hash
    assert BuildTask.model_validate(card["build"]) == declared
    for value in card["adherence"]["scores"].values():
        assert value["interval"]["low"] <= value["score"] <= value["interval"]["high"]
    assert table_hash(read_table(folder / CAPTIONS)) == declared.table == table_hash(TABLE)
    members = [json.loads(line) for line in (folder / MEMBERS).read_text().splitlines()]
    assert [member["image"] for member in members] == [one.id for one in studio.images(job.id)]
    assert all(member["synthetic"] for member in members)
    readme = (folder / README).read_text()
    assert "# Described" in readme
    assert "Not for diagnosis" in readme
    assert str(card["model"]["sha256"]) in readme
    with Image.open(folder / SHEET) as sheet:
        assert sheet.info[XMP_KEY] == SYNTHETIC_XMP
        assert json.loads(sheet.info[FIGURE_KEY])["synthetic"] is True
    assert partial_files(studio.settings) == []


def test_a_class_that_cannot_be_filled_ends_the_job_with_the_rules_and_their_counts(
    studio: Studio,
) -> None:
    rules = ANY | {"max_correlation": 0}
    job = build(studio, task(studio, "Too alike", rules=rules, attempts=2, per_class=2))
    assert job.state is JobState.FAILED
    counts = build_counts(studio.database, job.id)
    alike = counts[Label.MALIGNANT].rejected[Verdict.DUPLICATE]
    assert alike > 0
    assert f"{alike} are near-duplicates of another" in str(job.error)
    assert "The class malignant has " in str(job.error)
    assert " of 2 images after 4 candidates" in str(job.error)
    assert read_card(studio.settings, job.id)["complete"] is False
    before = decisions(studio, job.id)
    retry(studio.database, job.id)
    again = studio.work()
    assert (again.state, again.error) == (JobState.FAILED, job.error)
    assert decisions(studio, job.id) == before


def test_rules_on_the_mask_reject_by_name(studio: Studio) -> None:
    rules = {"lesion": True, "min_confidence": 1, "max_correlation": 1}
    job = build(studio, task(studio, "Unsure", rules=rules, attempts=2, per_class=1))
    counts = build_counts(studio.database, job.id)
    for count in counts.values():
        assert count.made == count.kept + sum(count.rejected.values())
    rejected = sum(sum(count.rejected.values()) for count in counts.values())
    assert (job.state is JobState.FAILED) is (sum(one.kept for one in counts.values()) < 2)
    if rejected:
        assert "show no lesion" in str(job.error) or "unsure mask" in str(job.error)


def test_a_name_is_used_once_and_changed_captions_are_refused(studio: Studio) -> None:
    declared = task(studio, "Once")
    build(studio, declared)
    with pytest.raises(BuildError, match="a set called once already"):
        task(studio, " once ")
    with pytest.raises(GenerationError, match="no model called gone"):
        task(studio, "Other", model="gone")
    with pytest.raises(GenerationError, match="multiple of 16"):
        task(studio, "Other", width=65)
    changed = studio.settings.designs_dir / f"{declared.table}.jsonl"
    text = changed.read_text()
    changed.write_text(text.replace("benign", "malignant"))
    job_id = None
    try:
        with pytest.raises(BuildError, match="were changed after it began"):
            job_id = submit_build(studio.database, studio.settings, declared)
    finally:
        changed.write_text(text)
    assert job_id is None


def test_a_build_killed_in_the_middle_ends_as_if_it_had_not_been(studio: Studio) -> None:
    heavy = {"steps": 30, "best_of": 2, "per_class": 2, "seed": 11, "width": 128, "height": 128}
    plain = build(studio, task(studio, "Undisturbed", **heavy))
    assert plain.error is None
    job_id = submit_build(studio.database, studio.settings, task(studio, "Killed", **heavy))
    worker = subprocess.Popen(
        [sys.executable, "-m", "backend", "worker"],
        cwd=ROOT,
        env=os.environ | studio.settings.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: len(decisions(studio, job_id)) >= 3, 600)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    before = decisions(studio, job_id)
    assert 3 <= len(before) < 8
    assert reconcile(studio.database, studio.settings) == [job_id]
    retry(studio.database, job_id)
    assert studio.work().error is None
    assert decisions(studio, job_id) == decisions(studio, plain.id)
    made, expected = studio.images(job_id), studio.images(plain.id)
    assert [image.pixel_hash for image in made] == [image.pixel_hash for image in expected]
    assert [image.position for image in made] == list(range(4))
    assert len({image.pixel_hash for image in made}) == 4
    assert partial_files(studio.settings) == []
    assert (set_folder(studio.settings, job_id) / CARD).is_file()
