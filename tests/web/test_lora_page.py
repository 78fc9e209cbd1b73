"""The LoRA shelf in a browser: a file too large to be dropped is added by its path."""

from pathlib import Path

from playwright.sync_api import expect

from backend.generation.lora.adding import KIND
from backend.jobs.queue import list_jobs
from backend.settings import Settings
from backend.store.database import Database
from studio.server import MAX_UPLOAD_BYTES
from tests.lora_files import kohya_lora, save_lora
from tests.web.studio_page import SETTLES_WITHIN_MS, StudioPage


def test_a_file_too_large_to_be_dropped_is_refused_in_words(
    page: StudioPage, tmp_path: Path
) -> None:
    file = tmp_path / "large.safetensors"
    with file.open("wb") as stream:
        stream.truncate(MAX_UPLOAD_BYTES + 1)
    page.tab("generate")
    page.page.locator("#lora-shelf .label-wrap").click()
    page.page.locator("#lora-drop input[type=file]").set_input_files(file)
    page.expect_sentence('exceed the maximum allowed size of 64.0 Mb: "large.safetensors"')
    expect(page.page.locator("#lora-path")).to_contain_text("above 64 MB this is the way")
    # Gradio's own script may still ask for the progress of the upload that it has just refused.
    page.page.wait_for_timeout(SETTLES_WITHIN_MS)
    of_upload = ("upload_progress", "Response")
    page.complaints = [
        said for said in page.complaints if not any(word in said for word in of_upload)
    ]


def test_a_lora_is_added_by_its_path_and_can_be_chosen(
    page: StudioPage,
    studio: tuple[str, Settings],
    studio_database: Database,
    tmp_path: Path,
) -> None:
    file = save_lora(tmp_path / "by-path.safetensors", kohya_lora(hidden=48, seed=11))
    page.tab("generate")
    window = page.page
    window.locator("#lora-shelf .label-wrap").click()
    path = window.locator("#lora-path input, #lora-path textarea")
    window.locator("#lora-add-path").click()
    page.expect_sentence("No file is given")
    page.type_into(path, tmp_path / "none.safetensors")
    path.press("Enter")
    page.expect_sentence("There is no file")
    page.type_into(path, file)
    path.press("Enter")
    expect(window.locator('[data-lora="by-path"]')).to_be_visible()
    expect(path).to_have_value("")
    (job,) = list_jobs(studio_database, kinds=(KIND,))
    assert job.payload == {"file": str(file), "name": "by-path"}
    assert len(list(studio[1].loras_dir.iterdir())) == 1
    window.locator("#loras .label-wrap").click()
    page.pick("lora-1", "by-path")
    window.locator('[data-lora="by-path"]').get_by_role("button", name="Remove").click()
    window.locator("#confirm").get_by_role("button", name="Remove").click()
    expect(window.locator('[data-lora="by-path"]')).to_have_count(0)
    expect(window.locator("#lora-said")).to_contain_text("by-path is removed")
