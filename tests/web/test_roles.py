"""What a role forbids is refused on the page, in words, and nothing is done."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from backend.accounts import create_account
from backend.jobs.queue import list_jobs
from backend.settings import Settings, prepare_workspace
from backend.store.database import Database, open_database
from backend.store.tables import Role
from tests.web.running_studio import running_studio
from tests.web.studio_page import StudioPage, free_port

SECRET = "four green apples fall"


@pytest.fixture
def shared_studio(tmp_path: Path) -> Iterator[tuple[str, Database]]:
    """A studio that others can reach, with a reviewer called eva and an admin called ada."""
    everywhere = "0.0.0.0"  # noqa: S104 - what the test is about
    settings = Settings(workspace=tmp_path / "workspace", port=free_port(), host=everywhere)
    prepare_workspace(settings)
    database = open_database(settings)
    create_account(database, "ada", SECRET, Role.ADMIN)
    create_account(database, "eva", SECRET, Role.REVIEWER)
    with running_studio(settings) as address:
        yield address, database
    database.close()


def test_a_reviewer_is_told_who_may_generate_and_an_admin_generates(
    shared_studio: tuple[str, Database], chromium: Browser
) -> None:
    address, database = shared_studio
    refused = _signed_in(chromium, address, "eva")
    refused.page.locator("#generate").click()
    refused.expect_sentence("A reviewer may not make images")
    refused.tab("sweep")
    refused.generate_caption.fill("A symmetric brown mole.")
    refused.page.locator("#make-sweep").click()
    refused.expect_sentence("A reviewer may not make images")
    refused.tab("sets")
    refused.page.locator("#design-captions").click()
    refused.page.locator("#set-name input").fill("Refused")
    expect(refused.page.locator("#build")).to_be_enabled()
    refused.page.locator("#build").click()
    refused.expect_sentence("A reviewer may not make images")
    refused.tab("corpus")
    refused.page.locator("#import-start").click()
    refused.expect_sentence("A reviewer may not import datasets")
    refused.tab("corpus-subsets")
    refused.page.locator("#subset-make").click()
    refused.expect_sentence("A reviewer may not make or change sets")
    refused.page.locator("#corpus-export-filter").click()
    refused.expect_sentence("A reviewer may not export images")
    refused.tab("train")
    refused.page.locator("#train-start").click()
    refused.expect_sentence("A reviewer may not train, change or remove LoRA runs")
    assert list_jobs(database) == []
    _leaves_the_step_of_another(refused, "ada")

    allowed = _signed_in(chromium, address, "ada")
    allowed.generate_caption.fill("A symmetric brown mole.")
    allowed.generate()
    assert [job.owner for job in list_jobs(database)] == ["ada"]
    allowed.tab("review")
    expect(allowed.page.get_by_role("button", name="Make a set")).to_be_visible()


def _leaves_the_step_of_another(page: StudioPage, name: str) -> None:
    """Review offers a reviewer no set to make, and saves nothing that another left unsaved."""
    step = {"key": "k" * 8, "what": "undo", "set": "x", "item": None, "body": {}, "as": name}
    left = json.dumps([{**step, "state": "waiting", "setName": "Pilot"}])
    page.page.evaluate("left => localStorage.setItem('dermaflux.review.outbox', left)", left)
    sent: list[str] = []
    page.page.on("request", lambda one: sent.append(f"{one.method} {one.url}"))
    page.tab("review")
    shown = page.page.locator(".rv-root")
    expect(shown).to_contain_text("A researcher makes a set first.")
    expect(shown).to_contain_text(f"1 step of {name} from this browser will be saved when")
    expect(shown.get_by_role("button", name="Make a set")).to_have_count(0)
    assert not [one for one in sent if one.startswith("POST") and "/review/" in one]


def _signed_in(chromium: Browser, address: str, name: str) -> StudioPage:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script("localStorage.setItem('dermaflux.walkthrough', '1')")
    page = context.new_page()
    page.goto(address)
    page.locator("#name").fill(name)
    page.locator("#password").fill(SECRET)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#compose-generate")).to_be_visible(timeout=60_000)
    opened = StudioPage(page, address)
    opened.tab("generate")
    opened.page.locator('[data-fact="worker"]').wait_for()
    return opened
