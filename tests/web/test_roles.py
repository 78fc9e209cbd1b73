"""What a role forbids is refused on the page, in words, and nothing is done."""

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
    assert list_jobs(database) == []

    allowed = _signed_in(chromium, address, "ada")
    allowed.generate_caption.fill("A symmetric brown mole.")
    allowed.generate()
    assert [job.owner for job in list_jobs(database)] == ["ada"]


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
