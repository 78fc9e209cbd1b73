"""Reviewing in Chromium: by keyboard, without a network, in two windows, and what comes of it."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
import pytest
from playwright.sync_api import Browser, expect
from scipy.stats import binomtest
from statsmodels.stats.inter_rater import cohens_kappa

from backend.captioning.running import CaptionTask, submit_captions
from backend.jobs.workers import worker_state
from backend.review.making import make_set
from backend.review.people import Actor
from backend.review.recipe import ReviewRecipe
from backend.settings import Settings
from backend.store.database import Database
from tests.web.review_page import ReviewClient, ReviewPage, review_window
from tests.web.running_studio import wait_until_done

ITEMS = 20
ANNA = {3: "edit", 5: "reject", 7: "edit", 11: "edit"}
BEN = {5: "reject", 9: "reject"}
DISPUTED = (3, 7, 9, 11)
FIRST = "versions/1/entries"
ADDED = " A pale halo surrounds it."


@pytest.fixture(scope="module")
def address(
    studio: tuple[str, Settings], studio_database: Database, a_corpus: str, a_finished_run: str
) -> str:
    """A studio with captions by the real captioner, and two generated images."""
    assert a_finished_run
    task = CaptionTask(dataset=a_corpus, processes=1)
    wait_until_done(studio_database, submit_captions(studio_database, task))
    return studio[0]


@pytest.fixture(scope="module")
def judged(address: str, a_corpus: str) -> str:
    """The name of a set of 8 items that two have judged and that has disputes."""
    keeper = ReviewClient(address, "carla")
    asked = {"name": "Judged", "size": 8, "reviewers_per_item": 2, "dataset": a_corpus}
    set_id = keeper.make(**asked, guidelines="Judge what is seen.")
    for name in ("anna", "ben"):
        ReviewClient(address, name).judge_all(
            set_id,
            lambda item, name=name: (
                {"answer": "reject", "reason": "Wrong border"}
                if name == "ben" and item["position"] % 4 == 0
                else {"answer": "edit", "text": item["text"] + ADDED}
                if item["position"] == 1
                else {"answer": "approve", "marks": {"asymmetry": "approve"}}
            ),
        )
    return "Judged"


@pytest.fixture
def windows(chromium: Browser, address: str) -> Iterator[Any]:
    """Opens windows under names; afterwards nothing went to another machine."""
    opened: list[ReviewPage] = []

    def window(name: str | None, **look: Any) -> ReviewPage:
        opened.append(review_window(chromium, address, name, **look))
        return opened[-1]

    yield window
    for one in opened:
        one.page.context.close()
        assert not one.foreign


def test_two_review_and_a_third_decides_by_keyboard_alone(windows: Any, address: str) -> None:
    carla = windows(None)
    _choose_name(carla, "Carla")
    _make_set(carla, "Double")
    for name, plan in (("anna", ANNA), ("ben", BEN)):
        _judge_all(windows(name), "Double", plan)
    _decide_all(carla, "Double")
    _close(carla, "Double")

    carla.enter(carla.button("Agreement", carla.card("Double")))
    expect(carla.root.locator(".rv-agreement")).to_be_visible()
    client = ReviewClient(address, "carla")
    events = client.get(f"/sets/{client.set_id('Double')}/audit?limit=500")["events"]
    _compare_agreement(carla, events)

    carla.enter(carla.button("Audit trail"))
    told = carla.root.locator(".rv-trail li")
    expect(told.filter(has_text="carla made the set of 20 items")).to_have_count(1)
    expect(told.filter(has_text="anna judged item 3: edited (new text: “")).to_have_count(1)
    expect(told.filter(has_text="ben judged item 9: rejected (Wrong border)")).to_have_count(1)
    expect(told.filter(has_text="carla decided item 9: approved")).to_have_count(1)
    expect(told.filter(has_text="carla closed the set")).to_have_count(1)
    expect(told).to_have_count(2 * ITEMS + len(DISPUTED) + 2)
    carla.expect_clean()


def _choose_name(page: ReviewPage, name: str) -> None:
    expect(page.title).to_have_text("Who is reviewing?")
    page.write(page.root.get_by_label("Your name"), name)
    page.press("Enter")
    expect(page.title).to_have_text("Review sets")


def _make_set(page: ReviewPage, name: str) -> None:
    page.enter(page.button("Make a set"))
    page.write(page.root.get_by_label("Name", exact=True), name)
    page.write(page.root.get_by_label("How many"), str(ITEMS))
    page.write(page.root.get_by_label("Verdicts an item"), "2")
    page.enter(page.button("Make the set"))
    expect(page.title).to_have_text(f"Guidelines of {name}")
    expect(page.title).to_be_focused()
    page.enter(page.button("← Sets"))
    expect(page.card(name)).to_contain_text("0 of 20 items done · 0 of 40 verdicts")


def test_a_set_is_seen_while_it_is_made_and_a_form_that_fails_keeps_its_words(
    windows: Any, a_corpus: str, studio_database: Database
) -> None:
    page = windows("greta")
    name = page.root.get_by_label("Name", exact=True)
    words = "The set is being made: waiting, number 1 in the queue."
    with _worker_at_rest(studio_database):
        page.button("Make a set").click()
        name.fill("Slow")
        page.root.get_by_label("How many").fill("3")
        page.button("Make the set").click()
        expect(page.root.get_by_text(words)).to_be_focused()
        expect(page.button("Make the set")).to_be_disabled()
        assert page.axe() == []
        page.tab("compose")
        page.tab("review")
        expect(page.root.get_by_text(words)).to_be_visible()
        page.part("Sets")
        expect(page.root.locator('[data-making="Slow"]')).to_contain_text(words)
        assert page.axe() == []
        other = windows("greta")
        expect(other.root.locator('[data-making="Slow"]')).to_contain_text(words)
        page.button("Make a set").click()
        expect(name).to_have_value("Slow")
    expect(page.title).to_have_text("Guidelines of Slow")
    expect(page.title).to_be_focused()
    expect(other.card("Slow")).to_contain_text("0 of 3 items done")
    expect(other.root.locator("[data-making]")).to_have_count(0)

    with _worker_at_rest(studio_database):
        page.part("← Sets")
        page.button("Make a set").click()
        name.fill("Late")
        page.button("Make the set").click()
        expect(page.root.get_by_text(words)).to_be_visible()
        make_set(studio_database, Actor("hans"), ReviewRecipe(name="Late", dataset=a_corpus))
    expect(page.root.get_by_role("alert")).to_contain_text("There is a review set 'Late' already")
    expect(name).to_have_value("Late")
    expect(page.button("Make the set")).to_be_focused()
    name.fill("Later")
    page.button("Make the set").click()
    expect(page.title).to_have_text("Guidelines of Later")
    page.expect_clean()
    other.expect_clean()


@contextmanager
def _worker_at_rest(database: Database) -> Iterator[None]:
    """The studio's worker takes no job meanwhile."""
    pid = worker_state(database).pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _judge_all(page: ReviewPage, name: str, plan: dict[int, str]) -> None:
    page.enter(page.button("Judge", page.card(name)))
    for position in range(1, ITEMS + 1):
        page.at_item(position)
        expect(page.picture).to_be_visible()
        page.press("1", "2")
        answer = plan.get(position, "approve")
        if answer == "edit":
            page.press("e", "ControlOrMeta+End")
            page.page.keyboard.type(ADDED)
            expect(page.root.locator(".rv-live ins")).to_have_text(ADDED.strip())
            page.press("Control+Enter")
        elif answer == "reject":
            # Twice more: from Yes over Edited to No.
            page.press("2", "2", "r", "2")
        else:
            page.press("a")
    expect(page.title).to_have_text("Done")
    expect(page.root).to_contain_text("You gave 20 verdicts, skipped 0 and flagged 0.")
    page.wait_saved()
    page.expect_clean()


