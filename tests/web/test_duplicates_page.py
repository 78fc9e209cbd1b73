"""Duplicates and leakage in Chromium: found, judged by mouse and keys, seen again, taken away."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, expect

from backend.corpus.decisions import list_pairs
from backend.corpus.leakage_search import submit_leakage
from backend.corpus.states import PairState
from backend.settings import Settings, prepare_workspace
from backend.store.database import Database, open_database
from tests.service.comparable_sets import Comparable, comparable
from tests.web.duplicates_page import PROGRAM, DuplicatesPage
from tests.web.running_studio import running_studio, wait_until_done
from tests.web.studio_page import free_port

FADED_IN_AFTER_MS = 800


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A workspace of its own."""
    folder = tmp_path_factory.mktemp("duplicates")
    settings = Settings(workspace=folder / "workspace", port=free_port(), threads=1)
    prepare_workspace(settings)
    return settings


@pytest.fixture(scope="module")
def database(settings: Settings) -> Iterator[Database]:
    """The database behind the page."""
    database = open_database(settings)
    yield database
    database.close()


@pytest.fixture(scope="module")
def sets(settings: Settings, database: Database) -> Comparable:
    """Two datasets and a folder that share pictures."""
    return comparable(settings, database, settings.workspace.parent / "folder")


@pytest.fixture(scope="module")
def address(settings: Settings, sets: Comparable) -> Iterator[str]:  # noqa: ARG001
    """The running page."""
    with running_studio(settings, *PROGRAM) as address:
        yield address


@pytest.fixture(scope="module")
def a_comparison(database: Database, address: str) -> None:  # noqa: ARG001 - its worker compares
    """The newest report of leakage: one pair, which nobody has dismissed."""
    job_id = submit_leakage(database, "dataset:isic2019", "dataset:kaggle1")
    wait_until_done(database, job_id)


@pytest.fixture
def page(context: BrowserContext, address: str) -> Iterator[DuplicatesPage]:
    """The opened page; afterwards: no console error, and no request left this machine."""
    opened = DuplicatesPage(context.new_page(), address)
    opened.open()
    yield opened
    opened.expect_clean()


def groups(page: DuplicatesPage) -> Locator:
    return page.page.locator("#duplicate-groups .df-group")


def state_shown(page: DuplicatesPage, state: str, count: int) -> None:
    page.choose("duplicate-state", state)
    of_state = groups(page).filter(has=page.page.locator("header .df-state", has_text=state))
    expect(of_state).to_have_count(count)
    expect(groups(page)).to_have_count(count)


def states(database: Database) -> list[PairState]:
    return [view.state for view in list_pairs(database)]


def downloaded(page: DuplicatesPage, button: str) -> str:
    with page.page.expect_download() as download:
        page.page.locator(f"#{button}").click()
    return Path(download.value.path()).read_text("utf-8")


def test_an_empty_page_says_what_to_do_and_a_search_is_watched(
    page: DuplicatesPage, sets: Comparable
) -> None:
    window = page.page
    expect(window.locator("#duplicate-groups")).to_contain_text("No duplicates have been found")
    window.locator("#duplicate-export").click()
    page.expect_sentence("There is no group to write")
    window.locator("#duplicate-sets input").click()
    window.get_by_role("option", name="A folder…").click()
    window.keyboard.press("Escape")
    window.locator("#find-duplicates").click()
    page.expect_sentence("Write the path of the folder")
    window.locator("#duplicate-sets-folder :is(input, textarea)").press_sequentially("/nowhere")
    window.locator("#find-duplicates").click()
    page.expect_sentence("There is no folder /nowhere")
    page.type_into(window.locator("#duplicate-sets-folder :is(input, textarea)"), sets.folder)
    window.locator("#find-duplicates").click()
    run = window.locator("#duplicate-searches .df-run").first
    expect(run).to_have_attribute("data-state", "done")
    expect(run).to_contain_text("2 pairs in 2 groups, 2 pairs new. 1 could not be read.")
    expect(groups(page)).to_have_count(2)
    for image in groups(page).locator("img").all():
        image.scroll_into_view_if_needed()
        page.eventually(lambda shown=image: shown.evaluate("one => one.naturalWidth > 0"))
    expect(groups(page).filter(has_text="upside_down.png")).to_contain_text(str(sets.folder))


