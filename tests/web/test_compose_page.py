"""Controls and caption follow each other, and nothing that was written is lost."""

import re

from playwright.sync_api import expect

from tests.web.studio_page import StudioPage


def test_editing_the_caption_moves_the_controls(page: StudioPage) -> None:
    page.caption.fill("A symmetric mole with an irregular border, mainly black with some red.")
    expect(page.page.locator("#asymmetry").get_by_label("Symmetric", exact=True)).to_be_checked()
    expect(page.page.locator("#border").get_by_label("Irregular", exact=True)).to_be_checked()
    for colour in ("Black", "Red"):
        expect(page.page.locator("#colours").get_by_label(colour, exact=True)).to_be_checked()
    expect(page.page.locator("#dominant input")).to_have_value("Black")
    expect(page.page.locator("#reading mark.df-mark-b").first).to_contain_text("irregular")


def test_a_colour_taken_back_no_longer_dominates(page: StudioPage) -> None:
    expect(page.page.locator("#dominant input")).to_have_value("Light brown")
    page.choose("colours", "Light brown")
    expect(page.page.locator("#dominant input")).to_have_value("Dark brown")
    expect(page.page.locator("#colours").get_by_label("Light brown")).not_to_be_checked()
    page.pick("dominant", "Black")
    expect(page.page.locator("#colours").get_by_label("Black")).to_be_checked()
    expect(page.page.locator("#colours").get_by_label("Dark brown")).to_be_checked()


def test_a_label_against_the_lesion_type_is_shown_and_the_caption_kept(page: StudioPage) -> None:
    before = page.caption.input_value()
    page.choose("label", "Malignant")
    expect(page.page.locator("#compose-notice")).to_contain_text("A nevus is benign, not malignant")
    expect(page.caption).to_have_value(before)
    page.pick("diagnosis", "Melanoma")
    expect(page.caption).not_to_have_value(before)
    expect(page.page.locator("#compose-notice")).to_be_hidden()


def test_the_label_follows_the_lesion_type(page: StudioPage) -> None:
    page.pick("diagnosis", "Melanoma")
    expect(page.page.locator("#label").get_by_label("Malignant")).to_be_checked()
    expect(page.caption).to_have_value(_starting("This photo depicts a malignant lesion."))


def test_another_wording_says_the_same_and_undo_brings_the_first_back(page: StudioPage) -> None:
    first = page.caption.input_value()
    border = page.page.locator("#border input:checked").get_attribute("value")
    page.page.locator("#reword").click()
    expect(page.caption).not_to_have_value(first)
    assert page.page.locator("#border input:checked").get_attribute("value") == border
    page.page.locator("#undo-caption").click()
    expect(page.caption).to_have_value(first)


def test_undo_brings_back_a_typed_caption_that_a_choice_replaced(page: StudioPage) -> None:
    typed = "My own words: a symmetric mole with a regular border and light brown colour."
    page.caption.fill(typed)
    expect(page.page.locator("#border").get_by_label("Regular", exact=True)).to_be_checked()
    page.choose("label", "Benign")
    expect(page.caption).not_to_have_value(typed)
    page.page.locator("#undo-caption").click()
    expect(page.caption).to_have_value(typed)


def test_a_reload_keeps_the_caption_and_its_controls(page: StudioPage) -> None:
    page.choose("border", "Irregular")
    expect(page.page.locator("#border").get_by_label("Irregular", exact=True)).to_be_checked()
    page.page.locator("#reword").click()
    expect(page.page.locator("#undo-caption")).to_be_enabled()
    page.page.wait_for_timeout(1_000)
    written = page.caption.input_value()
    page.reload()
    expect(page.caption).to_have_value(written)
    expect(page.page.locator("#border").get_by_label("Irregular", exact=True)).to_be_checked()


def test_the_plain_style_names_no_label(page: StudioPage) -> None:
    before = page.caption.input_value()
    page.choose("caption-style", "ABC only, no diagnosis")
    expect(page.caption).not_to_have_value(before)
    assert "benign" not in page.caption.input_value()


def test_tokens_are_counted_against_both_text_encoders(page: StudioPage) -> None:
    meters = page.page.locator("#reading .df-meters")
    expect(meters).to_contain_text("CLIP")
    expect(meters).to_contain_text("T5")
    short = "A mole."
    page.caption.fill(short)
    expect(meters.locator(".df-meter").first).to_contain_text("of 77 tokens")
    page.caption.fill("A mole with a smooth border. " * 20)
    expect(meters.locator(".df-meter").first).to_contain_text("only the first 77 are read")


def test_a_kept_caption_is_found_used_deleted_and_restored(page: StudioPage) -> None:
    text = "A kept caption about a blue-gray lesion with a scalloped border."
    page.caption.fill(text)
    page.page.locator("#keep-caption").click()
    entry = page.page.locator("#library li", has_text="scalloped border")
    expect(entry).to_be_visible()

    page.page.locator("#library-search input").fill("no such words")
    expect(page.page.locator("#library")).to_contain_text("No kept caption matches")
    page.page.locator("#library-search input").fill("scalloped kept")
    page.page.locator("#reword").click()
    expect(page.caption).not_to_have_value(text)
    entry.get_by_role("button", name="Use").click()
    expect(page.caption).to_have_value(text)

    entry.get_by_role("button", name="Delete").click()
    expect(entry).to_have_count(0)
    page.page.locator("#library").get_by_role("button", name="Undo").click()
    expect(entry).to_be_visible()


def test_the_score_is_a_teaching_aid(page: StudioPage) -> None:
    page.page.locator("#score-panel .label-wrap").click()
    expect(page.page.locator("#score")).to_contain_text("not a diagnosis")


def _starting(words: str) -> re.Pattern[str]:
    return re.compile(f"^{re.escape(words)}")
