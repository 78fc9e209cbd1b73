"""A draft is chosen in the form, is marked, stays out of exports, and is never said to be exact."""

from playwright.sync_api import Locator, expect

from backend.generation.gallery import GalleryFilter, ImageView, query_images
from backend.generation.profile import Profile
from backend.settings import Settings
from backend.store.database import Database
from studio.tabs.generate_form import profile_choices
from tests.web.studio_page import MADE_WITHIN_MS, StudioPage

CAPTION = "A draft of a symmetric lesion."


def test_a_draft_is_marked_left_out_of_exports_and_recalled_as_exact(
    page: StudioPage, studio: tuple[str, Settings], studio_database: Database
) -> None:
    page.tab("generate")
    page.generate_caption.press_sequentially(CAPTION)
    page.fill_number("count", 1)
    page.set_steps(4)
    exact = _make(page, studio, studio_database, "exact")
    image = _make(page, studio, studio_database, "draft")
    assert (exact.profile, image.profile) == (Profile.EXACT, Profile.DRAFT)
    card = _card(page, image.id)
    expect(card.locator(".df-card-note")).to_contain_text("Draft, seed")

    card.get_by_role("checkbox").check()
    page.page.locator("#gallery-export").click()
    page.expect_sentence("There is nothing to export. 1 draft was left out")
    _card(page, exact.id).get_by_role("checkbox").check()
    page.page.locator("#gallery-export").click()
    expect(page.page.locator("#gallery-notice")).to_contain_text("1 draft was left out")
    exported = page.page.locator("#exports .df-run", has_text="Export of 1 image as")
    expect(exported).to_have_attribute("data-state", "done", timeout=MADE_WITHIN_MS)

    card.locator(".df-open").click()
    dialog = page.page.locator("#image-dialog")
    expect(dialog).to_contain_text("Draft: not exported.")
    dialog.get_by_role("button", name="Everything", exact=True).click()
    page.expect_sentence("so it cannot be repeated exactly")
    expect(page.page.locator("#profile input")).to_have_value(profile_choices()[1][0])


def _make(
    page: StudioPage, studio: tuple[str, Settings], database: Database, profile: str
) -> ImageView:
    """The one image that the form makes with this speed profile."""
    page.pick("profile", next(words for words, value in profile_choices() if value == profile))
    job_id = page.generate()
    page.run_state(job_id, "done")
    (image,) = query_images(database, studio[1], GalleryFilter(job_id=job_id))
    return image


def _card(page: StudioPage, image_id: str) -> Locator:
    return page.page.locator(f'#gallery [data-image="{image_id}"]')
