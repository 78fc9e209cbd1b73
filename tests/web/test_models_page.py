"""The Models tab in a browser: a yes before a download; a folder is added and removed."""

import shutil
from pathlib import Path

from playwright.sync_api import expect

from backend.jobs.queue import list_jobs
from backend.settings import Settings
from backend.store.database import Database
from tests.web.studio_page import StudioPage


def test_what_is_not_here_shows_licence_and_size_and_a_no_downloads_nothing(
    page: StudioPage, studio_database: Database
) -> None:
    page.tab("models")
    item = page.page.locator('[data-model="stable-diffusion-v1-4"]')
    expect(item).to_contain_text("CreativeML OpenRAIL-M")
    expect(item).to_contain_text("4.3 GB")
    item.get_by_role("button", name="Download").click()
    dialog = page.page.locator("#confirm")
    expect(dialog).to_contain_text("licence is: CreativeML OpenRAIL-M")
    dialog.get_by_role("button", name="Not now").click()
    expect(dialog).to_be_hidden()
    assert list_jobs(studio_database, kinds=("download",)) == []


def test_a_gated_model_asks_for_a_token_first(page: StudioPage, studio_database: Database) -> None:
    page.tab("models")
    page.page.locator('[data-model="FLUX.1-dev"]').get_by_role("button", name="Download").click()
    page.page.locator("#confirm").get_by_role("button", name="Download").click()
    page.expect_sentence("is gated: accept its licence")
    assert list_jobs(studio_database, kinds=("download",)) == []


def test_a_folder_is_added_checked_and_removed_and_its_files_stay(
    page: StudioPage, studio: tuple[str, Settings], tiny_sd: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_sd, tmp_path / "clinic"))
    page.tab("models")
    window = page.page
    window.locator("#model-folder input, #model-folder textarea").fill(str(folder))
    window.get_by_role("button", name="Add model").click()
    item = window.locator('[data-model="clinic"]')
    expect(item).to_contain_text("Stable Diffusion 1.x")
    item.get_by_role("button", name="Check").click()
    expect(item.locator('[data-state="done"]')).to_be_visible()

    page.tab("generate")
    page.pick("model", "Tiny Stable Diffusion")
    window.locator("#more-settings .label-wrap").click()
    expect(window.locator("#negative-caption")).to_be_visible()

    page.tab("models")
    item.get_by_role("button", name="Remove").click()
    window.locator("#confirm").get_by_role("button", name="Remove").click()
    expect(item).to_have_count(0)
    assert (folder / "model_index.json").is_file()
    assert "clinic" not in studio[1].own_models_toml.read_text()
