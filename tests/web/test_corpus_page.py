"""The Corpus tab in a browser: a folder becomes a catalogue, a report, a subset, an export."""

import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from backend.abc.attributes import Label
from backend.corpus.decisions import list_pairs
from backend.corpus.duplicates import Likeness
from backend.corpus.exporting import KIND as EXPORT
from backend.corpus.exporting import make_export_task
from backend.corpus.importing import KIND as IMPORT
from backend.corpus.queries import CorpusFilter, count_corpus
from backend.corpus.states import PairState
from backend.corpus.subsets import list_subsets
from backend.jobs.queue import list_jobs
from backend.store.database import Database
from tests.phantom_download import write_download
from tests.web.studio_page import MADE_WITHIN_MS, StudioPage

COUNT = 40


def field(page: StudioPage, name: str) -> Locator:
    """The box of a text or a number."""
    return page.page.locator(f"#{name} input, #{name} textarea").first


def fill(page: StudioPage, name: str, value: object) -> None:
    """Type and leave the box."""
    page.type_into(field(page, name), value)


def start_import(page: StudioPage, folder: Path, name: str) -> Locator:
    """Point at a folder; returns the card of the import."""
    before = page.page.locator("#imports .df-run").count()
    fill(page, "import-root", folder)
    page.page.locator("#import-more .label-wrap").click()
    fill(page, "import-name", name)
    fill(page, "import-side", 96)
    page.page.locator("#import-start").click()
    expect(page.page.locator("#imports .df-run")).to_have_count(min(4, before + 1))
    return page.page.locator("#imports .df-run").first


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """Forty phantoms, one of them a second time in a mirror, and what cannot be imported."""
    return write_download(tmp_path / "download", COUNT - 1, first=100, twin=True)


def test_a_folder_becomes_a_catalogue_a_report_and_a_subset_that_a_refresh_keeps(
    page: StudioPage, studio_database: Database, download: Path
) -> None:
    window = page.page
    page.tab("corpus")
    expect(window.locator("#import-facts")).to_contain_text("Tschandl et al.")
    run = start_import(page, download, "clinic")
    page.reload()
    page.tab("corpus")
    expect(run).to_have_attribute("data-state", "done", timeout=MADE_WITHIN_MS)
    expect(run).to_contain_text(f"{COUNT} images are in the catalogue; 3 rows and files")

    run.get_by_role("button", name="Show what was left out").click()
    rows = window.locator("#report tbody tr")
    expect(rows).to_have_count(3)
    expect(window.locator("#report")).to_contain_text("images/BROKEN.png is not an image")
    page.pick("report-reason", "Row without image (1)")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("ABSENT")
    with window.expect_download() as saved:
        window.locator("#report-save").click()
        window.locator("#report-saved").get_by_role("link", name="Download CSV").click()
    lines = saved.value.path().read_text("utf-8").splitlines()
    assert lines[1:] == [
        "clinic,ABSENT,row_without_image,a row without an image: the file is not in this folder"
    ]

    run.get_by_role("button", name="Browse").click()
    expect(window.locator("#corpus-place")).to_have_text(f"1 to 24 of {COUNT}")
    criteria = CorpusFilter(dataset="clinic", label=Label.MALIGNANT)
    malignant = count_corpus(studio_database, criteria)
    page.pick("corpus-label", f"Malignant ({malignant})")
    expect(window.locator("#corpus-place")).to_contain_text(f"of {malignant}")

    page.tab("corpus-subsets")
    expect(window.locator("#subset-preview")).to_contain_text(f"{malignant} images")
    fill(page, "subset-name", "malignant in clinic")
    window.locator("#subset-make").click()
    entry = window.locator('[data-subset="malignant in clinic"]')
    expect(entry).to_contain_text(f"{malignant} images: 0 benign, {malignant} malignant")

    page.tab("corpus-duplicates")
    window.locator("#find-duplicates").click()
    search = window.locator("#duplicate-searches .df-run").first
    expect(search).to_have_attribute("data-state", "done", timeout=MADE_WITHIN_MS)
    twins = window.locator("#duplicate-groups .df-group").filter(has_text="TWIN")
    expect(twins).to_contain_text("PHANTOM_0100")
    twins.get_by_role("button", name="Confirm").first.click()
    expect(twins).to_have_count(0)
    (pair,) = list_pairs(studio_database, state=PairState.CONFIRMED)
    assert pair.likeness in (Likeness.NEAR, Likeness.PIXELS)

    page.reload()
    page.tab("corpus")
    page.tab("corpus-duplicates")
    page.choose("duplicate-state", "Confirmed")
    expect(twins).to_have_count(1)
    page.tab("corpus-subsets")
    expect(entry).to_contain_text("All images of clinic: malignant")
    page.tab("corpus-browse")
    expect(window.locator("#corpus-place")).to_contain_text(" of ")
    page.tab("corpus-subsets")
    entry.get_by_role("button", name="Browse").click()
    expect(window.locator("#corpus-place")).to_contain_text(f"of {malignant}")
    page.tab("corpus-subsets")
    entry.get_by_role("button", name="Remove").click()
    expect(window.locator("#confirm")).to_contain_text("Its images stay in the corpus")
    window.locator("#confirm").get_by_role("button", name="Remove").click()
    expect(entry).to_have_count(0)
    assert "malignant in clinic" not in [one.name for one in list_subsets(studio_database)]


