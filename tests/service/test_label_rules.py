"""A relabelled dataset: its effect is said before, its counts hold, and it can be taken back."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from backend.abc.attributes import Label
from backend.accounts import AccountError, create_account
from backend.corpus.catalogue import (
    CELL_FIELDS,
    catalogue_lines,
    cell_values,
    list_left_out,
    write_rows,
)
from backend.corpus.dataset_jobs import jobs_on
from backend.corpus.dropped import list_dropped
from backend.corpus.errors import CorpusError
from backend.corpus.exclusions import Reason
from backend.corpus.importing import KIND as IMPORT
from backend.corpus.importing import import_title, plan_task
from backend.corpus.label_effects import Tally, labelled_datasets, preview
from backend.corpus.label_rules import equal_version, find_version, list_versions, newest_version
from backend.corpus.labels import LabelRule
from backend.corpus.queries import CorpusFilter, count_by, count_corpus, iterate_corpus
from backend.corpus.relabelling import (
    KIND,
    prepare_relabel,
    relabel_title,
    submit_relabel,
)
from backend.corpus.rule_editing import Choice, with_choice
from backend.corpus.subsets import make_subset
from backend.jobs.here import run_here
from backend.jobs.queue import JobView, claim_next, get_job, job_log, retry
from backend.jobs.reconcile import reconcile
from backend.jobs.states import JobState
from backend.jobs.worker import Worker
from backend.settings import Settings
from backend.store.database import Database, open_database
from backend.store.tables import CorpusCell, CorpusDropped, CorpusImage, Job, Role
from tests.service.studio import wait_for
from tests.service.test_corpus_catalogue import row as catalogue_row
from tests.unit.corpus_tables import write_picture

ROOT = Path(__file__).parents[2]
CLASSES = {"melanoma": 3, "nevus": 4, "actinic keratosis": 2, "something odd": 1}
"""Images by class folder; the folder rule drops the last two."""


def write_set(folder: Path) -> Path:
    for seed, (name, count) in enumerate(CLASSES.items()):
        for number in range(count):
            write_picture(folder / name / f"{number}.png", seed * 100 + number)
    (folder / "nevus" / "broken.png").write_bytes(b"no picture")
    (folder / "actinic keratosis" / "broken.png").write_bytes(b"no picture")
    return folder


def run(settings: Settings, database: Database, kind: str, task: Any, title: str) -> JobView:
    payload = task.model_dump(mode="json")
    shown: dict[str, Any] = {"kind": kind, "payload": payload, "title": title, "total": 0}
    return run_here(settings, database, **shown, show=lambda _: None)


def import_set(settings: Settings, database: Database, folder: Path) -> None:
    task = plan_task("folder", folder, name="own", side=64, processes=1)
    job = run(settings, database, IMPORT, task, import_title(task))
    assert job.error is None


def apply(
    settings: Settings, database: Database, rule: LabelRule, note: str = "", dataset: str = "own"
) -> JobView:
    base = newest_version(database, dataset).version
    task = prepare_relabel(database, dataset, rule, base=base, note=note)
    job = run(settings, database, KIND, task, relabel_title(task))
    assert job.error is None
    return job


def rule_of(database: Database) -> LabelRule:
    return newest_version(database, "own").rule


def whole(database: Database) -> str:
    return "".join(catalogue_lines(database))


def labels(database: Database) -> dict[tuple[object, ...], int]:
    return count_by(database, "diagnosis", "label", criteria=CorpusFilter(dataset="own"))


def expect_counts_equal_a_recount(database: Database) -> None:
    with database.session() as session:
        rows = session.execute(select(*CorpusImage.__table__.columns)).mappings().all()
        columns = [getattr(CorpusCell, name) for name in CELL_FIELDS]
        cells = session.execute(select(*columns, CorpusCell.images)).all()
    recount: dict[tuple[object, ...], int] = {}
    for row in rows:
        key = tuple(cell_values(row).values())
        recount[key] = recount.get(key, 0) + 1
    assert {tuple(values): count for *values, count in cells} == recount


@pytest.fixture
def own(settings: Settings, any_database: Database, tmp_path: Path) -> Database:
    """A database with an imported folder of four classes, two of which its rule drops."""
    import_set(settings, any_database, write_set(tmp_path / "set"))
    return any_database


def test_a_relabelled_dataset_goes_back_to_the_same_bytes(
    settings: Settings, own: Database, tmp_path: Path
) -> None:
    beginning, first = whole(own), rule_of(own)
    rule = with_choice(first, "nevus", Choice.DROPPED)
    rule = with_choice(rule, "actinic_keratosis", Choice.MALIGNANT)
    apply(settings, own, rule, "as the board decided")
    assert labels(own) == {("actinic_keratosis", "malignant"): 2, ("melanoma", "malignant"): 3}
    assert {one.place for _, one in list_left_out(own, reason=Reason.DROPPED)} == {
        *(f"nevus/{number}.png" for number in range(4)),
        "something odd/0.png",
    }
    expect_counts_equal_a_recount(own)
    changed = whole(own)
    import_set(settings, own, tmp_path / "set")
    assert whole(own) == changed != beginning
    for diagnosis, choice in (("nevus", "benign"), ("actinic_keratosis", "dropped")):
        rule = with_choice(rule, diagnosis, Choice(choice))
    apply(settings, own, rule)
    assert whole(own) == beginning
    expect_counts_equal_a_recount(own)
    versions = list_versions(own, "own")
    assert [(one.version, one.note) for one in versions][1:] == [
        (1, "as the board decided"),
        (2, ""),
    ]
    assert equal_version(versions, rule) == versions[0]
    import_set(settings, own, tmp_path / "set")
    assert whole(own) == beginning


def test_the_effect_is_what_then_happens_and_says_nothing_by_itself(
    settings: Settings, own: Database
) -> None:
    before = whole(own)
    rule = with_choice(rule_of(own), "nevus", Choice.MALIGNANT)
    rule = with_choice(rule, "something_odd", Choice.BENIGN)
    effect = preview(own, "own", rule)
    assert (effect.before, effect.after) == (Tally(4, 3, 3), Tally(1, 7, 2))
    assert effect.moved == 5
    first = effect.diagnoses[0]
    assert (first.diagnosis, first.before, first.after) == ("nevus", Tally(4), Tally(0, 4))
    assert (first.choice_before, first.choice_after) == (Choice.BENIGN, Choice.MALIGNANT)
    assert whole(own) == before
    apply(settings, own, rule)
    after = preview(own, "own")
    assert (after.after, after.moved, after.base) == (effect.after, 0, 1)
    assert count_corpus(own) == effect.after.benign + effect.after.malignant


def test_the_dataset_s_own_label_comes_back_after_another_was_given(
    settings: Settings, any_database: Database, tmp_path: Path
) -> None:
    for place, name in enumerate(("benign", "malignant", "malignant", "unsure")):
        write_picture(tmp_path / "set" / name / f"{place}.png", place)
    import_set(settings, any_database, tmp_path / "set")
    beginning, first = whole(any_database), rule_of(any_database)
    assert labels(any_database) == {("", "benign"): 1, ("", "malignant"): 2}
    apply(settings, any_database, with_choice(first, "", Choice.MALIGNANT))
    assert labels(any_database) == {("", "malignant"): 3}
    apply(settings, any_database, first)
    assert whole(any_database) == beginning


def test_subsets_stay_and_the_effect_names_the_members_that_they_lose(
    settings: Settings, own: Database
) -> None:
    make_subset(own, "benign ones", (CorpusFilter(dataset="own", label=Label.BENIGN),))
    make_subset(own, "melanomas", (CorpusFilter(dataset="own", diagnosis="melanoma"),))
    dropping = with_choice(rule_of(own), "nevus", Choice.DROPPED)
    (subset,) = preview(own, "own", dropping).subsets
    assert (subset.name, subset.relabelled, subset.dropped) == ("benign ones", 0, 4)
    assert subset.names == tuple(f"nevus/{number}" for number in range(4))
    apply(settings, own, dropping)
    assert list(iterate_corpus(own, settings, subset="benign ones")) == []
    named = list_dropped(own, subset="benign ones")
    assert [(one.source_id, one.why) for one in named] == [
        (f"nevus/{number}", "nevus is dropped by the rule of this dataset") for number in range(4)
    ]
    back = with_choice(dropping, "nevus", Choice.MALIGNANT)
    (subset,) = preview(own, "own", back).subsets
    assert (subset.dropped, subset.restored) == (0, 4)
    apply(settings, own, back)
    found = list(iterate_corpus(own, settings, subset="benign ones"))
    assert [one.label for one in found] == [Label.MALIGNANT] * 4


def test_of_two_people_the_second_is_told_and_nothing_of_the_first_is_lost(
    settings: Settings, own: Database
) -> None:
    for name in ("ada", "rob"):
        create_account(own, name, "four green apples fall", Role.RESEARCHER)
    first = with_choice(rule_of(own), "nevus", Choice.MALIGNANT)
    second = with_choice(rule_of(own), "melanoma", Choice.BENIGN)
    task = prepare_relabel(own, "own", first, base=0, account="ada")
    job_id = submit_relabel(own, task, "ada")
    with pytest.raises(CorpusError, match="being changed by a job: wait"):
        prepare_relabel(own, "own", second, base=0, account="rob")
    work(settings, own)
    assert get_job(own, job_id).state is JobState.DONE
    with pytest.raises(CorpusError, match="ada changed the labels of own to version 1"):
        prepare_relabel(own, "own", second, base=0, account="rob")
    assert rule_of(own).version == first.version
    assert labels(own)["nevus", "malignant"] == 4
    with pytest.raises(CorpusError, match="are those of this rule already"):
        prepare_relabel(own, "own", first, base=1, account="rob")


def test_of_two_at_the_very_same_moment_one_is_kept(own: Database) -> None:
    rules = [
        with_choice(rule_of(own), "nevus", choice) for choice in (Choice.MALIGNANT, Choice.DROPPED)
    ]
    start, outcomes = threading.Barrier(2), []

    def ask(rule: LabelRule) -> None:
        start.wait()
        try:
            prepare_relabel(own, "own", rule, base=0)
            outcomes.append("kept")
        except CorpusError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=ask, args=(rule,)) for rule in rules]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told, kept = sorted(outcomes)
    assert kept == "kept"
    assert "changed the labels of own" in told
    assert [one.version for one in list_versions(own, "own")] == [0, 1]


def test_a_reviewer_may_not_change_labels(own: Database) -> None:
    create_account(own, "eva", "four green apples fall", Role.REVIEWER)
    rule = with_choice(rule_of(own), "nevus", Choice.DROPPED)
    with pytest.raises(AccountError, match="A reviewer may not change the labels of a dataset"):
        prepare_relabel(own, "own", rule, base=0, account="eva")
    assert newest_version(own, "own").version == 0


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (LabelRule(), "This rule is empty"),
        (LabelRule(dropped=("nevus",)), "This rule is empty"),
        (LabelRule(benign=("nevus",), dropped=("nevus",)), "has nevus in two lists"),
        (LabelRule(benign=("nevuss",)), r"has the diagnosis nevuss \(did you mean nevus\?\)"),
    ],
)
def test_a_rule_that_cannot_be_used_is_one_sentence_and_changes_nothing(
    own: Database, rule: LabelRule, sentence: str
) -> None:
    before = whole(own)
    with pytest.raises(CorpusError, match=sentence):
        preview(own, "own", rule)
    with pytest.raises(CorpusError, match=sentence):
        prepare_relabel(own, "own", rule, base=0)
    assert whole(own) == before
    assert [one.version for one in list_versions(own, "own")] == [0]


def test_what_is_not_there_is_one_sentence(own: Database) -> None:
    assert labelled_datasets(own) == ["own"]
    for ask in (list_versions, preview):
        with pytest.raises(CorpusError, match="There is no dataset 'other' with labels"):
            ask(own, "other")
    with pytest.raises(CorpusError, match="No image of hiba is in the catalogue"):
        preview(own, "hiba")
    with pytest.raises(CorpusError, match="has no version 7: the newest is 0"):
        find_version(own, "own", 7)
    rule = with_choice(rule_of(own), "nevus", Choice.DROPPED)
    with pytest.raises(CorpusError, match="The note has 1,001 signs"):
        prepare_relabel(own, "own", rule, base=0, note="x" * 1001)


def test_an_import_and_a_relabelling_never_write_one_dataset_at_once(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    import_set(settings, database, write_set(tmp_path / "set"))
    rule = with_choice(rule_of(database), "nevus", Choice.DROPPED)
    task = prepare_relabel(database, "own", rule, base=0)
    submit_relabel(database, task)
    me = Worker(settings, database).identity
    relabelling = claim_next(database, me)
    assert relabelling is not None
    wanted = plan_task("folder", tmp_path / "set", name="own", side=64, processes=1)
    job = run(settings, database, IMPORT, wanted, import_title(wanted))
    assert "labels of own are being changed" in (job.error or "")
    with database.session() as session:
        session.get_one(Job, relabelling.id).worker_started = me.started - 1000
    import_set(settings, database, tmp_path / "set")
    assert labels(database) == {("melanoma", "malignant"): 3}


def work(settings: Settings, database: Database) -> JobView:
    worker = Worker(settings, database)
    job = claim_next(database, worker.identity)
    assert job is not None
    worker.run_job(job)
    return get_job(database, job.id)


def fill_large(database: Database, count: int) -> None:
    same = {"dataset": "isic2019", "diagnosis": "nevus"}
    write_rows(database, [catalogue_row(number, **same) for number in range(count)])


def start(settings: Settings, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "backend", "corpus", "labels", *words],
        cwd=ROOT,
        env=os.environ | settings.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def relabelled_by(database: Database, rule: str) -> int:
    with database.session() as session:
        tables = (CorpusImage, CorpusDropped)
        counts = (select(func.count()).where(table.rule == rule) for table in tables)
        return sum(session.scalar(count) or 0 for count in counts)


def test_a_relabelling_that_is_killed_in_the_middle_and_retried_ends_in_the_same_catalogue(
    any_settings: Settings, any_database: Database, tmp_path: Path
) -> None:
    count = 5_000
    fill_large(any_database, count)
    first = newest_version(any_database, "isic2019").rule
    rule = with_choice(first, "nevus", Choice.DROPPED)
    process = start(any_settings, "apply", "isic2019", "--set", "nevus=dropped")
    wait_for(lambda: relabelled_by(any_database, rule.version) > 0 or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < relabelled_by(any_database, rule.version) < count
    expect_counts_equal_a_recount(any_database)
    (job,) = jobs_on(any_database, "isic2019", KIND)
    reconcile(any_database)
    retry(any_database, job.id)
    assert work(any_settings, any_database).state is JobState.DONE
    assert "follow version 1 of its rule now" in job_log(any_database, job.id)[-1].text
    other = Settings(workspace=tmp_path / "other")
    undisturbed = open_database(other)
    fill_large(undisturbed, count)
    apply(other, undisturbed, rule, dataset="isic2019")
    assert whole(any_database) == whole(undisturbed)
    assert count_corpus(any_database) == 0
    undisturbed.close()
    apply(any_settings, any_database, first, dataset="isic2019")
    assert count_corpus(any_database) == count
    expect_counts_equal_a_recount(any_database)
