"""Bad input meets one clear sentence, loses nothing, and leaves the studio usable."""

from functools import partial
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from backend.generation.gallery import get_image
from backend.generation.running import KIND as GENERATE
from backend.jobs.queue import count_jobs, list_jobs
from backend.jobs.states import JobState
from backend.settings import Settings
from backend.store.database import Database
from tests.web.studio_page import StudioPage


@pytest.mark.parametrize(
    ("caption", "sentence"),
    [
        ("", "The caption is empty"),
        ("   ", "The caption is empty"),
        ("mole " * 2_000, "shorten the caption"),
    ],
    ids=["empty", "blank", "10,000 characters"],
)
def test_a_caption_that_cannot_be_used_is_refused_with_a_sentence(
    page: StudioPage, studio_database: Database, caption: str, sentence: str
) -> None:
    before = count_jobs(studio_database)
    page.tab("generate")
    page.generate_caption.fill(caption)
    page.page.locator("#generate").click()
    page.expect_sentence(sentence)
    expect(page.generate_caption).to_have_value(caption)
    assert count_jobs(studio_database) == before


def test_compose_says_beside_the_caption_that_it_is_too_long(page: StudioPage) -> None:
    asymmetry = page.page.locator("#asymmetry input:checked")
    before = asymmetry.get_attribute("value")
    page.caption.fill("mole " * 2_000)
    expect(page.page.locator("#compose-notice")).to_contain_text("shorten the caption")
    assert asymmetry.get_attribute("value") == before
    page.page.locator("#compose-generate").click()
    page.expect_sentence("shorten the caption")


def test_other_scripts_are_accepted(page: StudioPage, studio_database: Database) -> None:
    caption = "Χωρίς ασυμμετρία 黑色素瘤 שומה — شامة \u202e"
    page.caption.fill(caption)
    expect(page.page.locator("#reading .df-reading")).to_contain_text("黑色素瘤")
    page.page.locator("#compose-generate").click()
    page.fill_number("count", 1)
    page.page.locator("#generate").click()
    newest = partial(list_jobs, studio_database, kinds=(GENERATE,), limit=1)
    page.eventually(lambda: "黑色素瘤" in newest()[0].payload["caption"])
    job = newest()[0]
    page.eventually(
        lambda: [one.id for one in newest(states=(JobState.DONE,))] == [job.id],
        120_000,
    )


def test_html_in_a_caption_stays_text(page: StudioPage) -> None:
    page.caption.fill("<img src=x onerror=\"document.title='broken'\"> a black mole <b>bold</b>")
    expect(page.page.locator("#reading .df-reading")).to_contain_text("<b>bold</b>")
    assert page.page.locator("#reading .df-reading :is(img, b)").count() == 0
    assert page.page.title() != "broken"


def test_numbers_out_of_range_are_refused_with_a_sentence(page: StudioPage) -> None:
    page.tab("generate")
    page.generate_caption.fill("A symmetric brown mole.")
    page.fill_number("count", 5_000)
    page.page.locator("#generate").click()
    page.expect_sentence("The number of images must be between 1 and 1,000, not 5,000.")
    expect(page.number("count")).to_have_value("5000")


def test_a_foreign_png_dropped_for_recall_is_told_apart(page: StudioPage, tmp_path: Path) -> None:
    foreign = tmp_path / "holiday.png"
    Image.new("RGB", (64, 64), "teal").save(foreign)
    page.tab("generate")
    page.generate_caption.fill("To be kept.")
    page.page.locator("#recall-drop input[type=file]").set_input_files(foreign)
    page.expect_sentence("This PNG carries no DermaFlux request")
    expect(page.generate_caption).to_have_value("To be kept.")


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n broken"])
def test_a_broken_file_dropped_for_recall_gets_a_sentence(
    page: StudioPage, tmp_path: Path, content: bytes
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(content)
    page.tab("generate")
    page.page.locator("#recall-drop input[type=file]").set_input_files(broken)
    expect(page.toast).to_be_visible()
    assert "Traceback" not in page.toast.inner_text()
    assert "Something went wrong" not in page.toast.inner_text()


def test_a_png_of_ours_dropped_for_recall_fills_the_form(
    page: StudioPage, studio: tuple[str, Settings], studio_database: Database, a_finished_run: str
) -> None:
    image = get_image(studio_database, studio[1], f"{a_finished_run}-0000")
    page.tab("generate")
    page.page.locator("#recall-drop input[type=file]").set_input_files(image.path)
    expect(page.generate_caption).to_have_value(image.caption)
    expect(page.number("seed")).to_have_value(str(image.seed))
