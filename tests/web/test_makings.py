"""A LoRA is added, its weight swept, a set built and exported, by a person's path on the page."""

import json
import re
import zipfile
from pathlib import Path

from playwright.sync_api import Locator, expect

from backend.generation.building.running import KIND as BUILD
from backend.generation.export.running import KIND as EXPORT
from backend.generation.gallery import GalleryFilter, query_images
from backend.generation.models import list_models
from backend.generation.provenance import read_png
from backend.generation.sweeps.running import KIND as SWEEP
from backend.jobs.queue import JobView, list_jobs
from backend.settings import Settings
from backend.store.database import Database
from tests.lora_files import kohya_lora, save_lora
from tests.web.studio_page import MADE_WITHIN_MS, StudioPage

WIDTHS = {"starter": (256, 4), "tiny": (32, 1)}
"""Width and single-stream blocks of the models that the studio of the tests may have."""


def test_a_lora_is_added_its_weight_swept_a_set_built_and_exported(
    page: StudioPage,
    studio: tuple[str, Settings],
    studio_database: Database,
    a_finished_run: str,  # noqa: ARG001 - the gallery holds more than the set
    tmp_path: Path,
) -> None:
    settings = studio[1]
    page.tab("generate")
    _add_lora(page, settings, tmp_path)
    page.generate_caption.fill("A symmetric brown mole.")
    page.set_steps(2)

    _sweep_its_weight(page)
    swept = _newest(studio_database, SWEEP)
    images = query_images(studio_database, settings, GalleryFilter(job_id=swept.id))
    assert [image.request.loras[0].weight for image in images] == [1, 0]
    assert len({image.pixel_hash for image in images}) == 2

    _build_a_set(page)
    built = _newest(studio_database, BUILD)
    page.page.locator("#sets").get_by_role("button", name="Show its images").click()
    made = query_images(studio_database, settings, GalleryFilter(job_id=built.id))
    assert len(made) == 4
    expect(page.page.locator("#gallery .df-card")).to_have_count(4)

    archive = _export_all(page)
    assert _newest(studio_database, EXPORT).error is None
    with zipfile.ZipFile(archive) as bundle:
        names = {name.rsplit("/", 1)[-1]: name for name in bundle.namelist()}
        lines = bundle.read(names["metadata.jsonl"]).decode().splitlines()
        assert {record["file_name"] for record in map(json.loads, lines)} == {
            image.path.name for image in made
        }
        assert all(json.loads(line)["synthetic"] is True for line in lines)
        assert read_png(bundle.read(names[made[0].path.name])).synthetic is True


def _add_lora(page: StudioPage, settings: Settings, folder: Path) -> None:
    entry = next(entry for entry in list_models(settings) if entry.problem is None)
    width, single = WIDTHS[entry.name]
    file = save_lora(folder / "mole.safetensors", kohya_lora(hidden=width, single=single, seed=5))
    page.page.locator("#lora-shelf .label-wrap").click()
    page.page.locator("#lora-drop input[type=file]").set_input_files(file)
    expect(page.page.locator("#lora-said")).to_contain_text("mole is on the shelf.")


def _sweep_its_weight(page: StudioPage) -> None:
    page.tab("sweep")
    page.pick("sweep-across", "Weight of LoRA mole")
    listed = page.page.locator("#sweep-across-values textarea, #sweep-across-values input")
    expect(listed).to_have_value("0, 0.5, 1")
    expect(page.page.locator("#sweep-preview")).to_contain_text("3 images (3 in a row)")
    page.type_into(listed, "0, 3")
    expect(page.page.locator("#sweep-preview")).to_contain_text("between -2 and 2, not 3")
    page.type_into(listed, "0, 1")
    expect(page.page.locator("#sweep-preview")).to_contain_text("2 images (2 in a row)")
    page.page.locator("#make-sweep").click()
    run = _done(page, "#sweeps")
    expect(run.locator("img.df-figure")).to_be_visible()
    assert run.locator("img.df-figure").evaluate("image => image.decode().then(() => true)")
    with page.page.expect_download() as download:
        run.get_by_role("link", name="Download figure").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def _build_a_set(page: StudioPage) -> None:
    page.tab("sets")
    expect(page.page.locator("#build")).to_be_disabled()
    page.type_into(page.page.locator("#set-name input, #set-name textarea"), "Four moles")
    page.fill_number("set-per-class", 2)
    page.page.locator("#set-rules .label-wrap").click()
    page.page.get_by_label("Reject pictures without a lesion").last.uncheck()
    for name, value in (("set-min-confidence", 0), ("set-max-correlation", 1)):
        page.type_into(page.page.locator(f'#{name} input[type="number"]'), value)
    page.page.locator("#design-captions").click()
    preview = page.page.locator("#set-preview")
    expect(preview).to_contain_text("4 captions")
    expect(preview.locator("tbody tr")).to_have_count(4)
    page.page.locator("#build").click()
    run = _done(page, "#sets")
    for label in ("Benign", "Malignant"):
        expect(run.get_by_role("row", name=re.compile(f"^{label} 2 "))).to_be_visible()
    run.get_by_role("button", name="Show card").click()
    card = page.page.locator("#set-card")
    expect(card).to_contain_text("Synthetic. Not for diagnosis.")
    expect(card.get_by_role("table", name="Adherence")).to_be_visible()
    assert card.locator("img").evaluate("image => image.decode().then(() => true)")


def _export_all(page: StudioPage) -> Path:
    page.page.locator("#gallery-pick-all").click()
    expect(page.page.locator("#selection")).to_contain_text("All that match: 4 images selected")
    page.page.locator("#gallery-export").click()
    done = page.page.locator("#exports .df-run", has_text="Export of 4 images")
    expect(done).to_have_attribute("data-state", "done", timeout=MADE_WITHIN_MS)
    with page.page.expect_download() as download:
        done.get_by_role("link", name="Download").click()
    return Path(download.value.path())


def _done(page: StudioPage, panel: str) -> Locator:
    """The first job of a panel, once it is finished."""
    run = page.page.locator(f"{panel} .df-run").first
    expect(run).to_have_attribute("data-state", "done", timeout=MADE_WITHIN_MS)
    return run


def _newest(database: Database, kind: str) -> JobView:
    (job,) = list_jobs(database, kinds=(kind,), limit=1)
    return job
