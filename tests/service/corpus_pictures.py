"""A small corpus of phantoms, and captioning jobs done on it in this process."""

from pathlib import Path

from backend.abc.attributes import Asymmetry, Border, Colour, LesionAttributes
from backend.captioning.running import KIND, CaptionTask, caption_title
from backend.corpus.importing import KIND as IMPORT
from backend.corpus.importing import import_title, plan_task
from backend.images import write_image
from backend.jobs.here import run_here
from backend.jobs.queue import JobView
from backend.jobs.states import JobState
from backend.phantom import render
from backend.settings import Settings
from backend.store.database import Database

TRUTH = LesionAttributes(
    asymmetry=Asymmetry.SYMMETRIC, border=Border.REGULAR, colours=(Colour.DARK_BROWN,)
)


def fill_corpus(
    settings: Settings, database: Database, folder: Path, count: int, *, name: str | None = None
) -> None:
    """Phantoms in two classes, and last a picture of plain skin, as a dataset."""
    for number in range(count - 1):
        drawn = render(TRUTH, size=128, seed=number)
        label = ("malignant", "benign")[number % 2]
        write_image(folder / label / f"{number:03d}.png", drawn.image)
    skin = render(TRUTH, size=128, seed=1).image
    skin[:] = skin[0, 0]
    write_image(folder / "benign" / "skin.png", skin)
    task = plan_task("folder", folder, name=name, side=128, processes=1)
    job = work(settings, database, IMPORT, task.model_dump(mode="json"), import_title(task))
    assert job.state is JobState.DONE, job.error


def work(
    settings: Settings, database: Database, kind: str, payload: dict[str, object], title: str
) -> JobView:
    """A job of a kind as it ended."""
    return run_here(
        settings,
        database,
        kind=kind,
        payload=payload,
        title=title,
        total=0,
        show=lambda _: None,
    )


def caption(settings: Settings, database: Database, **choices: object) -> JobView:
    """A captioning job as it ended."""
    task = CaptionTask.model_validate({"processes": 1, **choices})
    return work(settings, database, KIND, task.model_dump(mode="json"), caption_title(task))
