"""The real studio, started once with a real worker, and a real browser that watches itself."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Error,
    Playwright,
    expect,
    sync_playwright,
)

from backend.abc.grammar import write_caption
from backend.generation.models import find_model, list_models
from backend.generation.request import make_request
from backend.generation.running import submit_generation
from backend.jobs.queue import get_job
from backend.jobs.states import JobState
from backend.settings import Settings
from backend.store.database import Database, open_database
from studio.tabs.compose_caption import FIRST_LESION
from tests.web.running_studio import running_studio
from tests.web.studio_page import ANSWERS_WITHIN_MS, Pace, StudioPage, free_port, launch_chromium

MADE_WITHIN_S = 180
STARTER = Pace(side=128, steps=100)
SLOW = Pace(side=384, steps=100)


@pytest.fixture(scope="session")
def studio(
    tmp_path_factory: pytest.TempPathFactory, tiny_flux: Path
) -> Iterator[tuple[str, Settings]]:
    """The address and the settings of a studio that was started as a person starts it.

    It has the starter model where the checkout has one, and a tiny FLUX in any case.
    """
    home = tmp_path_factory.mktemp("studio")
    tiny = shutil.copytree(tiny_flux, home / "models" / "tiny")
    _offer_size(tiny, SLOW.side)
    settings = Settings(
        workspace=home / "workspace", port=free_port(), model_folders=(home / "models",)
    )
    with running_studio(settings) as address:
        yield address, settings


@pytest.fixture(scope="session")
def studio_database(studio: tuple[str, Settings]) -> Iterator[Database]:
    """The database behind the running studio."""
    database = open_database(studio[1])
    yield database
    database.close()


@pytest.fixture(scope="session")
def pace(studio: tuple[str, Settings]) -> Pace:
    """Size and steps at which an image takes long enough to be watched."""
    return STARTER if find_model(studio[1], "starter").problem is None else SLOW


@pytest.fixture(scope="session")
def a_finished_run(studio: tuple[str, Settings], studio_database: Database) -> str:
    """The id of a job whose two images are in the gallery."""
    settings = studio[1]
    entry = next(entry for entry in list_models(settings) if entry.problem is None)
    request = make_request(
        {
            "caption": write_caption(FIRST_LESION, seed=3),
            "attributes": FIRST_LESION,
            "model": entry.name,
            "count": 2,
            "seed": 99,
            "steps": 4,
            "width": entry.sizes[0],
            "height": entry.sizes[0],
        }
    )
    job_id = submit_generation(studio_database, settings, request)
    deadline = time.monotonic() + MADE_WITHIN_S
    while (job := get_job(studio_database, job_id)).state is not JobState.DONE:
        assert not job.state.ended, job.error
        assert time.monotonic() < deadline, "The worker did not finish two images in time."
        time.sleep(0.2)
    return job_id


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Playwright's driver."""
    expect.set_options(timeout=ANSWERS_WITHIN_MS)
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """The system's Chromium, or Playwright's own."""
    try:
        browser = launch_chromium(playwright)
    except Error as error:
        pytest.skip(f"No Chromium: {error.message.splitlines()[0]}")
    yield browser
    browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh profile whose owner has seen the walkthrough."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script("localStorage.setItem('dermaflux.walkthrough', '1')")
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, studio: tuple[str, Settings]) -> Iterator[StudioPage]:
    """The opened studio; afterwards: no console error, and no request left this machine."""
    opened = StudioPage(context.new_page(), studio[0])
    opened.open()
    yield opened
    opened.expect_clean()


def _offer_size(model: Path, side: int) -> None:
    card = json.loads((model / "dermaflux.json").read_text("utf-8"))
    card["sizes"].append(side)
    (model / "dermaflux.json").write_text(json.dumps(card), "utf-8")