def _decide_all(page: ReviewPage, name: str) -> None:
    page.tab("compose")
    page.tab("review")
    card = page.card(name)
    expect(card).to_contain_text("20 of 20 items done · 40 of 40 verdicts · 4 to discuss")
    page.enter(page.button("Discussion (4)", card))
    for position in DISPUTED:
        expect(page.title).to_have_text(f"Item {position}: the verdicts differ")
        letters = page.root.locator(".rv-letter")
        expect(letters).to_have_count(2)
        if position == DISPUTED[0]:
            expect(letters.locator("ins")).to_have_text(ADDED.strip())
            page.press("e", "ControlOrMeta+End")
            page.page.keyboard.type(" Decided.")
            page.press("Control+Enter")
        else:
            page.press("a")
    expect(page.root).to_contain_text("Nothing waits for a decision")
    page.wait_saved()


def _close(page: ReviewPage, name: str) -> None:
    page.enter(page.button("← Sets"))
    page.enter(page.root.get_by_role("button", name=f"Close {name}"))
    dialog = page.root.get_by_role("dialog")
    expect(page.button("Keep it open", dialog)).to_be_focused()
    page.enter(page.button("Close the set", dialog))
    expect(page.card(name)).to_contain_text("Closed")


def _compare_agreement(page: ReviewPage, events: list[dict[str, Any]]) -> None:
    """The figures on the page against statsmodels and krippendorff on what the trail says."""
    said = {
        (one["actor"], one["position"]): one["after"]
        for one in events
        if one["action"] == "verdict"
    }
    answers = [
        [said[name, position]["answer"] for position in range(1, ITEMS + 1)]
        for name in ("anna", "ben")
    ]
    marks = [
        [said[name, position]["marks"]["border"] for position in range(1, ITEMS + 1)]
        for name in ("anna", "ben")
    ]
    for question, values in (("overall", answers), ("border", marks)):
        names = sorted({value for row in values for value in row})
        numbers = np.array([[names.index(value) for value in row] for row in values])
        pairs = numbers[0] * len(names) + numbers[1]
        row = page.root.locator(f'[data-question="{question}"] [data-group="all"] td')
        expect(row.nth(0)).to_have_text(str(ITEMS))
        expect(row.nth(3)).to_have_text(_shown(_kappa(pairs, len(names)), *_interval(pairs, names)))
        alpha = krippendorff.alpha(
            reliability_data=numbers.astype(float), level_of_measurement="nominal"
        )
        expect(row.nth(5)).to_contain_text(_number(alpha))
        expect(row.nth(4)).to_contain_text("not defined")
    expect(page.root).to_contain_text("Fleiss' kappa is for three reviewers an item or more.")


