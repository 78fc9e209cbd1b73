"""The Jobs tab tells the truth about every job, also when its worker dies."""

import os
import signal
import time

from playwright.sync_api import Locator, expect

from backend.generation.gallery import GalleryFilter, ImageView, count_images, query_images
from backend.generation.provenance import read_png
from backend.jobs.queue import JobView, cancel, get_job, submit
from backend.jobs.states import JobState
from backend.settings import Settings
from backend.store.database import Database
from tests.web.studio_page import MADE_WITHIN_MS, Pace, StudioPage

COUNT = 4
INTERRUPTED_WITHIN_S = 10.0


def test_a_job_whose_worker_is_killed_is_interrupted_and_finished_by_retry(
    page: StudioPage, studio: tuple[str, Settings], studio_database: Database, pace: Pace
) -> None:
    caption = "An asymmetric mole for the worker that will be killed."
    page.tab("generate")
    page.generate_caption.fill(caption)
    page.fill_number("count", COUNT)
    page.set_pace(pace)
    job_id = page.generate()
    page.run_state(job_id, "running")
    images = GalleryFilter(text=caption)
    page.eventually(lambda: count_images(studio_database, images) >= 2, MADE_WITHIN_MS)

    job = get_job(studio_database, job_id)
    assert job.worker_pid is not None
    os.kill(job.worker_pid, signal.SIGKILL)
    killed = time.monotonic()
    page.run_state(job_id, "interrupted", timeout=int(INTERRUPTED_WITHIN_S * 1000))
    assert time.monotonic() - killed < INTERRUPTED_WITHIN_S
    kept = {image.id: image.pixel_hash for image in _made(studio_database, studio[1], caption)}
    assert 0 < len(kept) < COUNT

    page.tab("jobs")
    row = _row(page, job)
    expect(row).to_have_attribute("data-state", "interrupted")
    row.get_by_role("button", name="Retry").click()
    page.eventually(
        lambda: get_job(studio_database, job.id).state is JobState.DONE, 2 * MADE_WITHIN_MS
    )
    expect(row).to_have_attribute("data-state", "done")

    made = _made(studio_database, studio[1], caption)
    assert len(made) == COUNT
    assert kept.items() <= {image.id: image.pixel_hash for image in made}.items()
    for image in made:
        assert read_png(image.path).request == image.request
    assert not list(studio[1].images_dir.rglob("*.partial"))


def test_a_log_is_read_and_an_ended_job_removed_after_a_question(
    page: StudioPage, studio_database: Database
) -> None:
    job_id = submit(studio_database, kind="adherence", payload={}, title="To be removed")
    cancel(studio_database, job_id)
    page.tab("jobs")
    row = _row(page, get_job(studio_database, job_id))
    row.get_by_role("button", name="Log").click()
    expect(page.page.locator("#job-log")).to_contain_text("Log: To be removed")
    row.get_by_role("button", name="Remove:").click()
    question = page.page.locator("#confirm")
    expect(question).to_contain_text("The images it made stay.")
    question.get_by_role("button", name="Keep").click()
    expect(row).to_be_visible()
    row.get_by_role("button", name="Remove:").click()
    question.get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)


def test_a_second_window_follows_the_run_of_the_first(
    page: StudioPage, studio_database: Database, pace: Pace
) -> None:
    second = StudioPage(page.page.context.new_page(), page.address)
    second.open()
    second.tab("generate")
    page.tab("generate")
    page.generate_caption.fill("Watched from two windows: a light brown mole.")
    page.fill_number("count", 30)
    page.set_pace(pace)
    job_id = page.generate()
    second.run_state(job_id, "running")
    second.page.locator("#cancel").click()
    page.run_state(job_id, "cancelled")
    assert get_job(studio_database, job_id).state is JobState.CANCELLED
    second.expect_clean()


def test_two_hundred_queued_jobs_leave_the_page_usable(
    page: StudioPage, studio_database: Database, a_finished_run: str
) -> None:
    payload = get_job(studio_database, a_finished_run).payload
    ids = [
        submit(studio_database, kind="generate", payload=payload, title=f"Queued {number}")
        for number in range(200)
    ]
    try:
        page.tab("jobs")
        expect(page.page.locator("#jobs tbody tr")).to_have_count(20)
        page.pick("jobs-state", "Waiting")
        expect(page.page.locator("#jobs tr").nth(1)).to_contain_text("in the queue")
        page.page.locator("#jobs-older").click()
        expect(page.page.locator("#jobs-place")).to_contain_text("21 to 40 of")
        page.tab("compose")
        before = page.caption.input_value()
        page.choose("border", "Irregular")
        expect(page.caption).not_to_have_value(before)
    finally:
        for job_id in ids:
            if not get_job(studio_database, job_id).state.ended:
                cancel(studio_database, job_id)
    page.tab("generate")
    expect(page.page.locator('#runs .df-run[data-state="queued"]')).to_have_count(0)


def _made(database: Database, settings: Settings, caption: str) -> list[ImageView]:
    return query_images(database, settings, GalleryFilter(text=caption), limit=COUNT + 1)


def _row(page: StudioPage, job: JobView) -> Locator:
    return page.page.locator(f'#jobs tr[data-job="{job.id}"]')
