"""The Models tab in a browser: a yes before a download; a folder is added and removed."""

import shutil
from pathlib import Path

from playwright.sync_api import expect

from backend.jobs.queue import list_jobs
from backend.settings import Settings
from backend.store.database import Database
from tests.tiny_models import build_tiny_flux
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
    page.type_into(window.locator("#model-folder input, #model-folder textarea"), folder)
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


def test_a_single_file_becomes_a_model_with_the_settings_of_another(
    page: StudioPage, tmp_path: Path
) -> None:
    other = build_tiny_flux(tmp_path / "other", seed=7)
    (file,) = (other / "transformer").glob("*.safetensors")
    file.rename(tmp_path / "moles.safetensors")
    page.tab("models")
    window = page.page
    field = window.locator("#model-folder input, #model-folder textarea")
    page.type_into(field, tmp_path / "moles.safetensors")
    window.get_by_role("button", name="Add model").click()
    page.expect_sentence("say from which model it was made")
    page.pick("model-base", "Tiny FLUX")
    window.get_by_role("button", name="Add model").click()
    item = window.locator('[data-model="moles"]')
    expect(item).to_contain_text("can be used", timeout=60_000)
    page.tab("generate")
    page.pick("model", "moles")
