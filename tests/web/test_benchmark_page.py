"""The Benchmark tab in a browser: two CSVs, the ROC, a dragged point, missed images, a report."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from backend.jobs.processes import this_process
from backend.jobs.queue import claim_next, list_jobs
from backend.jobs.states import JobState
from backend.jobs.worker import Worker
from backend.settings import Settings
from backend.store.database import Database
from backend.store.tables import CorpusImage
from studio.tabs.benchmark import build_benchmark
from tests.service.test_label_rules import import_set, write_set
from tests.web.panel_page import panel_page
from tests.web.studio_page import INTERACTIVE_WITHIN_MS, StudioPage

OTHERS = 200


@pytest.fixture
def tables(settings: Settings, database: Database, tmp_path: Path) -> list[Path]:
    """Predictions of two models, of images of the corpus by their names there, and of others."""
    import_set(settings, database, write_set(tmp_path / "set"))
    with database.session() as session:
        names = list(session.scalars(select(CorpusImage.source_id)))
    ids = [*names, *(f"ISIC_{number:07d}" for number in range(OTHERS))]
    chance = np.random.default_rng(4)
    truth = np.arange(len(ids)) % 3 == 0
    files = []
    for model, strength in (("vit", 2.0), ("resnext", 1.0)):
        score = 1 / (1 + np.exp(-chance.normal(truth * strength - 1, 1)))
        # The malignant images of the corpus score lowest: they are the first that are missed.
        score[: len(names)][truth[: len(names)]] = 0.001
        frame = pd.DataFrame({"image": ids, "label": truth.astype(int), "prob": score.round(4)})
        frame["fitzpatrick"] = np.where(np.arange(len(ids)) % 2, "I-II", "V")
        files.append(tmp_path / f"{model}.csv")
        frame.to_csv(files[-1], index=False)
    return files


@pytest.fixture
def window(chromium: Browser, settings: Settings, database: Database) -> Iterator[StudioPage]:
    """The tab alone on a page; nothing may be complained about."""
    with panel_page(settings, database, build_benchmark) as address:
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        context.add_init_script("localStorage.setItem('dermaflux.walkthrough', '1')")
        opened = StudioPage(context.new_page(), address)
        yield opened
        context.close()
        opened.expect_clean()


def bring(window: StudioPage, file: Path, curves: int) -> None:
    page = window.page
    field = page.locator("#benchmark-file input[type=file]")
    clear = page.locator("#benchmark-file").get_by_role("button", name=re.compile("Clear|Remove"))

    def empty() -> bool:
        if clear.is_visible():
            clear.click()
        return field.count() > 0

    window.eventually(empty)
    field.set_input_files(file)
    expect(page.locator("#benchmark-preview table")).to_be_visible()
    expect(page.locator("#benchmark-column-score input")).to_have_value("prob")
    page.locator("#benchmark-take").click()
    expect(page.locator("#benchmark-readout tbody").first.locator("tr")).to_have_count(curves)


def test_from_two_files_to_a_report_that_opens_offline(
    window: StudioPage, settings: Settings, database: Database, tables: list[Path], tmp_path: Path
) -> None:
    page = window.page
    page.goto(window.address)
    expect(page.locator("#benchmark-curves")).to_contain_text(
        "No predictions chosen", timeout=INTERACTIVE_WITHIN_MS
    )
    page.locator("#benchmark-import .label-wrap").click()
    for count, file in enumerate(tables, start=1):
        bring(window, file, count)

    roc = page.locator('[data-plot="roc"]')
    expect(roc).to_contain_text("Published: DermaFlux-ViT")
    roc.locator("svg").hover(position={"x": 200, "y": 120})
    expect(roc.locator(".df-tip")).to_contain_text("of 1,000 malignant missed")

    missed = page.locator('[data-cell="false_negatives"] button')
    before = missed.inner_text()
    dot = roc.locator('[data-dot="0"]')
    dot.scroll_into_view_if_needed()
    box, area = dot.bounding_box(), roc.locator("svg").bounding_box()
    assert box is not None
    assert area is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(area["x"] + 90, area["y"] + area["height"] * 0.6, steps=4)
    page.mouse.up()
    expect(missed).not_to_have_text(before)
    expect(page.locator("#benchmark-readout tbody tr").first).to_contain_text("by hand")

    missed.click()
    images = page.locator("#benchmark-images")
    expect(images).to_contain_text("Missed malignant")
    expect(images.locator("img").first).to_be_visible()
    expect(images.locator("img").first).not_to_have_js_property("naturalWidth", 0)

    slider = page.locator('#benchmark-threshold input[type="range"]')
    slider.focus()
    after = page.locator("#benchmark-readout tbody tr td").first.inner_text()
    slider.press("ArrowRight")
    expect(page.locator("#benchmark-readout tbody tr td").first).not_to_have_text(after)
    page.locator("#benchmark-preset").get_by_text("Sensitivity 0.95").click()
    expect(page.locator("#benchmark-readout tbody tr").first).to_contain_text("too good")

    assert window.axe() == []
    page.set_viewport_size({"width": 390, "height": 844})
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) <= 0
    assert window.axe() == []
    page.set_viewport_size({"width": 1280, "height": 900})

    page.locator("#benchmark-report").click()
    window.eventually(lambda: bool(list_jobs(database)))
    job = claim_next(database, this_process())
    assert job is not None
    Worker(settings, database).run_job(job)
    assert list_jobs(database)[0].state is JobState.DONE
    link = page.locator('#benchmark-downloads a[download="report.html"]')
    expect(link).to_have_text("Report as HTML")
    with page.expect_download() as download:
        link.click()
    assert download.value.suggested_filename == "report.html", download.value.url
    report = tmp_path / "report.html"
    download.value.save_as(report)

    context = page.context.browser.new_context(offline=True)  # type: ignore[union-attr]
    alone = StudioPage(context.new_page(), report.as_uri())
    alone.page.goto(report.as_uri())
    expect(alone.page.locator("#points table").first).to_contain_text("Youden")
    drawn = "[...document.images].every(one => one.complete && one.naturalWidth > 0)"
    alone.eventually(lambda: alone.page.evaluate(drawn))
    alone.expect_clean()
    context.close()