def _kappa(pairs: Any, side: int, weights: Any = None) -> float:
    table = np.bincount(pairs, weights=weights, minlength=side * side).reshape(side, side)
    return float(cohens_kappa(table).kappa)


def _interval(pairs: Any, names: list[str]) -> tuple[float, float]:
    """Percentiles over 1,000 samples of the items, drawn by the seed 0 as the guide says.

    Items alike are drawn together: how often each kind comes is multinomial. The kinds are in the
    order of their one-hot rows, in which the last place comes first.
    """
    kinds, sizes = np.unique(pairs, return_counts=True)
    kinds, sizes = kinds[::-1], sizes[::-1]
    draws = np.random.default_rng(0).multinomial(len(pairs), sizes / len(pairs), size=1_000)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.array([_kappa(kinds, len(names), weights) for weights in draws])
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _shown(value: float, low: float, high: float) -> str:
    return f"{_number(value)} {_number(low)} to {_number(high)}"


def test_nothing_is_lost_without_a_network_and_two_windows_are_told_apart(
    windows: Any, address: str, a_corpus: str
) -> None:
    client = ReviewClient(address, "dora")
    set_id = client.make(name="Lost network", size=12, dataset=a_corpus)
    page = windows("dora")
    page.judge("Lost network")
    page.at_item(1)
    page.page.context.set_offline(True)
    page.press("a")
    page.at_item(2)
    page.press("k")
    page.at_item(3)
    expect(page.root.locator(".rv-saving")).to_contain_text("2 steps are not saved yet.")
    assert page.page.evaluate(
        "() => { const leaving = new Event('beforeunload', { cancelable: true });"
        " window.dispatchEvent(leaving); return leaving.defaultPrevented; }"
    )
    assert client.get(f"/sets/{set_id}/mine") == []
    # Gradio reloads the page as soon as the network is back: reviewing goes on where it was.
    expect(page.page.get_by_text("Connection to the server was lost")).to_be_visible()
    page.press("e", "ControlOrMeta+End")
    page.page.keyboard.type(ADDED)
    page.page.on("dialog", lambda dialog: dialog.accept())
    with page.page.expect_event("load"):
        page.page.context.set_offline(False)
    page.at_item(3)
    page.wait_saved()
    page.press("e")
    expect(page.root.locator(".rv-live ins")).to_have_text(ADDED.strip())
    page.press("Escape")
    expect(page.root.locator(".rv-saving")).not_to_contain_text("not saved")
    assert _answers(client, set_id) == {1: "approve", 2: "skip"}

    # A window that is closed too early: the next one sends what is left.
    page.page.route("**/verdict", lambda route: route.abort())
    page.press("a")
    page.at_item(4)
    expect(page.root.locator(".rv-saving")).to_contain_text("1 step is not saved yet.")
    other = ReviewPage(page.page.context.new_page(), address)
    other.open_review()
    page.page.close()
    other.judge("Lost network")
    other.wait_saved()
    assert _answers(client, set_id)[3] == "approve"

    twin = ReviewPage(other.page.context.new_page(), address)
    twin.open_review()
    twin.judge("Lost network")
    for window in (other, twin):
        window.at_item(4)
    other.press("a")
    other.wait_saved()
    twin.press("r", "2")
    dialog = twin.root.get_by_role("dialog")
    expect(dialog).to_contain_text("You have judged this item in another window")
    expect(dialog.get_by_label("There now")).to_contain_text("Approved")
    expect(dialog.get_by_label("Yours, from this window")).to_contain_text("Rejected: Wrong border")
    expect(twin.button("Keep what is there", dialog)).to_be_focused()
    twin.enter(twin.button("Use mine instead", dialog))
    twin.wait_saved()
    assert _answers(client, set_id)[4] == "reject"

    client.post(f"/sets/{set_id}/close")
    other.press("a")
    expect(other.root.locator(".rv-saving")).to_contain_text("The set 'Lost network' is closed")
    expect(other.root).to_have_attribute("data-unsaved", "1")
    other.button("Give it up").click()
    other.button("Give it up", other.root.get_by_role("dialog")).click()
    other.wait_saved()


