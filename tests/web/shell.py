"""The real web application over a real workspace, and the list of all its routes."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from starlette.routing import BaseRoute, Mount
from starlette.testclient import TestClient

from backend.settings import Settings, prepare_workspace
from backend.store.database import Database, open_database
from studio.server import create_app

ORIGIN = "http://127.0.0.1:7860"
FOREIGN = "https://evil.example"


@dataclass(frozen=True)
class Shell:
    """A served studio: its settings, its database, the application and a client of it."""

    settings: Settings
    database: Database
    app: FastAPI
    client: TestClient

    def stranger(self) -> TestClient:
        """Another browser: no cookies, redirects shown instead of followed."""
        return TestClient(self.app, base_url=ORIGIN, follow_redirects=False)


@contextmanager
def opened(workspace: Path) -> Iterator[tuple[Settings, Database]]:
    """A prepared workspace with its database, settings of a bare machine."""
    settings = Settings(workspace=workspace)
    prepare_workspace(settings)
    database = open_database(settings)
    try:
        yield settings, database
    finally:
        database.close()


@contextmanager
def served(settings: Settings, database: Database) -> Iterator[Shell]:
    """The application of these settings, started."""
    app = create_app(settings, database)
    with TestClient(app, base_url=ORIGIN, follow_redirects=False) as client:
        yield Shell(settings, database, app, client)


def requests_of(app: FastAPI) -> list[tuple[str, str]]:
    """(method, path) of every route, mounted applications and included routers too.

    Path parameters are filled in; a mount of files stands for one of its paths.
    """
    return sorted(set(_requests(app.routes, "")))


def _requests(routes: Iterable[BaseRoute], prefix: str) -> Iterator[tuple[str, str]]:
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _requests(inner.routes, prefix)
        elif isinstance(route, Mount):
            path = prefix + route.path
            yield from _requests(route.routes, path) if route.routes else [("GET", f"{path}/x.css")]
        else:
            path = prefix + getattr(route, "path", "")
            for method in getattr(route, "methods", None) or ():
                yield method, _filled(path)


def _filled(path: str) -> str:
    parts = path.split("{")
    return parts[0] + "".join("x" + part.partition("}")[2] for part in parts[1:])
