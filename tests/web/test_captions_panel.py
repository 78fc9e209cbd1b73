"""The Captions panel in a browser: started, watched, refused, compared, by keyboard, axe-clean."""

import json
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from backend.captioning.comparing import KIND as COMPARE
from backend.captioning.running import KIND as CAPTION
from backend.corpus.queries import iterate_corpus
from backend.jobs.processes import this_process
from backend.jobs.queue import claim_next, list_jobs
from backend.jobs.worker import Worker
from backend.settings import Settings, prepare_workspace
from backend.store.database import Database
from studio.context import StudioContext
from studio.tabs.captions_panel import CaptionsPanel
from studio.tabs.corpus_captions import build_captions
from studio.tabs.review import build_review
from tests.service.corpus_pictures import fill_corpus
from tests.web.panel_page import panel_page
from tests.web.studio_page import INTERACTIVE_WITHIN_MS, StudioPage, free_port

IMAGES = 8
SAID = "The mole is asymmetric in two axes, with an irregular border. It suggests malignancy."
CAPTIONER = "caption-captioner"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A fresh workspace at a port of its own."""
    settings = Settings(workspace=tmp_path / "workspace", port=free_port(), threads=1)
    prepare_workspace(settings)
    return settings


def build_with_review(studio: StudioContext) -> CaptionsPanel:
    """The panel, and the tab that it leads to."""
    with gr.Tabs():
        with gr.Tab("Captions", id="corpus-captions"):
            panel = build_captions(studio)
        with gr.Tab("Review", id="review"):
            build_review()
    return panel


@pytest.fixture
def window(chromium: Browser, settings: Settings, database: Database) -> Iterator[StudioPage]:
    """The panel on a page with Review beside it; nothing may be complained about."""
    with panel_page(settings, database, build_with_review) as address:
        context = chromium.new_context(
            viewport={"width": 1280, "height": 900}, reduced_motion="reduce"
        )
        context.add_init_script("localStorage.setItem('dermaflux.walkthrough', '1')")
        opened = StudioPage(context.new_page(), address)
        yield opened
        context.close()
        opened.expect_clean()


def open_panel(window: StudioPage) -> Page:
    page = window.page
    page.goto(window.address)
    page.locator("#caption-versions .df-empty, #caption-versions table").first.wait_for(
        timeout=INTERACTIVE_WITHIN_MS
    )
    return page


def start(window: StudioPage, sentence: str) -> None:
    """Press Start captioning, and read why nothing starts."""
    window.page.locator("#start-captions").click()
    window.expect_sentence(sentence)


def do_the_job(settings: Settings, database: Database) -> None:
    job = claim_next(database, this_process())
    assert job is not None
    Worker(settings, database).run_job(job)


def box(page: Page, name: str) -> Locator:
    return page.locator(f"#{name} :is(input, textarea)")


def scrolls_sideways(page: Page) -> bool:
    widths = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    return bool(page.evaluate(widths))


def test_an_empty_corpus_is_said_and_offers_no_form(window: StudioPage) -> None:
    page = open_panel(window)
    expect(page.locator("#captions-nothing")).to_contain_text("Import a dataset first")
    expect(page.locator("#start-captions")).not_to_be_visible()
    expect(page.locator("#captions-not-enough")).to_contain_text("as soon as there are two")
    assert window.axe() == []


def test_images_are_captioned_and_compared_from_the_page_alone(
    window: StudioPage, settings: Settings, database: Database, tmp_path: Path
) -> None:
    fill_corpus(settings, database, tmp_path / "set", IMAGES, name="phantoms")
    names = [one.source_id for one in iterate_corpus(database, settings)]
    file = tmp_path / "doctors.json"
    file.write_text(json.dumps(dict.fromkeys(names, SAID)))
    page = open_panel(window)
    _refused(window, database)

    window.choose(CAPTIONER, "Measured")
    window.pick("caption-images", f"phantoms ({IMAGES})")
    page.locator("#start-captions").focus()
    page.keyboard.press("Enter")
    run = page.locator("#caption-runs .df-run").first
    expect(run).to_contain_text("Captions for phantoms (measured)")
    expect(run.get_by_role("button", name="Cancel")).to_be_visible()
    do_the_job(settings, database)
    expect(run).to_have_attribute("data-state", "done")
    versions = page.locator("#caption-versions tbody tr")
    expect(versions).to_have_count(1)

    window.choose(CAPTIONER, "A file of captions")
    window.type_into(box(page, "caption-archive"), file)
    page.locator("#start-captions").click()
    expect(page.locator("#caption-runs .df-run")).to_have_count(2)
    do_the_job(settings, database)
    expect(versions).to_have_count(2)
    theirs = versions.filter(has_text="doctors-")
    expect(theirs).to_contain_text(f"Gives the label away: {IMAGES}")
    theirs.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(theirs).to_contain_text("It follows no prompt.")

    page.locator("#compare-captions").click()
    expect(page.locator("#caption-comparisons .df-run")).to_have_attribute("data-state", "queued")
    do_the_job(settings, database)
    expect(page.locator("#caption-report")).to_contain_text(f"of {IMAGES} images are described by")
    first = page.locator("#caption-differences article").first
    expect(first).to_contain_text(SAID)
    window.eventually(lambda: first.locator("img").evaluate("one => one.naturalWidth > 0"))
    with page.expect_download() as download:
        page.locator("#caption-disagreements-csv").click()
    assert "It suggests malignancy." in Path(download.value.path()).read_text("utf-8")
    assert [job.kind for job in list_jobs(database)][:3] == [COMPARE, CAPTION, CAPTION]

    window.choose(CAPTIONER, "A server")
    page.locator("#caption-limits .label-wrap").click()
    expect(page.locator("#caption-temperature input")).to_be_visible()
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        found = [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in window.axe()]
        assert found == []
        assert not scrolls_sideways(page)
    _reviewed(page, theirs, settings, database)


def _reviewed(page: Page, version: Locator, settings: Settings, database: Database) -> None:
    """From a version to the form of a review set of what is flagged in it."""
    version.get_by_role("button", name="Review what is flagged").click()
    page.get_by_label("Your name").fill("Rita")
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("heading", name="Make a review set")).to_be_visible()
    chosen = page.get_by_label("Captions of").locator("option:checked")
    expect(chosen).to_contain_text("archive, prompt doctors-")
    expect(page.get_by_label("Which come first").locator("option:checked")).to_have_attribute(
        "value", "flagged"
    )
    page.get_by_role("button", name="Make the set").click()
    expect(page.get_by_text("The set is being made")).to_be_visible()
    do_the_job(settings, database)
    page.get_by_role("button", name="← Sets").click()
    expect(page.locator("[data-set]")).to_contain_text(f"of {IMAGES} items done")


def _refused(window: StudioPage, database: Database) -> None:
    """What cannot be used is said in one sentence, and nothing is sent without a yes."""
    page = window.page
    window.choose(CAPTIONER, "A model on this machine")
    expect(page.locator("#caption-models")).to_contain_text("No vision-language model is on this")
    window.choose("caption-prompt", "Your own")
    page.locator("#caption-own-prompt textarea").wait_for()
    start(window, "The prompt is empty")
    window.choose("caption-prompt", "Without the label")
    expect(page.locator("#caption-asked")).not_to_contain_text("may give it away")
    field = box(page, "caption-model")
    field.fill("/nowhere")
    field.blur()
    start(window, "There is no vision-language model /nowhere, and no such folder")

    window.choose(CAPTIONER, "A server")
    window.type_into(box(page, "caption-server-model"), "seer")
    address = box(page, "caption-base-url")
    window.type_into(address, "my server")
    start(window, "my server is no address of a server")
    window.type_into(address, "https://8.8.8.8/v1")
    page.locator("#start-captions").click()
    question = page.locator("#caption-question")
    expect(question).to_contain_text(f"{IMAGES} images of the corpus would leave the building")
    question.get_by_role("button", name="Send the images").click()
    dialog = page.locator("#confirm")
    expect(dialog).to_contain_text("Have you the right to send them there?")
    dialog.get_by_role("button", name="Keep them here").click()
    expect(dialog).not_to_be_visible()
    assert list_jobs(database, kinds=(CAPTION,)) == []
    window.choose(CAPTIONER, "Measured")
