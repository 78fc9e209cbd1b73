"""Everything that matters can be done from the keyboard, and the first visit is explained."""

from playwright.sync_api import Browser, expect

from backend.generation.gallery import GalleryFilter, count_images
from backend.jobs.queue import get_job
from backend.jobs.states import JobState
from backend.settings import Settings
from backend.store.database import Database
from tests.web.studio_page import Pace, StudioPage


def test_ctrl_enter_goes_from_compose_to_generate_and_makes_the_image(
    page: StudioPage, studio_database: Database
) -> None:
    caption = "A symmetric mole with a smooth border and one shade of light brown, by keyboard."
    page.caption.fill(caption)
    page.page.keyboard.press("Control+Enter")
    expect(page.generate_caption).to_have_value(caption)
    page.fill_number("count", 1)
    page.generate_caption.focus()
    page.page.keyboard.press("Control+Enter")
    page.eventually(
        lambda: count_images(studio_database, GalleryFilter(text=caption)) == 1, timeout_ms=120_000
    )


def test_escape_cancels_the_running_job(
    page: StudioPage, studio_database: Database, pace: Pace
) -> None:
    job_id = _start_long_run(page, pace, "To be cancelled with Escape: an irregular black lesion.")
    page.page.locator("#runs").click()
    page.page.keyboard.press("Escape")
    page.run_state(job_id, "cancelled")
    assert get_job(studio_database, job_id).state is JobState.CANCELLED


def test_escape_in_a_dialog_closes_it_and_cancels_nothing(
    page: StudioPage, studio_database: Database, pace: Pace
) -> None:
    job_id = _start_long_run(page, pace, "Not to be cancelled by closing the help: a black lesion.")
    page.page.locator("#runs").click()
    page.page.keyboard.press("?")
    expect(page.page.locator("#help")).to_be_visible()
    page.page.keyboard.press("Escape")
    expect(page.page.locator("#help")).not_to_be_visible()
    assert not get_job(studio_database, job_id).cancel_requested
    page.page.locator("#cancel").click()
    page.run_state(job_id, "cancelled")


def test_question_mark_lists_the_keys_but_not_while_typing(page: StudioPage) -> None:
    page.caption.click()
    page.page.keyboard.press("?")
    expect(page.page.locator("#help")).not_to_be_visible()
    page.caption.blur()
    page.page.keyboard.press("?")
    expect(page.page.locator("#help")).to_contain_text("Ctrl + Enter")


def test_arrow_keys_move_inside_a_group_of_choices(page: StudioPage) -> None:
    before = page.caption.input_value()
    page.page.locator("#border").get_by_label("Slightly irregular").focus()
    page.page.keyboard.press("ArrowRight")
    expect(page.page.locator("#border").get_by_label("Irregular", exact=True)).to_be_checked()
    expect(page.caption).not_to_have_value(before)


def test_the_walkthrough_opens_on_the_first_visit_only_and_can_be_opened_again(
    chromium: Browser, studio: tuple[str, Settings]
) -> None:
    context = chromium.new_context()
    page = StudioPage(context.new_page(), studio[0])
    page.open()
    walkthrough = page.page.locator("#walkthrough")
    expect(walkthrough).to_be_visible()
    expect(walkthrough).to_contain_text("What runs here")
    walkthrough.get_by_role("button", name="Next").click()
    model = page.page.locator('[data-fact="model"]').inner_text()
    expect(walkthrough).to_contain_text(model)
    walkthrough.get_by_role("button", name="Next").click()
    walkthrough.get_by_role("button", name="Start").click()
    expect(walkthrough).not_to_be_visible()

    page.reload()
    page.page.wait_for_timeout(500)
    expect(walkthrough).not_to_be_visible()
    page.page.locator('[data-opens="help"]').click()
    page.page.get_by_role("button", name="Show the walkthrough").click()
    expect(walkthrough).to_be_visible()
    page.expect_clean()
    context.close()


def test_dark_mode_is_remembered(page: StudioPage) -> None:
    page.page.locator("#appearance").click()
    expect(page.page.locator("body")).to_have_class("dark")
    page.reload()
    expect(page.page.locator("body")).to_have_class("dark")
    expect(page.page.locator("#appearance")).to_have_attribute("aria-pressed", "true")


def _start_long_run(page: StudioPage, pace: Pace, caption: str) -> str:
    page.tab("generate")
    page.generate_caption.fill(caption)
    page.fill_number("count", 50)
    page.set_pace(pace)
    job_id = page.generate()
    page.run_state(job_id, "running")
    return job_id
