"""A worker that does the first job of the queue and stops dead at a place, for a test to kill it.

`before`: the set is written and not committed; `after`: it is committed and the job still runs.
"""

import sys
import time
from pathlib import Path
from typing import Any

import backend.jobs.worker
import backend.review.making
from backend.jobs.processes import this_process
from backend.jobs.queue import claim_next
from backend.settings import load_settings
from backend.store.database import open_database

PLACES = {"before": (backend.review.making, "record"), "after": (backend.jobs.worker, "finish")}


def main(place: str, reached: Path) -> None:
    """Touch `reached` at the place and sleep there."""

    def stop(*_: Any, **__: Any) -> None:
        reached.touch()
        time.sleep(600)

    setattr(*PLACES[place], stop)
    settings = load_settings()
    database = open_database(settings)
    job = claim_next(database, this_process())
    assert job is not None
    backend.jobs.worker.Worker(settings, database).run_job(job)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