def _answers(client: ReviewClient, set_id: str) -> dict[int, str]:
    mine = client.get(f"/sets/{set_id}/mine")
    return {item["position"]: item["verdict"]["answer"] for item in mine}


def test_undo_looking_back_and_going_on_where_one_stopped(
    windows: Any, address: str, a_corpus: str
) -> None:
    client = ReviewClient(address, "emil")
    set_id = client.make(name="Resumed", size=10, dataset=a_corpus)
    page = windows("emil")
    page.judge("Resumed")
    page.at_item(1)
    page.press("a")
    page.at_item(2)
    page.press("f")
    page.page.keyboard.type("Is this u or k?")
    page.press("Control+Enter")
    page.at_item(3)
    page.press("p")
    page.at_item(2)
    expect(page.root.locator(".rv-mine")).to_contain_text("Flagged")
    page.press("p")
    page.at_item(1)
    page.press("k")
    page.at_item(3)
    page.wait_saved()
    assert _answers(client, set_id) == {1: "skip", 2: "flag"}
    page.press("u")
    page.at_item(1)
    expect(page.root.locator(".rv-mine")).to_contain_text("Approved")
    page.press("n", "u")
    page.at_item(2)
    expect(page.title).to_be_focused()
    assert _answers(client, set_id) == {1: "approve"}
    expect(page.root.locator("[aria-live]").first).to_contain_text("Taken back. Item 2")

    page.press("?")
    keys = page.root.get_by_role("dialog")
    for words in ("Approve", "Reject, with a reason", "Undo", "Show or hide the mask"):
        expect(keys).to_contain_text(words)
    page.press("Escape")
    expect(page.page.locator("#help")).to_be_hidden()
    page.press("+", "+", "ArrowRight")
    expect(page.root.locator(".rv-scale")).to_have_text("196 %")
    page.press("0", "m")
    mask = page.root.get_by_role("button", name="Mask")
    expect(mask).to_have_attribute("aria-pressed", "true")
    page.press("g")
    expect(page.root.get_by_role("complementary")).to_be_visible()
    page.expect_clean()

    elsewhere = windows("emil")
    elsewhere.judge("Resumed")
    elsewhere.at_item(2)
    elsewhere.press("p")
    elsewhere.at_item(1)
    expect(elsewhere.root.locator(".rv-mine")).to_contain_text("Approved")
    elsewhere.expect_clean()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_no_violation_and_nothing_runs_over(
    windows: Any, judged: str, scheme: str, width: int
) -> None:
    page = windows("carla", width=width, scheme=scheme)
    found: list[str] = []

    def look(where: str) -> None:
        page.page.wait_for_timeout(150)
        found.extend(f"{where}: {one['id']} {one['nodes'][0]['html'][:160]}" for one in page.axe())
        found.extend(f"{where} runs over: {one}" for one in page.runs_over())

    expect(page.card(judged)).to_be_visible()
    page.card(judged).locator("summary").click()
    look("sets")
    page.button("Make a set").click()
    page.root.get_by_text("More settings").click()
    page.root.get_by_label("Which come first").select_option("flagged")
    look("make")
    page.part("Sets")
    page.card(judged).get_by_role("button", name="Discussion").click()
    expect(page.root.locator(".rv-letter").first).to_be_visible()
    expect(page.picture).to_be_visible()
    look("discussion")
    page.press("e")
    page.page.keyboard.type("Anew. ")
    look("editing")
    page.press("Escape", "r")
    look("rejecting")
    page.press("Escape", "?")
    look("keys")
    page.press("Escape")
    for part in ("Agreement", "Audit trail", "Guidelines"):
        page.part(part)
        expect(page.title).to_contain_text(judged)
        if part == "Agreement":
            expect(page.root.locator(".rv-agreement")).to_be_visible()
        look(part)
    page.button("Edit").click()
    look("editing the guidelines")
    page.part("← Sets")
    page.part("Caption sets")
    look("caption sets")
    page.button("Import a file").click()
    look("importing")
    assert found == []
    page.expect_clean()


