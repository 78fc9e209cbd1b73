"""Photograph every tab of the real studio, light and dark, wide and on a phone.

Run with `python -m docs.take_screenshots` from the root of the repository. The studio runs on a
workspace of its own; the pictures go to docs/screenshots.
"""

import re
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from playwright.sync_api import Browser, expect, sync_playwright
from sqlalchemy import select

from backend.captioning.running import CaptionTask, submit_captions
from backend.evaluation.prediction_tables import keep_table
from backend.generation.models import list_models
from backend.review.caption_sets import make_version
from backend.review.people import Actor
from backend.review.recipe import NewVersion
from backend.review.sets import list_review_sets
from backend.settings import REPOSITORY, Settings
from backend.store.database import open_database
from backend.store.tables import CorpusImage
from tests.phantom_download import write_download
from tests.web.review_page import ReviewClient
from tests.web.running_studio import running_studio, wait_until_done
from tests.web.studio_page import MADE_WITHIN_MS, StudioPage, free_port, launch_chromium

FOLDER = REPOSITORY / "docs" / "screenshots"
WIDTHS = {"wide": 1280, "phone": 390}
SCHEMES = ("light", "dark")
LESIONS = (
    ("Symmetric", "Regular", ()),
    ("In two axes", "Irregular", ("Black", "Blue-gray")),
    ("In one axis", "Slightly irregular", ("Red",)),
)
IMAGES_EACH = 4
TRAINED_WITHIN_MS = 900_000
TRAINING = {
    "steps": 120,
    "batch": 4,
    "checkpoint-every": 60,
    "validate-every": 30,
    "validation-images": 8,
    "sample-every": 40,
    "sample-steps": 8,
}
SETTLED_AFTER_MS = 1_500
PHANTOMS, BALANCED = 60, 20
CORPUS_PARTS = {
    "corpus-import": "#report table",
    "corpus-overview": "#corpus-chart .barlayer",
    "corpus-browse": "#corpus-cards .df-card",
    "corpus-subsets": '[data-subset="Balanced"]',
    "corpus-labels": "#labels-mapping table",
    "corpus-duplicates": "#duplicate-groups .df-group img",
}
"""The parts of the corpus, and what is there once they are drawn."""
GUIDELINES = "Judge what is seen, not what the label suggests.\nWhat cannot be seen is unsure."
PARTS = {"sweep": "#sweeps img.df-figure", "sets": "#set-card img"}
"""The panels beside the gallery, and what is there once their pictures are."""


