"""Photograph every tab of the real studio, light and dark, wide and on a phone.

Run with `python -m docs.take_screenshots` from the root of the repository. The studio runs on a
workspace of its own; the pictures go to docs/screenshots.
"""

import re
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

from backend.generation.models import list_models
from backend.settings import REPOSITORY, Settings
from tests.web.running_studio import running_studio
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
SETTLED_AFTER_MS = 1_500
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
    """Compose, Generate with its panels, an open image, Jobs, Models, and the first visit."""
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
    _photograph_models(page, suffix)
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