def test_a_caption_set_is_exported_and_imported_again(
    windows: Any, address: str, judged: str, tmp_path: Path
) -> None:
    page = windows("carla")
    page.card(judged).get_by_role("button", name="Make a caption set").click()
    page.root.get_by_label("Name of the caption set").fill("Paper")
    page.button("Make the version").click()
    version = page.root.locator('[data-version="1"]')
    # Of 8: two are rejected by one, so disputed; the edit is the same text by both.
    expect(version).to_contain_text("6 captions")
    page.button("Changes in version 1").click()
    expect(page.root.locator('[data-change="added"]')).to_have_count(6)
    page.button("All versions of Paper").click()
    with page.page.expect_download() as download:
        page.button("Export version 1").click()
    assert download.value.suggested_filename == "Paper-1.jsonl"
    lines = Path(download.value.path()).read_text("utf-8").splitlines()
    assert len(lines) == 6
    assert sum(ADDED.strip() in line for line in lines) == 1

    changed = [json.loads(line) for line in lines]
    stranger = {key: "ISIC_9999999" if key != "text" else "A mole." for key in changed[0]}
    file = tmp_path / "Back.jsonl"
    file.write_text("\n".join([*lines, json.dumps(stranger)]) + "\n", "utf-8")
    page.button("All caption sets").click()
    page.button("Import a file").click()
    page.root.get_by_label("File").set_input_files(file)
    expect(page.root.get_by_label("Name of the caption set")).to_have_value("Back")
    page.button("Import").click()
    expect(page.root.locator("#rv-imported")).to_contain_text("6 captions kept")
    expect(page.root).to_contain_text("1 image is not in the corpus")
    client = ReviewClient(address, "carla")
    texts = [
        {
            one["image_id"]: one["text"]
            for one in client.get(f"/caption-sets/{name}/versions/1/entries")
        }
        for name in ("Paper", "Back")
    ]
    assert texts[0] == texts[1]
    page.expect_clean()