def test_pages_images_and_arrow_keys_lead_through_the_corpus(
    page: StudioPage, a_corpus: str
) -> None:
    window = page.page
    page.tab("corpus")
    page.tab("corpus-browse")
    page.pick("corpus-dataset", "Phantoms (30)")
    expect(window.locator("#corpus-place")).to_have_text("1 to 24 of 30")
    window.locator("#corpus-cards .df-open").nth(23).click()
    dialog, title = window.locator("#corpus-dialog"), window.locator("#corpus-dialog h2")
    expect(dialog).to_contain_text("Real image of a patient")
    expect(dialog).to_contain_text("CC-BY-NC-4.0")
    last = title.inner_text()
    window.keyboard.press("ArrowRight")
    expect(title).not_to_have_text(last)
    expect(window.locator("#corpus-place")).to_have_text("25 to 30 of 30")
    window.keyboard.press("ArrowLeft")
    expect(title).to_have_text(last)
    dialog.get_by_role("button", name="Measured outline").click()
    expect(dialog.locator("table")).to_contain_text("Asymmetry")
    expect(dialog.locator("img")).to_have_attribute("src", re.compile("-outline.png"))
    dialog.get_by_role("button", name="Close").click()
    name = last.partition(": ")[2]
    field(page, "corpus-find").press_sequentially(name)
    expect(window.locator("#corpus-place")).to_have_text("1 to 1 of 1")
    assert a_corpus == "phantoms"


def test_a_subset_is_exported_as_a_job_and_downloaded(
    page: StudioPage, studio_database: Database, a_corpus: str
) -> None:
    window = page.page
    page.tab("corpus")
    page.tab("corpus-subsets")
    page.pick("corpus-export-format", "Parquet")
    window.locator(f'[data-subset="{a_corpus}"]').get_by_role("button", name="Export").click()
    run = window.locator("#corpus-exports .df-run").first
    expect(run).to_have_attribute("data-state", "done", timeout=MADE_WITHIN_MS)
    with window.expect_download() as saved:
        run.get_by_role("link", name="Download").click()
    with zipfile.ZipFile(saved.value.path()) as archive:
        (manifest,) = [name for name in archive.namelist() if name.endswith("manifest.json")]
        assert json.loads(archive.read(manifest))["images"] == 30
    (job,) = list_jobs(studio_database, kinds=(EXPORT,))
    assert make_export_task(job.payload).subset == a_corpus


def test_bad_input_is_one_sentence_and_starts_nothing(
    page: StudioPage, studio_database: Database, a_corpus: str, tmp_path: Path
) -> None:
    window = page.page
    before = len(list_jobs(studio_database, kinds=(IMPORT,)))
    page.tab("corpus")
    window.locator("#import-start").click()
    page.expect_sentence("No folder is given")
    (tmp_path / "note.txt").write_text("no folder")
    for path, words in (
        (tmp_path / "gone", "There is no folder"),
        (tmp_path / "note.txt", "neither a folder nor a zip"),
    ):
        fill(page, "import-root", path)
        window.locator("#import-start").click()
        page.expect_sentence(words)
    window.locator("#import-columns .label-wrap").click()
    fill(page, "import-root", tmp_path)
    (tmp_path / "note.txt").unlink()
    window.locator("#import-read-columns").click()
    page.expect_sentence("No table lies near the top")
    window.locator("#import-more .label-wrap").click()
    fill(page, "import-side", 7)
    window.locator("#import-start").click()
    page.expect_sentence("The recipe.side of an import cannot be used")
    fill(page, "import-side", 64)
    fill(page, "import-name", "No Name!")
    window.locator("#import-start").click()
    page.expect_sentence("The name of an import cannot be used")
    assert len(list_jobs(studio_database, kinds=(IMPORT,))) == before

    page.tab("corpus-subsets")
    expect(window.locator("#subset-preview")).to_contain_text("images")
    window.locator("#subset-make").click()
    page.expect_sentence("The name of a subset has 1 to")
    fill(page, "subset-name", a_corpus)
    window.locator("#subset-make").click()
    page.expect_sentence("already: choose another name")
    fill(page, "subset-per-label", 100000)
    expect(window.locator("#subset-preview")).to_contain_text("images match, not 100,000")