def main() -> None:
    """Make images by the page itself, then photograph it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(workspace=Path(folder) / "workspace", port=free_port())
        if not any(model.problem is None for model in list_models(settings)):
            raise SystemExit("There is no model to photograph: train or copy the starter first.")
        with running_studio(settings) as address, sync_playwright() as playwright:
            browser = launch_chromium(playwright)
            _make_images(browser, address)
            _make_sweep_and_set(browser, address)
            _import_phantoms(browser, address, Path(folder))
            _make_reviews(settings, address)
            _train(browser, address, settings)
            _bring_predictions(settings, Path(folder))
            for scheme in SCHEMES:
                for name, width in WIDTHS.items():
                    _photograph(browser, address, scheme, name, width)
            browser.close()


def _make_images(browser: Browser, address: str) -> None:
    page = _opened(browser, address, "light", 1280, visited=True)
    for asymmetry, border, colours in LESIONS:
        page.tab("compose")
        page.choose("asymmetry", asymmetry)
        page.choose("border", border)
        for colour in colours:
            page.choose("colours", colour)
        page.page.wait_for_timeout(2_000)
        caption = page.caption.input_value()
        page.page.locator("#compose-generate").click()
        expect(page.generate_caption).to_have_value(caption)
        page.fill_number("count", IMAGES_EACH)
        page.run_state(page.generate(), "done")
    page.page.context.close()


def _make_sweep_and_set(browser: Browser, address: str) -> None:
    """A sweep of the border by guidance, and a small set of the best of two."""
    page = _opened(browser, address, "light", 1280, visited=True)
    page.tab("generate")
    page.tab("sweep")
    page.pick("sweep-down", "Border")
    template = page.page.locator("#sweep-template textarea, #sweep-template input")
    template.fill("A brown lesion with a {border} border.")
    expect(page.page.locator("#sweep-preview")).to_contain_text("9 images")
    page.page.locator("#make-sweep").click()
    page.page.locator("#sweeps img.df-figure").wait_for(timeout=MADE_WITHIN_MS)
    page.tab("sets")
    page.page.locator("#set-name textarea, #set-name input").fill("Pilot")
    page.fill_number("set-per-class", IMAGES_EACH)
    page.page.locator("#design-captions").click()
    page.page.locator("#set-preview table").wait_for()
    page.page.locator("#build").click()
    show = page.page.locator("#sets").get_by_role("button", name="Show card")
    show.wait_for(timeout=MADE_WITHIN_MS)
    page.page.context.close()


def _import_phantoms(browser: Browser, address: str, folder: Path) -> None:
    """A corpus of drawn lesions, never of patients, and a balanced subset of it."""
    download = write_download(folder / "phantoms", PHANTOMS, side=256, twin=True)
    page = _opened(browser, address, "light", 1280, visited=True)
    page.tab("corpus")
    page.page.locator("#import-root textarea, #import-root input").fill(str(download))
    page.page.locator("#import-start").click()
    done = page.page.locator('#imports [data-state="done"]')
    done.wait_for(timeout=MADE_WITHIN_MS)
    page.tab("corpus-subsets")
    page.page.locator("#subset-name textarea, #subset-name input").fill("Balanced")
    page.fill_number("subset-per-label", BALANCED)
    page.page.locator("#subset-make").click()
    page.page.locator('[data-subset="Balanced"]').wait_for()
    page.tab("corpus-duplicates")
    page.page.locator("#find-duplicates").click()
    page.page.locator("#duplicate-groups .df-group").wait_for(timeout=MADE_WITHIN_MS)
    page.page.context.close()


def _make_reviews(settings: Settings, address: str) -> None:
    """Captions by measurement, one set that two have judged, and one that is to be judged."""
    database = open_database(settings)
    wait_until_done(database, submit_captions(database, CaptionTask()))
    database.close()
    keeper = ReviewClient(address, "carla")
    asked = {"size": PHANTOMS // 3, "reviewers_per_item": 2, "guidelines": GUIDELINES}
    judged = keeper.make(name="Pilot", **asked)
    for name in ("anna", "ben"):
        ReviewClient(address, name).judge_all(judged, partial(_verdict, name))
    keeper.make(name="Second round", **asked)


def _train(browser: Browser, address: str, settings: Settings) -> None:
    """A LoRA of the starter from what was approved: a few steps, then a few more in another run."""
    database = open_database(settings)
    keeper = Actor("carla")
    reviewed = next(one.id for one in list_review_sets(database, keeper) if one.name == "Pilot")
    make_version(database, keeper, NewVersion(name="Pilot", review_set=reviewed))
    database.close()
    page = _opened(browser, address, "light", 1280, visited=True)
    page.tab("train")
    page.pick("train-caption-set", "Pilot")
    page.page.locator("#train-checkpoints-validation-samples .label-wrap").click()
    for name, value in TRAINING.items():
        page.fill_number(f"train-{name}", value)
    for title, rate in (("Rate 0.001", 0.001), ("Rate 0.0005", 0.0005)):
        page.type_into(page.page.locator("#train-title input, #train-title textarea"), title)
        page.fill_number("train-learning-rate", rate)
        page.page.locator("#train-show-plan").click()
        expect(page.page.locator("#train-plan")).to_contain_text("parameters")
        page.page.locator("#train-start").click()
        done = page.page.locator('#train-run [data-state="done"]', has_text=title)
        done.wait_for(timeout=TRAINED_WITHIN_MS)
    page.page.context.close()


def _photograph_train(page: StudioPage, suffix: str) -> None:
    """A plan, a run with its curves and samples, and two runs beside each other."""
    window = page.page
    page.tab("train")
    window.locator("#train-loss .js-plotly-plot").wait_for()
    window.locator("#train-show-plan").click()
    window.locator("#train-plan table").first.wait_for(timeout=MADE_WITHIN_MS)
    for box in window.get_by_role("checkbox", name=re.compile("^Compare Rate")).all():
        box.check()
    window.locator("#train-comparison table").wait_for()
    _load_every_image(page)
    window.wait_for_timeout(SETTLED_AFTER_MS)
    window.screenshot(path=FOLDER / f"train-{suffix}", full_page=True)


def _bring_predictions(settings: Settings, folder: Path) -> None:
    """Scores of two invented models on the phantoms, which say nothing about patients."""
    database = open_database(settings)
    with database.session() as session:
        images = session.execute(select(CorpusImage.id, CorpusImage.label)).all()
    database.close()
    chance = np.random.default_rng(7)
    rows = [
        {"image_id": image, "y_true": label.value, "model": model,
         "score": round(1 / (1 + np.exp(-chance.normal(strength * (label.value == "malignant"))
                                        + strength / 2)), 3)}
        for model, strength in (("Invented A", 3.0), ("Invented B", 1.5))
        for image, label in images
        if label is not None
    ]  # fmt: skip
    file = folder / "invented.csv"
    pd.DataFrame(rows).to_csv(file, index=False)
    keep_table(settings.workspace, file)


def _photograph_benchmark(page: StudioPage, suffix: str) -> None:
    """The curves of two models, and the malignant images that one of them misses."""
    page.tab("benchmark")
    window = page.page
    window.locator("#benchmark-tables input").click()
    window.get_by_role("option").first.click()
    missed = window.locator('[data-cell="false_negatives"] button')
    missed.wait_for()
    missed.click()
    window.locator("#benchmark-images li, #benchmark-images .df-dim").first.wait_for()
    _load_every_image(page)
    window.wait_for_timeout(SETTLED_AFTER_MS)
    window.screenshot(path=FOLDER / f"benchmark-{suffix}", full_page=True)


def _verdict(reviewer: str, item: dict[str, Any]) -> dict[str, Any]:
    """Every fifth item divides the two, every seventh is edited by the second."""
    marks = dict.fromkeys(("asymmetry", "border", "colours"), "approve")
    if item["position"] % 5 == 0 and reviewer == "ben":
        wrong = {**marks, "border": "reject"}
        return {"answer": "reject", "reason": "Wrong border", "marks": wrong}
    if item["position"] % 7 == 0 and reviewer == "ben":
        text = f"{item['text']} A pale halo surrounds it."
        return {"answer": "edit", "text": text, "marks": {**marks, "colours": "edit"}}
    if item["position"] % 5 in (0, 1):
        return {"answer": "reject", "reason": "Wrong asymmetry", "marks": marks}
    return {"answer": "approve", "marks": marks}


def _open_part(page: StudioPage, part: str) -> None:
    """A panel beside the gallery, with a preview or a card to see."""
    page.tab(part)
    if part == "sets":
        page.page.locator("#design-captions").click()
        page.page.locator("#sets").get_by_role("button", name="Show card").click()
    page.page.locator(PARTS[part]).wait_for()


def _load_every_image(page: StudioPage) -> None:
    """Images below the fold wait until they are scrolled to."""
    page.page.evaluate(
        "document.querySelectorAll('img[loading=lazy]').forEach(image => image.loading = 'eager')"
    )


def _photograph(browser: Browser, address: str, scheme: str, name: str, width: int) -> None:
    """Compose, Generate and its panels, an image, Corpus, Jobs, Models, Review, the first visit."""
    page = _opened(browser, address, scheme, width, visited=False)
    suffix = f"{scheme}-{name}.png"
    expect(page.page.locator("#walkthrough")).to_be_visible()
    page.page.screenshot(path=FOLDER / f"walkthrough-{suffix}")
    page.page.keyboard.press("Escape")
    for tab, ready in (("compose", "#reading"), ("generate", ".df-card"), ("jobs", "#jobs tr")):
        page.tab(tab)
        page.page.locator(ready).first.wait_for()
        _load_every_image(page)
        page.page.wait_for_timeout(SETTLED_AFTER_MS)
        page.page.screenshot(path=FOLDER / f"{tab}-{suffix}", full_page=True)
    _photograph_corpus(page, suffix)
    _photograph_models(page, suffix)
    _photograph_review(page, suffix)
    _photograph_train(page, suffix)
    _photograph_benchmark(page, suffix)
    page.tab("generate")
    for part in PARTS:
        _open_part(page, part)
        page.page.wait_for_timeout(SETTLED_AFTER_MS)
        page.page.screenshot(path=FOLDER / f"{part}-{suffix}", full_page=True)
    page.tab("gallery")
    page.page.locator(".df-open").first.click()
    expect(page.page.locator("#image-dialog")).to_be_visible()
    page.page.screenshot(path=FOLDER / f"image-{suffix}")
    page.page.context.close()


def _photograph_corpus(page: StudioPage, suffix: str) -> None:
    """Each part of the corpus, and an open image with its measured outline."""
    page.tab("corpus")
    for part, ready in CORPUS_PARTS.items():
        page.tab(part)
        page.page.locator(ready).first.wait_for()
        _load_every_image(page)
        page.page.wait_for_timeout(SETTLED_AFTER_MS)
        page.page.screenshot(path=FOLDER / f"{part}-{suffix}", full_page=True)
    page.tab("corpus-browse")
    page.page.locator("#corpus-cards .df-open").first.click()
    dialog = page.page.locator("#corpus-dialog")
    dialog.get_by_role("button", name="Measured outline").click()
    dialog.locator("table").wait_for()
    page.page.wait_for_timeout(SETTLED_AFTER_MS)
    page.page.screenshot(path=FOLDER / f"corpus-image-{suffix}")
    dialog.get_by_role("button", name="Close").click()


def _photograph_review(page: StudioPage, suffix: str) -> None:
    """An item to judge, the caption being edited, a dispute, and the agreement."""
    window = page.page
    window.evaluate("localStorage.setItem('dermaflux.review.name', 'carla')")
    page.tab("review")
    review = window.locator(".rv-root")

    def photograph(what: str) -> None:
        window.wait_for_timeout(SETTLED_AFTER_MS)
        window.screenshot(path=FOLDER / f"review-{what}-{suffix}", full_page=True)

    review.locator('[data-set="Pilot"]').wait_for()
    photograph("sets")
    review.locator('[data-set="Second round"]').get_by_role("button", name="Judge").click()
    review.locator(".rv-stage img").wait_for()
    photograph("judge")
    review.get_by_role("button", name="← Sets").click()
    review.locator('[data-set="Pilot"]').get_by_role("button", name="Discussion").click()
    review.locator(".rv-letter").first.wait_for()
    review.locator(".rv-stage img").wait_for()
    photograph("discussion")
    review.get_by_role("navigation").get_by_role("button", name="Agreement").click()
    review.locator(".rv-agreement").wait_for()
    photograph("agreement")


def _photograph_models(page: StudioPage, suffix: str) -> None:
    """The models, and what is asked before one is downloaded; the answer is no."""
    page.tab("models")
    offered = page.page.locator("#models").get_by_role("button", name=re.compile("^Download"))
    offered.first.wait_for()
    page.page.wait_for_timeout(SETTLED_AFTER_MS)
    page.page.screenshot(path=FOLDER / f"models-{suffix}", full_page=True)
    offered.first.click()
    dialog = page.page.locator("#confirm")
    expect(dialog).to_be_visible()
    page.page.screenshot(path=FOLDER / f"download-{suffix}")
    dialog.get_by_role("button", name="Not now").click()
    expect(dialog).to_be_hidden()


def _opened(
    browser: Browser, address: str, scheme: str, width: int, *, visited: bool
) -> StudioPage:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    if visited:
        context.add_init_script("localStorage.setItem('dermaflux.walkthrough', '1')")
    page = StudioPage(context.new_page(), address)
    page.open()
    return page


if __name__ == "__main__":
    main()