def test_generated_images_and_the_blinded_test(windows: Any, address: str) -> None:
    client = ReviewClient(address, "fritz")
    client.make(name="Generated", kind="images", size=2)
    set_id = client.make(name="Blinded", kind="real_or_synthetic", size=4)
    page = windows("fritz")
    page.judge("Generated")
    expect(page.root).to_contain_text("Is the image free of artefacts that disturb?")
    page.press("1", "4", "4", "r", "4")
    page.at_item(2)
    page.press("a")
    expect(page.title).to_have_text("Done")
    page.wait_saved()
    marks = client.get(f"/sets/{client.set_id('Generated')}/mine?answer=reject")[0]["verdict"]
    assert (marks["reason"], marks["marks"]["artefact_free"]) == ("Artefacts", "reject")

    page.part("← Sets")
    page.judge("Blinded")
    screen = page.root.locator(".rv-judge")
    for position in range(1, 5):
        page.at_item(position)
        expect(page.picture).to_be_visible()
        expect(page.picture).to_have_js_property("naturalWidth", 512)
        expect(page.picture).to_have_js_property("naturalHeight", 512)
        expect(screen).not_to_contain_text("phantoms")
        page.press("s")
    expect(page.title).to_have_text("Done")
    page.wait_saved()
    page.part("Agreement")
    expect(page.root).to_contain_text("is closed")
    client.post(f"/sets/{set_id}/close")
    page.part("← Sets")
    page.card("Blinded").get_by_role("button", name="Agreement").click()
    everybody = page.root.locator("#rv-test tbody tr").first.locator("td")
    for place, (count, total) in enumerate(((2, 4), (2, 2), (0, 2))):
        interval = binomtest(count, total).proportion_ci(0.95, "exact")
        words = (
            f"{100 * count / total:.1f} % {100 * interval.low:.1f} % to {100 * interval.high:.1f} %"
        )
        expect(everybody.nth(place)).to_have_text(f"{words} {count} of {total}")
    expect(page.root).to_contain_text("The interval includes 50 %")
    with page.page.expect_download() as download:
        page.button("Download as CSV").click()
    assert "all,sensitivity,2,2,1," in Path(download.value.path()).read_text("utf-8")


def test_a_tab_that_is_not_seen_asks_for_nothing(page: Any) -> None:
    asked: list[str] = []
    page.page.on("request", lambda one: asked.append(one.url))
    page.page.wait_for_timeout(1_000)
    assert not [url for url in asked if "/review/" in url]
    page.tab("review")
    page.page.locator(".rv-root .rv-title").wait_for()
    assert [url for url in asked if "/review/api/" in url]
    page.tab("compose")
    asked.clear()
    page.page.wait_for_timeout(2_000)
    assert not [url for url in asked if "/review/" in url]
