"""The Labels panel in a browser: seen, changed, its effect read, applied, restored, by keyboard."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from backend.corpus.label_rules import list_versions, newest_version
from backend.corpus.queries import CorpusFilter, count_by, count_corpus
from backend.corpus.relabelling import KIND, prepare_relabel
from backend.corpus.rule_editing import Choice, with_choice
from backend.corpus.subsets import make_subset
from backend.jobs.processes import this_process
from backend.jobs.queue import claim_next, list_jobs
from backend.jobs.states import JobState
from backend.jobs.worker import Worker
from backend.settings import Settings
from backend.store.database import Database
from studio.tabs.corpus_labels import build_labels
from tests.service.test_label_rules import import_set, write_set
from tests.web.panel_page import panel_page
from tests.web.studio_page import INTERACTIVE_WITHIN_MS, StudioPage

OWN = CorpusFilter(dataset="own")


@pytest.fixture
def own(settings: Settings, database: Database, tmp_path: Path) -> Database:
    """A dataset of four classes, and a subset of its images."""
    import_set(settings, database, write_set(tmp_path / "set"))
    make_subset(database, "everything", (OWN,))
    return database


@pytest.fixture
def window(chromium: Browser, settings: Settings, database: Database) -> Iterator[StudioPage]:
    """The panel alone on a page, opened by its own test; nothing may be complained about."""
    with panel_page(settings, database, build_labels) as address:
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        context.add_init_script("localStorage.setItem('dermaflux.walkthrough', '1')")
        opened = StudioPage(context.new_page(), address)
        yield opened
        context.close()
        opened.expect_clean()


def open_panel(window: StudioPage, shows: str = ".df-labels") -> Page:
    page = window.page
    page.goto(window.address)
    page.locator(f"#labels-mapping {shows}").wait_for(timeout=INTERACTIVE_WITHIN_MS)
    return page


def choose(page: Page, diagnosis: str, label: str) -> None:
    page.get_by_label(f"{diagnosis} counts as").select_option(label=label)


def do_the_job(settings: Settings, database: Database) -> None:
    job = claim_next(database, this_process())
    assert job is not None
    Worker(settings, database).run_job(job)


def test_without_a_dataset_the_panel_says_what_to_do(window: StudioPage) -> None:
    page = open_panel(window, ".df-empty")
    expect(page.locator("#labels-mapping")).to_contain_text("Import one first")
    for hidden in ("#show-effect", "#labels-history", "#labels-dataset"):
        expect(page.locator(hidden)).not_to_be_visible()


def test_labels_are_changed_after_their_effect_was_read_and_restored(
    window: StudioPage, own: Database, settings: Settings
) -> None:
    page = open_panel(window)
    nevus = page.locator('#labels-mapping [data-diagnosis="nevus"]')
    expect(nevus).to_contain_text("4 benign")
    expect(page.locator("#show-effect")).to_be_disabled()
    choose(page, "nevus", "Dropped")
    choose(page, "actinic keratosis", "Malignant")
    edits = page.locator("#labels-edits")
    expect(edits).to_contain_text("actinic keratosis: dropped to malignant, nevus: benign to")
    page.locator("#show-effect").click()
    effect = page.locator("#labels-effect")
    expect(effect).to_contain_text("Effect: 6 of 10 images change")
    expect(effect).to_contain_text("5 malignant, 5 dropped")
    expect(effect).to_contain_text("everything: 4 are dropped (nevus/0, nevus/1, nevus/2, nevus/3)")
    assert count_by(own, "label", criteria=OWN) == {("benign",): 4, ("malignant",): 3}

    page.locator("#labels-note textarea").fill("As the board decided")
    page.get_by_role("button", name="Apply").click()
    dialog = page.locator("#confirm")
    expect(dialog).to_contain_text("Apply these labels to own? 6 images change")
    dialog.get_by_role("button", name="Not yet").click()
    assert newest_version(own, "own").version == 0
    page.get_by_role("button", name="Apply").click()
    dialog.get_by_role("button", name="Apply").click()
    expect(page.locator("#labels-job")).to_contain_text("Labels of own, version 1")
    expect(page.get_by_label("nevus counts as")).to_be_disabled()
    do_the_job(settings, own)
    expect(page.locator("#labels-job .df-run")).to_have_count(0)
    expect(nevus).to_contain_text("4 dropped")
    assert count_by(own, "label", criteria=OWN) == {("malignant",): 5}
    first = page.locator('#labels-history [data-version="1"]')
    expect(first).to_contain_text("As the board decided")

    page = open_panel(window)
    expect(page.get_by_label("nevus counts as")).to_have_value("dropped")
    page.locator('#labels-history [data-version="0"] button').click()
    expect(page.get_by_label("nevus counts as")).to_have_value("benign")
    expect(effect).to_contain_text("4 come back")
    page.get_by_role("button", name="Apply").click()
    dialog.get_by_role("button", name="Apply").click()
    expect(page.locator('#labels-history [data-version="2"]')).to_contain_text(
        "the same as version 0"
    )
    do_the_job(settings, own)
    expect(nevus).to_contain_text("4 benign")
    assert count_by(own, "label", criteria=OWN) == {("benign",): 4, ("malignant",): 3}


def test_changes_are_discarded_and_a_choice_taken_back_leaves_nothing(
    window: StudioPage, own: Database
) -> None:
    page = open_panel(window)
    choose(page, "melanoma", "Benign")
    page.locator("#show-effect").click()
    expect(page.get_by_role("button", name="Apply")).to_be_visible()
    choose(page, "melanoma", "Malignant")
    expect(page.locator("#labels-edits")).not_to_contain_text("Not applied")
    expect(page.get_by_role("button", name="Apply")).to_have_count(0)
    choose(page, "melanoma", "Dropped")
    expect(page.locator("#labels-edits")).to_contain_text("melanoma: malignant to dropped")
    page.locator("#discard-labels").click()
    expect(page.get_by_label("melanoma counts as")).to_have_value("malignant")
    assert [one.version for one in list_versions(own, "own")] == [0]


def test_who_comes_second_is_told_and_keeps_their_changes(
    window: StudioPage, own: Database, settings: Settings
) -> None:
    page = open_panel(window)
    choose(page, "melanoma", "Benign")
    page.locator("#show-effect").click()
    expect(page.get_by_role("button", name="Apply")).to_be_visible()
    rule = with_choice(newest_version(own, "own").rule, "nevus", Choice.MALIGNANT)
    prepare_relabel(own, "own", rule, base=0)
    page.get_by_role("button", name="Apply").click()
    page.locator("#confirm").get_by_role("button", name="Apply").click()
    window.expect_sentence("Somebody else changed the labels of own to version 1 since you began")
    assert not list_jobs(own, kinds=(KIND,), states=(JobState.QUEUED,))
    expect(page.get_by_label("melanoma counts as")).to_have_value("benign")
    choose(page, "nevus", "Malignant")
    expect(page.locator("#labels-edits")).to_contain_text("to version 1 meanwhile")
    page.locator("#discard-labels").click()
    expect(page.get_by_label("melanoma counts as")).to_have_value("malignant")
    assert count_corpus(own, OWN) == 7
    assert settings.workspace.is_dir()


def test_the_mapping_is_changed_by_keyboard_alone(window: StudioPage, own: Database) -> None:
    page = open_panel(window)
    page.get_by_label("nevus counts as").focus()
    page.keyboard.press("m")
    page.keyboard.press("Tab")
    expect(page.get_by_label("melanoma counts as")).to_be_focused()
    expect(page.locator("#labels-edits")).to_contain_text("nevus: benign to malignant")
    page.locator("#show-effect").focus()
    page.keyboard.press("Enter")
    apply = page.get_by_role("button", name="Apply")
    expect(apply).to_be_visible()
    apply.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#confirm")).to_be_visible()
    page.keyboard.press("Escape")
    assert newest_version(own, "own").version == 0


@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    window: StudioPage,
    own: Database,  # noqa: ARG001 - it is what is shown
    width: int,
) -> None:
    window.page.set_viewport_size({"width": width, "height": 900})
    page = open_panel(window)
    choose(page, "nevus", "Dropped")
    page.locator("#show-effect").click()
    expect(page.get_by_role("button", name="Apply")).to_be_visible()
    found = [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in window.axe()]
    assert found == []
    assert page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
