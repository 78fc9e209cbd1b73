"""A LoRA is trained from the page: left and found again, stopped, resumed, compared and used."""

import re

import pytest
from playwright.sync_api import Browser, Locator, expect

from backend.corpus.importing import plan_task, submit_import
from backend.corpus.queries import CorpusFilter, query_corpus
from backend.finetuning.run_folder import Phase
from backend.generation.gallery import GalleryFilter, query_images
from backend.review.caption_sets import Entry, add_version
from backend.review.people import Actor
from backend.review.states import Action, Origin
from backend.settings import Settings
from backend.store.database import Database
from tests.phantom_download import write_download
from tests.training_runs import a_run, trained
from tests.web.running_studio import wait_until_done
from tests.web.studio_page import MADE_WITHIN_MS, StudioPage

PAIRS, SIDE = 8, 128
LONG, SHORT = 5_000, 4
TEXTS = ("A symmetric mole with one shade of light brown.", "A black lesion, irregular.")
FIRST = "20250101-000000-early"
TINY = {"lora": {"rank": 4, "alpha": 4}, "precision": "fp32", "sample_every": 0}
CAPTION = "A black lesion by the LoRA that was just trained."


@pytest.fixture(scope="module")
def a_caption_set(
    studio: tuple[str, Settings],
    studio_database: Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """The name of a caption set over a corpus of a few phantoms."""
    name = "trainable"
    folder = write_download(
        tmp_path_factory.mktemp("trainable") / "download", PAIRS, side=SIDE, first=900
    )
    task = plan_task("ham10000", folder, name=name, side=SIDE, processes=1)
    wait_until_done(studio_database, submit_import(studio_database, task))
    images = query_corpus(studio_database, studio[1], CorpusFilter(dataset=name))
    entries = [
        Entry(image.id, name, image.source_id, TEXTS[place % 2], Origin.APPROVED)
        for place, image in enumerate(images)
    ]
    add_version(studio_database, Actor("anna"), name, entries, action=Action.VERSION)
    return name


def test_a_run_is_left_found_again_stopped_and_resumed(
    page: StudioPage, chromium: Browser, a_caption_set: str
) -> None:
    page.tab("train")
    _choose(page, a_caption_set)
    expect(page.page.locator("#train-reviewed")).to_contain_text("Approved as they were")
    _open_part(page, "checkpoints-validation-samples")
    for name, value in {
        "rank": 4,
        "batch": 2,
        "checkpoint-every": 20,
        "validate-every": 1_000,
        "validation-images": 2,
        "sample-every": 0,
    }.items():
        page.fill_number(f"train-{name}", value)
    _start(page, "Long", LONG)
    expect(_run(page, "training")).to_be_visible(timeout=MADE_WITHIN_MS)
    address = page.address
    page.page.close()

    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script("localStorage.setItem('dermaflux.walkthrough', '1')")
    again = StudioPage(context.new_page(), address)
    again.open()
    again.tab("train")
    expect(_run(again, "training")).to_contain_text("Long")
    expect(again.page.locator("#train-loss .js-plotly-plot .scatterlayer")).to_be_visible(
        timeout=MADE_WITHIN_MS
    )
    _press(again, "Stop after checkpoint")
    expect(_run(again, "stopped")).to_be_visible(timeout=MADE_WITHIN_MS)
    _press(again, "Resume")
    expect(_run(again, "training")).to_be_visible(timeout=MADE_WITHIN_MS)
    _press(again, "Stop now")
    expect(_run(again, "stopped")).to_contain_text("kept", timeout=MADE_WITHIN_MS)
    _press(again, "Send LoRA to Generate")
    expect(again.page.locator("#lora-1 input")).to_have_value(re.compile(r"Long-step-\d+"))
    again.expect_clean()
    context.close()


def test_a_run_is_repeated_compared_and_its_lora_makes_an_image(
    page: StudioPage, studio: tuple[str, Settings], studio_database: Database, a_caption_set: str
) -> None:
    data = {"caption_set": a_caption_set}
    run = a_run(
        studio[1], FIRST, title="Early", base="tiny", data=data, resolutions=(SIDE,), **TINY
    )
    trained(run, 20, phase=Phase.STOPPED)
    page.tab("train")
    page.page.get_by_role("button", name="Open: Early").first.click()
    expect(_run(page, "stopped")).to_contain_text("checkpoint of step 20 kept")
    _press(page, "Use its settings")
    expect(page.page.locator("#train-notice")).to_contain_text("The form is as Early")
    _start(page, "Short", SHORT)
    expect(_run(page, "done")).to_contain_text("Short", timeout=MADE_WITHIN_MS)
    for title in ("Early", "Short"):
        page.page.get_by_role("checkbox", name=f"Compare {title}", exact=True).check()
    compared = page.page.locator("#train-comparison")
    expect(compared).to_contain_text("Steps (optional)")
    expect(compared.get_by_role("columnheader", name="Short")).to_be_visible()
    expect(page.page.locator("#train-compared-loss .scatterlayer")).to_be_visible()

    _press(page, "Send LoRA to Generate")
    expect(page.page.locator("#lora-1 input")).to_have_value("Short")
    expect(page.page.locator("#model input")).to_have_value("Tiny FLUX")
    page.generate_caption.fill(CAPTION)
    page.fill_number("count", 1)
    page.run_state(page.generate(), "done")
    (image,) = query_images(studio_database, studio[1], GalleryFilter(text=CAPTION))
    assert [use.name for use in image.request.loras] == ["Short"]
    page.expect_clean()


def test_a_setting_that_cannot_be_used_is_said_where_the_plan_would_be(
    page: StudioPage, a_caption_set: str
) -> None:
    page.tab("train")
    _choose(page, a_caption_set)
    page.fill_number("train-batch", 0)
    page.page.locator("#train-show-plan").click()
    expect(page.page.locator("#train-plan")).to_contain_text("Batch: input should be greater")
    page.page.locator("#train-start").click()
    page.expect_sentence("Batch: input should be greater")


def _choose(page: StudioPage, captions: str) -> None:
    """The data, and the smallest base there is."""
    page.pick("train-caption-set", captions)
    page.pick("train-base", "Tiny FLUX")


def _start(page: StudioPage, title: str, steps: int) -> None:
    """Show the plan, then start what it was shown for."""
    page.type_into(page.page.locator("#train-title").locator("input, textarea"), title)
    page.fill_number("train-steps", steps)
    page.page.locator("#train-show-plan").click()
    expect(page.page.locator("#train-plan")).to_contain_text("parameters", timeout=MADE_WITHIN_MS)
    page.page.locator("#train-start").click()
    expect(page.page.locator("#train-notice")).to_contain_text(
        "in the queue", timeout=MADE_WITHIN_MS
    )


def _run(page: StudioPage, state: str) -> Locator:
    return page.page.locator(f'#train-run [data-state="{state}"]')


def _press(page: StudioPage, label: str) -> None:
    page.page.locator("#train-controls").get_by_role("button", name=label).first.click()


def _open_part(page: StudioPage, part: str) -> None:
    page.page.locator(f"#train-{part} .label-wrap").click()
