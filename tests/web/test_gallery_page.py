"""Images are found, compared, starred, deleted with undo, and taken away marked as synthetic."""

import io
import json
import re
import zipfile

from playwright.sync_api import Locator, expect

from backend.generation.gallery import get_image
from backend.generation.provenance import read_png
from backend.settings import Settings
from backend.store.database import Database
from tests.web.studio_page import StudioPage


def test_every_image_shows_what_was_asked_and_what_was_measured(
    page: StudioPage, studio: tuple[str, Settings], studio_database: Database, a_finished_run: str
) -> None:
    image = get_image(studio_database, studio[1], f"{a_finished_run}-0001")
    dialog = _open(page, image.id)
    expect(dialog).to_contain_text(image.caption)
    expect(dialog).to_contain_text("Synthetic. Not for diagnosis.")
    if not image.found:
        expect(dialog).to_contain_text("No lesion was found")
        return
    row = dialog.locator("tbody tr", has_text="Border")
    expect(row).to_contain_text("Slightly irregular")
    outline = dialog.get_by_role("button", name="Measured outline")
    outline.click()
    expect(dialog.locator(".df-image-side img")).to_have_attribute("src", re.compile("outline"))
    assert dialog.locator(".df-image-side img").evaluate("image => image.decode().then(() => true)")


def test_leafing_goes_through_the_page_of_images(page: StudioPage, a_finished_run: str) -> None:
    dialog = _open(page, f"{a_finished_run}-0001")
    expect(dialog.locator("h2")).to_have_text("Synthetic image, seed 100")
    page.page.keyboard.press("ArrowRight")
    expect(dialog.locator("h2")).to_have_text("Synthetic image, seed 99")
    page.page.keyboard.press("ArrowLeft")
    expect(dialog.locator("h2")).to_have_text("Synthetic image, seed 100")
    page.page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()


def test_a_star_filters_the_gallery(page: StudioPage, a_finished_run: str) -> None:
    card = _card(page, f"{a_finished_run}-0000")
    card.get_by_role("button", name="Star image").click()
    expect(card.locator('[aria-pressed="true"]')).to_be_visible()
    page.page.get_by_label("Starred only").last.click()
    expect(_card(page, f"{a_finished_run}-0001")).to_have_count(0)
    expect(card).to_be_visible()
    card.get_by_role("button", name="Star image").click()
    expect(card).to_have_count(0)
    expect(page.page.locator("#gallery")).to_contain_text("No image matches these filters")


def test_search_and_filters_narrow_the_gallery(page: StudioPage, a_finished_run: str) -> None:
    card = _card(page, f"{a_finished_run}-0000")
    search = page.page.locator("#gallery-search input")
    search.fill("no caption has these words")
    expect(page.page.locator("#gallery")).to_contain_text("No image matches these filters")
    search.fill("")
    expect(card).to_be_visible()
    page.page.locator("#more-filters .label-wrap").click()
    page.pick("filter-border", "Regular")
    expect(card).to_have_count(0)
    page.pick("filter-border", "Slightly irregular")
    expect(card).to_be_visible()
    page.pick("filter-label", "Malignant")
    expect(card).to_have_count(0)
    page.page.locator("#clear-filters").click()
    expect(card).to_be_visible()


def test_a_deleted_image_comes_back_with_undo(page: StudioPage, a_finished_run: str) -> None:
    card = _card(page, f"{a_finished_run}-0000")
    card.get_by_role("checkbox").check()
    expect(page.page.locator("#selection")).to_contain_text("1 selected")
    page.page.locator("#gallery-delete").click()
    expect(card).to_have_count(0)
    page.page.locator("#gallery-notice").get_by_role("button", name="Undo").click()
    expect(card).to_be_visible()


def test_an_export_is_an_image_folder_marked_as_synthetic(
    page: StudioPage, studio: tuple[str, Settings], studio_database: Database, a_finished_run: str
) -> None:
    ids = [f"{a_finished_run}-000{position}" for position in range(2)]
    for image_id in ids:
        _card(page, image_id).get_by_role("checkbox").check()
    expect(page.page.locator("#selection")).to_contain_text("2 selected")
    page.page.locator("#gallery-export").click()
    export = page.page.locator("#exports .df-run", has_text="Export of 2 images")
    with page.page.expect_download() as download:
        export.get_by_role("link", name="Download").click()
    content = download.value.path().read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = {name.rsplit("/", 1)[-1]: name for name in archive.namelist()}
        lines = archive.read(names["metadata.jsonl"]).decode().splitlines()
        records = {record["file_name"]: record for record in map(json.loads, lines)}
        for image_id in ids:
            image = get_image(studio_database, studio[1], image_id)
            record = records[image.path.name]
            assert record["synthetic"] is True
            assert record["text"] == image.caption
            exported = archive.read(names[image.path.name])
            assert exported == image.path.read_bytes()
            assert read_png(exported).synthetic is True


