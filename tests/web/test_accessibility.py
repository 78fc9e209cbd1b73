"""axe-core finds nothing against WCAG 2.1 A and AA, whatever is open, in light and dark."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from backend.finetuning.run_folder import Phase
from backend.settings import Settings
from tests.training_runs import a_run, trained
from tests.web.studio_page import StudioPage

GRADIO_FAULTS: frozenset[str] = frozenset()
"""Rules that Gradio itself breaks and that cannot be mended from outside, each with its issue."""
FADED_IN_AFTER_MS = 800
ADVANCED = (
    *("how-it-learns", "captions-and-images", "memory-and-speed"),
    "checkpoints-validation-samples",
)


@pytest.fixture(scope="module")
def two_trainings(studio: tuple[str, Settings]) -> Iterator[None]:
    """Two runs as a program of the command line leaves them: one goes on, one is done."""
    names = (("20990101-000000-a", "First try"), ("20990101-000001-b", "Second try"))
    runs = [a_run(studio[1], name, title=title) for name, title in names]
    trained(runs[0], 40, phase=Phase.DONE)
    trained(runs[1], 20)
    yield
    for run in runs:
        shutil.rmtree(run.path)


@pytest.fixture(params=[1280, 390])
def page(
    request: pytest.FixtureRequest,
    chromium: Browser,
    studio: tuple[str, Settings],
    a_finished_run: str,  # noqa: ARG001 - its images are looked at
    a_corpus: str,  # noqa: ARG001 - its images are looked at
    two_trainings: None,  # noqa: ARG001 - they are looked at
) -> Iterator[StudioPage]:
    """The studio with images in its gallery and its corpus, and LoRA runs, in one width."""
    context = chromium.new_context(
        viewport={"width": request.param, "height": 900}, reduced_motion="reduce"
    )
    opened = StudioPage(context.new_page(), studio[0])
    opened.open()
    yield opened
    context.close()
    opened.expect_clean()


def test_no_violation_anywhere_on_the_page(page: StudioPage) -> None:
    found: list[str] = []

    def look(where: str) -> None:
        found.extend(_violations(page, where))

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

    page.tab("train")
    expect(window.locator('#train-run [data-state="training"]')).to_be_visible()
    expect(window.locator("#train-loss .js-plotly-plot")).to_be_visible()
    for part in ("log-part", "notes-part", *ADVANCED):
        window.locator(f"#train-{part} .label-wrap").first.click()
    window.locator("#tab-train details > summary").first.click()
    window.get_by_role("checkbox", name="Compare First try", exact=True).check()
    window.get_by_role("checkbox", name="Compare Second try", exact=True).check()
    expect(window.locator("#train-comparison table")).to_be_visible()
    look("train with an open run and a comparison")

    page.tab("jobs")
    window.get_by_role("button", name="Log:").first.click()
    expect(window.locator("#job-log .df-log")).to_be_visible()
    look("jobs with a log")
    window.locator('[data-opens="help"]').click()
    expect(window.locator("#help")).to_be_visible()
    look("help")
    assert found == []


def test_no_violation_in_any_part_of_the_corpus(page: StudioPage) -> None:
    found: list[str] = []

    def look(where: str) -> None:
        found.extend(_violations(page, where))

    window = page.page
    window.keyboard.press("Escape")
    page.tab("corpus")
    expect(window.locator("#report table")).to_be_visible()
    for part in ("import-more", "import-columns"):
        window.locator(f"#{part} .label-wrap").click()
    look("import and report")
    page.tab("corpus-overview")
    expect(window.locator("#corpus-chart .js-plotly-plot .barlayer")).to_be_visible()
    window.locator("#corpus-counts summary").click()
    look("overview")
    page.tab("corpus-browse")
    window.locator("#corpus-more-filters .label-wrap").click()
    expect(window.locator("#corpus-cards .df-card").first).to_be_visible()
    look("browse")
    window.locator("#corpus-cards .df-open").first.click()
    dialog = window.locator("#corpus-dialog")
    dialog.get_by_role("button", name="Mask").click()
    expect(dialog.get_by_role("button", name="Mask")).to_have_attribute("aria-pressed", "true")
    look("open image with its mask")
    dialog.get_by_role("button", name="Close").click()
    page.tab("corpus-subsets")
    expect(window.locator('#subsets [data-subset="phantoms"]')).to_be_visible()
    look("subsets")
    page.tab("corpus-labels")
    expect(window.locator("#labels-mapping table")).to_be_visible()
    look("labels")
    page.tab("corpus-duplicates")
    expect(window.locator("#find-duplicates")).to_be_visible()
    look("duplicates")
    page.tab("corpus-leakage")
    expect(window.locator("#compare-sets")).to_be_visible()
    look("leakage")
    page.tab("corpus-captions")
    expect(page.page.locator("#start-captions")).to_be_visible()
    look("captions")
    assert found == []


def test_page_never_scrolls_sideways(page: StudioPage) -> None:
    page.page.keyboard.press("Escape")
    corpus = (
        *("corpus", "corpus-overview", "corpus-browse", "corpus-subsets"),
        *("corpus-labels", "corpus-duplicates", "corpus-leakage", "corpus-captions"),
    )
    for tab in ("compose", "generate", "sweep", "sets", *corpus, "train", "models", "jobs"):
        page.tab(tab)
        page.page.wait_for_timeout(200)
        assert page.page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        ), tab


def _violations(page: StudioPage, where: str) -> list[str]:
    """What axe finds now, each with its elements."""
    page.page.wait_for_timeout(150)
    return [
        f"{where}: {one['id']} {node['html'][:200]} {node['failureSummary']}"
        for one in page.axe()
        if one["id"] not in GRADIO_FAULTS
        for node in one["nodes"]
    ]
