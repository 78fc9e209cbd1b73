"""The main job by a person's own path, in a real browser, with a real model."""

import re
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from backend.generation.gallery import GalleryFilter, ImageView, query_images
from backend.jobs.queue import get_job
from backend.jobs.states import JobState
from backend.settings import Settings
from backend.store.database import Database
from tests.web.studio_page import MADE_WITHIN_MS, Pace, StudioPage

COUNT = 3


def test_composed_images_survive_a_refresh_and_come_out_the_same_when_recalled(
    page: StudioPage, studio: tuple[str, Settings], studio_database: Database, pace: Pace
) -> None:
    caption = _compose(page)

    page.page.locator("#compose-generate").click()
    expect(page.generate_caption).to_have_value(caption)
    page.fill_number("count", COUNT)
    page.fill_number("seed", 20_261)
    page.set_pace(pace)
    job_id = page.generate()
    _watch_progress(page, job_id, pace)

    assert get_job(studio_database, job_id).state is JobState.RUNNING
    page.reload()
    page.tab("generate")
    expect(page.generate_caption).to_have_value(caption)
    # A fast machine may have finished while the page was loading.
    expect(page.run(job_id)).to_have_attribute("data-state", re.compile("running|done"))
    page.run_state(job_id, "done")

    made = _images(studio_database, studio[1], caption)
    assert [image.seed for image in made] == [20_263, 20_262, 20_261]
    for image in made:
        expect(page.page.locator(f'#gallery [data-image="{image.id}"]')).to_be_visible()

    again = _recall_and_regenerate(page, made[1], studio_database, studio[1])
    assert again.id != made[1].id
    assert again.pixel_hash == made[1].pixel_hash
    assert np.array_equal(_pixels(again.path), _pixels(made[1].path))


def _compose(page: StudioPage) -> str:
    """Choose a lesion and return the caption that was written for it."""
    before = page.caption.input_value()
    page.choose("asymmetry", "In two axes")
    expect(page.caption).not_to_have_value(before)
    before = page.caption.input_value()
    page.choose("colours", "Black")
    expect(page.caption).not_to_have_value(before)
    expect(page.page.locator("#reading mark.df-mark-a")).not_to_have_count(0)
    expect(page.page.locator("#reading mark.df-mark-c")).not_to_have_count(0)
    return page.caption.input_value()


def _watch_progress(page: StudioPage, job_id: str, pace: Pace) -> None:
    """Progress in words and as a bar, with a preview, while the images are made."""
    page.run_state(job_id, "running")
    run = page.run(job_id)
    expect(run.locator(".df-run-text")).to_contain_text(f"of {pace.steps}", timeout=MADE_WITHIN_MS)
    expect(run.locator(".df-run-text")).to_contain_text("steps per second")
    expect(run.locator(".df-run-text")).to_contain_text("left")
    expect(run.get_by_role("progressbar")).not_to_have_attribute("aria-valuenow", "0")
    expect(run.get_by_role("img", name="Preview of image")).to_be_visible(timeout=MADE_WITHIN_MS)


def _recall_and_regenerate(
    page: StudioPage, image: ImageView, database: Database, settings: Settings
) -> ImageView:
    page.page.locator(f'#gallery [data-image="{image.id}"] .df-open').click()
    dialog = page.page.locator("#image-dialog")
    expect(dialog.locator(".df-comparison, .df-note").first).to_be_visible()
    dialog.get_by_role("button", name="Everything", exact=True).click()
    expect(dialog).to_have_count(0)
    expect(page.number("seed")).to_have_value(str(image.seed))
    expect(page.number("count")).to_have_value("1")
    page.page.locator("#generate").click()
    page.eventually(
        lambda: len(_images(database, settings, image.caption)) == COUNT + 1, MADE_WITHIN_MS
    )
    return _images(database, settings, image.caption)[0]


def _images(database: Database, settings: Settings, caption: str) -> list[ImageView]:
    """The images made from this caption, newest first."""
    return query_images(database, settings, GalleryFilter(text=caption))


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