def test_two_images_are_compared_with_a_slider_that_the_keyboard_moves(
    page: StudioPage, a_finished_run: str
) -> None:
    compare = page.page.locator("#gallery-compare")
    _card(page, f"{a_finished_run}-0000").get_by_role("checkbox").check()
    expect(page.page.locator("#selection")).to_contain_text("1 selected")
    expect(compare).to_be_disabled()
    _card(page, f"{a_finished_run}-0001").get_by_role("checkbox").check()
    expect(compare).to_be_enabled()
    compare.click()
    dialog = page.page.locator("#compare-dialog")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("row", name="Seed")).to_contain_text("99")
    slider = dialog.get_by_role("slider")
    slider.focus()
    slider.press("End")
    shown = "area => getComputedStyle(area).getPropertyValue('--df-at').trim()"
    assert dialog.locator(".df-compare").evaluate(shown) == "100%"


def test_all_that_match_are_starred_and_another_filter_ends_that_selection(
    page: StudioPage, studio: tuple[str, Settings], studio_database: Database, a_finished_run: str
) -> None:
    ids = [f"{a_finished_run}-000{position}" for position in range(2)]
    expect(_card(page, ids[0])).to_be_visible()
    page.page.locator("#gallery-pick-all").click()
    expect(page.page.locator("#selection")).to_contain_text("All that match")
    expect(_card(page, ids[0]).get_by_role("checkbox")).to_be_checked()
    for button, starred in (("star", True), ("unstar", False)):
        page.page.locator(f"#gallery-{button}").click()
        page.eventually(
            lambda starred=starred: all(
                get_image(studio_database, studio[1], image_id).starred is starred
                for image_id in ids
            )
        )
    page.page.locator("#gallery-search input").fill("lesion")
    expect(page.page.locator("#selection")).to_contain_text("Nothing selected")
    expect(page.page.locator("#gallery-delete")).to_be_disabled()


def test_a_set_is_made_from_a_selection_opened_and_removed_after_asking(
    page: StudioPage, a_finished_run: str
) -> None:
    ids = [f"{a_finished_run}-000{position}" for position in range(2)]
    _card(page, ids[0]).get_by_role("checkbox").check()
    expect(page.page.locator("#gallery-add")).to_be_enabled()
    page.type_into(page.page.locator("#gallery-set-name input"), "Pilot")
    page.page.locator("#gallery-add").click()
    expect(page.page.locator("#gallery-notice")).to_contain_text("1 image put into the set Pilot")
    page.page.locator("#image-sets .label-wrap").click()
    entry = page.page.locator('#image-set-entries [data-set="Pilot"]')
    entry.get_by_role("button", name="Open set").click()
    expect(_card(page, ids[1])).to_have_count(0)
    expect(_card(page, ids[0])).to_be_visible()
    entry.get_by_role("button", name="Remove set").click()
    page.page.locator("#confirm").get_by_role("button", name="Remove").click()
    expect(entry).to_have_count(0)
    expect(_card(page, ids[1])).to_be_visible()


def test_selection_buttons_wait_for_a_selection(page: StudioPage, a_finished_run: str) -> None:
    expect(_card(page, f"{a_finished_run}-0000")).to_be_visible()
    for name in ("export", "delete", "star", "drop"):
        expect(page.page.locator(f"#gallery-{name}")).to_be_disabled()
    page.page.locator("#gallery-pick").click()
    expect(page.page.locator("#gallery-delete")).to_be_enabled()
    page.page.locator("#gallery-drop").click()
    expect(page.page.locator("#selection")).to_contain_text("Nothing selected")


def _card(page: StudioPage, image_id: str) -> Locator:
    if not page.page.locator("#gallery").is_visible():
        page.tab("generate")
    return page.page.locator(f'#gallery [data-image="{image_id}"]')


def _open(page: StudioPage, image_id: str) -> Locator:
    _card(page, image_id).locator(".df-open").click()
    dialog = page.page.locator("#image-dialog")
    expect(dialog).to_be_visible()
    return dialog
