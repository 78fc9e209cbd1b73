"""Under which terms the datasets of the catalogue may be used, and how they are cited."""

from collections.abc import Iterable
from dataclasses import dataclass

from backend.corpus.sources import SOURCES
from backend.jobs.queue import list_jobs
from backend.store.database import Database

IMPORT_KIND = "import"
IMPORTS_LOOKED_AT = 1000
UNKNOWN = "Not known here: ask who gave you the images"


@dataclass(frozen=True)
class Terms:
    """What is declared of the dataset that was imported under a name."""

    title: str
    licence: str
    citation: str


def terms_of(db: Database, datasets: Iterable[str]) -> dict[str, Terms]:
    """The terms by name in the catalogue; one that was chosen freely is looked up in its import."""
    imported: dict[str, str] = {}
    for job in list_jobs(db, kinds=(IMPORT_KIND,), limit=IMPORTS_LOOKED_AT):
        imported.setdefault(str(job.payload.get("name")), str(job.payload.get("source")))
    return {name: _terms(name, imported.get(name, name)) for name in datasets}


def _terms(name: str, key: str) -> Terms:
    source = SOURCES.get(key) or SOURCES.get(name)
    if source is None:
        return Terms(name, UNKNOWN, "")
    title = source.title if source.key == name else f"{name} ({source.title})"
    return Terms(title, source.licence, source.citation)
