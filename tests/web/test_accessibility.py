"""axe-core finds nothing against WCAG 2.1 A and AA, whatever is open, in light and dark."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from backend.settings import Settings
from tests.web.studio_page import StudioPage

GRADIO_FAULTS: frozenset[str] = frozenset()
"""Rules that Gradio itself breaks and that cannot be mended from outside, each with its issue."""
FADED_IN_AFTER_MS = 800


@pytest.fixture(
    params=[("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)],
    ids=["light-wide", "dark-wide", "light-390", "dark-390"],
)
def page(
    request: pytest.FixtureRequest,
    chromium: Browser,
    studio: tuple[str, Settings],
    a_finished_run: str,  # noqa: ARG001 - its images are looked at
) -> Iterator[StudioPage]:
    """The studio with images in its gallery, in one appearance and width."""
    scheme, width = request.param
    context = chromium.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    opened = StudioPage(context.new_page(), studio[0])
    opened.open()
    yield opened
    context.close()
    opened.expect_clean()


def test_no_violation_anywhere_on_the_page(page: StudioPage) -> None:
    found: list[str] = []

    def look(where: str) -> None:
        page.page.wait_for_timeout(150)
        for violation in page.axe():
            if violation["id"] not in GRADIO_FAULTS:
                nodes = [
                    (node["html"][:200], node["failureSummary"]) for node in violation["nodes"]
                ]
                found.append(f"{where}: {violation['id']} {nodes}")

    window = page.page
    expect(window.locator("#walkthrough")).to_be_visible()
    look("walkthrough")
    window.keyboard.press("Escape")
    window.locator("#score-panel .label-wrap").click()
    look("compose")
    page.choose("label", "Malignant")
    expect(window.locator("#compose-notice")).to_contain_text("is benign, not malignant")
    look("compose with a conflict")

    page.tab("models")
    expect(window.locator('[data-model="FLUX.1-dev"]')).to_contain_text("Non-Commercial")
    window.locator("#model-token-part .label-wrap").click()
    look("models")

    page.tab("generate")
    window.locator("#more-settings .label-wrap").click()
    window.locator("#more-filters .label-wrap").click()
    expect(window.locator("#gallery .df-card").first).to_be_visible()
    look("generate")
    window.locator("#gallery .df-open").first.click()
    expect(window.locator("#image-dialog")).to_be_visible()
    look("open image")
    window.locator("#image-dialog").get_by_role("button", name="Close").click()
    page.generate_caption.fill("")
    window.locator("#generate").click()
    page.toast.wait_for()
    expect(window.locator(".toast-body").last).to_have_css("opacity", "1")
    window.wait_for_timeout(FADED_IN_AFTER_MS)
    look("message")
    window.locator('[data-testid="toast-close"]').last.click()

    page.tab("sweep")
    page.pick("sweep-down", "Border")
    expect(window.locator("#sweep-preview")).not_to_be_empty()
    expect(window.get_by_role("listbox")).to_have_count(0)
    look("sweep")
    page.tab("sets")
    for part in ("set-words", "set-rules"):
        window.locator(f"#{part} .label-wrap").click()
    window.locator("#design-captions").click()
    expect(window.locator("#set-preview table")).to_be_visible()
    look("synthetic sets")
    page.tab("gallery")
    window.locator("#gallery-pick").click()
    expect(window.locator("#gallery-drop")).to_be_enabled()
    look("gallery with a selection")

    page.tab("jobs")
    window.get_by_role("button", name="Log:").first.click()
    expect(window.locator("#job-log .df-log")).to_be_visible()
    look("jobs with a log")
    window.locator('[data-opens="help"]').click()
    expect(window.locator("#help")).to_be_visible()
    look("help")
    assert found == []


def test_page_never_scrolls_sideways(page: StudioPage) -> None:
    page.page.keyboard.press("Escape")
    for tab in ("compose", "generate", "sweep", "sets", "models", "jobs"):
        page.tab(tab)
        page.page.wait_for_timeout(200)
        assert page.page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        ), tab