def test_groups_are_judged_with_keys_alone_and_taken_back(
    page: DuplicatesPage, database: Database
) -> None:
    window = page.page
    state_shown(page, "Suggested", 2)
    first = groups(page).first
    first.focus()
    window.keyboard.press("ArrowDown")
    expect(groups(page).nth(1)).to_be_focused()
    window.keyboard.press("ArrowUp")
    expect(first).to_be_focused()
    window.keyboard.press("c")
    expect(groups(page)).to_have_count(1)
    expect(groups(page).first).to_be_focused()
    window.keyboard.press("d")
    expect(groups(page)).to_have_count(0)
    expect(window.locator("#duplicate-groups .df-empty")).to_be_focused()
    assert sorted(states(database)) == [PairState.CONFIRMED, PairState.DISMISSED]
    expect(window.locator("#duplicate-notice")).to_contain_text("1 pair dismissed.")
    page.reload()
    state_shown(page, "Dismissed", 1)
    state_shown(page, "Confirmed", 1)
    groups(page).first.focus()
    window.keyboard.press("d")
    expect(groups(page)).to_have_count(0)
    window.locator("#duplicate-undo").click()
    expect(groups(page)).to_have_count(1)
    expect(window.locator("#duplicate-undo")).to_be_disabled()
    groups(page).first.get_by_role("button", name="Take back").click()
    expect(groups(page)).to_have_count(0)
    state_shown(page, "Dismissed", 1)
    groups(page).first.get_by_role("button", name="Take back").click()
    expect(groups(page)).to_have_count(0)
    state_shown(page, "Suggested", 2)


def test_groups_are_taken_away_as_csv(page: DuplicatesPage, sets: Comparable) -> None:
    text = downloaded(page, "duplicate-export")
    assert len(text.splitlines()) == 5
    assert all(name in text for name in ("ISIC_1", "melanoma_7", str(sets.folder)))


def test_the_second_of_two_windows_is_told_that_the_first_has_decided(
    page: DuplicatesPage, context: BrowserContext, address: str, database: Database
) -> None:
    other = DuplicatesPage(context.new_page(), address)
    other.open()
    for window in (page, other):
        expect(groups(window)).to_have_count(2)
    groups(page).first.get_by_role("button", name="Dismiss").click()
    expect(groups(page)).to_have_count(1)
    groups(other).first.get_by_role("button", name="Confirm").click()
    other.expect_sentence("Somebody has dismissed this pair meanwhile")
    assert sorted(states(database)) == [PairState.DISMISSED, PairState.SUGGESTED]
    page.page.locator("#duplicate-undo").click()
    expect(groups(page)).to_have_count(2)
    other.expect_clean()


def test_leakage_is_said_in_a_sentence_judged_and_seen_again(
    page: DuplicatesPage, sets: Comparable
) -> None:
    window = page.page
    page.tab("leakage")
    expect(window.locator("#leakage-pairs")).to_contain_text("No two sets have been compared")
    window.locator("#compare-sets").click()
    page.expect_sentence("Choose a first and a second set")
    page.pick("leakage-first", "ISIC 2019 (3)")
    page.pick("leakage-second", "ISIC 2019 (3)")
    window.locator("#compare-sets").click()
    page.expect_sentence("Both are the same set")
    page.pick("leakage-second", "Kaggle 1 (2)")
    window.locator("#compare-sets").click()
    finding = window.locator("#leakage-finding [data-clean]")
    expect(finding).to_contain_text("ISIC 2019 (3 images) and Kaggle 1 (2 images) share 1 pair")
    (names,) = window.locator("#leakage-pairs .df-group").all()
    assert [name.inner_text() for name in names.locator("figcaption strong").all()] == [
        "ISIC_1",
        "melanoma_7",
    ]
    assert sets.ids["melanoma_7"] in downloaded(page, "leakage-export")
    page.reload()
    page.tab("leakage")
    expect(finding).to_have_attribute("data-clean", "false")
    window.locator("#leakage-pairs .df-group").focus()
    window.keyboard.press("d")
    expect(finding).to_have_attribute("data-clean", "true")
    expect(window.locator("#leakage-pairs .df-group")).to_have_count(0)
    window.locator("#leakage-undo").click()
    expect(finding).to_have_attribute("data-clean", "false")


@pytest.mark.usefixtures("a_comparison")
@pytest.mark.parametrize("width", [1280, 390])
def test_no_violation_and_no_sideways_scroll(chromium: Browser, address: str, width: int) -> None:
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, reduced_motion="reduce"
    )
    context.add_init_script("localStorage.setItem('dermaflux.walkthrough', '1')")
    page = DuplicatesPage(context.new_page(), address)
    page.open()
    expect(groups(page)).to_have_count(2)
    found = page.axe()
    page.tab("leakage")
    expect(page.page.locator("#leakage-pairs .df-group")).to_have_count(1)
    found += page.axe()
    assert [violation["id"] for violation in found] == []
    assert page.page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    context.close()
    page.expect_clean()
