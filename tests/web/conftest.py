"""The real studio, started once with a real worker, and a real browser that watches itself."""

import json
import shutil
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
from backend.corpus.importing import plan_task, submit_import
from backend.corpus.queries import CorpusFilter
from backend.corpus.subsets import make_subset
from backend.generation.models import find_model, list_models
from backend.generation.request import make_request
from backend.generation.running import submit_generation
from backend.jobs.queue import get_job
from backend.settings import Settings, prepare_workspace
from backend.store.database import Database, open_database
from studio.tabs.compose_caption import FIRST_LESION
from tests.phantom_download import write_download
from tests.web.running_studio import running_studio, wait_until_done
from tests.web.studio_page import ANSWERS_WITHIN_MS, Pace, StudioPage, free_port, launch_chromium

STARTER_SIDE = 128
TINY_SIDE = 384
WATCHED_S = 8
FEWEST_STEPS, MOST_STEPS = 30, 100


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser test that fails is tried once more, and the summary names it as rerun.

    A machine that is busy elsewhere can keep a page from answering in time.
    """
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def studio(
    tmp_path_factory: pytest.TempPathFactory, tiny_flux: Path
) -> Iterator[tuple[str, Settings]]:
    """The address and the settings of a studio that was started as a person starts it.

    It has the starter model where the checkout has one, and a tiny FLUX in any case.
    """
    home = tmp_path_factory.mktemp("studio")
    tiny = shutil.copytree(tiny_flux, home / "models" / "tiny")
    _offer_size(tiny, TINY_SIDE)
    settings = Settings(
        workspace=home / "workspace",
        port=free_port(),
        model_folders=(home / "models",),
        threads=1,
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
    wait_until_done(studio_database, job_id)
    return job_id


@pytest.fixture(scope="session")
def pace(studio: tuple[str, Settings], studio_database: Database, a_finished_run: str) -> Pace:
    """Size and steps at which an image can be watched for some seconds on this machine."""
    rate = get_job(studio_database, a_finished_run).rate or 0
    steps = min(MOST_STEPS, max(FEWEST_STEPS, round(rate * WATCHED_S)))
    starter = find_model(studio[1], "starter").problem is None
    return Pace(side=STARTER_SIDE if starter else TINY_SIDE, steps=steps)


@pytest.fixture(scope="session")
def a_corpus(
    studio: tuple[str, Settings],  # noqa: ARG001 - its worker imports
    studio_database: Database,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """The name of a dataset of 30 phantoms in the corpus, with a subset of the same name."""
    name = "phantoms"
    folder = write_download(tmp_path_factory.mktemp("corpus") / "download", 30, first=500)
    task = plan_task("ham10000", folder, name=name, side=96, processes=1)
    wait_until_done(studio_database, submit_import(studio_database, task))
    make_subset(studio_database, name, (CorpusFilter(dataset=name),))
    return name


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A fresh workspace at a port of its own, for a page that is opened by its own test."""
    settings = Settings(workspace=tmp_path / "workspace", port=free_port())
    prepare_workspace(settings)
    return settings


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Its database."""
    database = open_database(settings)
    yield database
    database.close()


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
