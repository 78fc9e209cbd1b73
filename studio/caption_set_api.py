"""The routes of caption sets: versions, what changed, files in and out."""

from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from backend.review.caption_changes import changes
from backend.review.caption_files import CaptionFormat, export_bytes, import_captions
from backend.review.caption_sets import (
    entries_page,
    list_caption_sets,
    list_versions,
    make_version,
)
from backend.review.people import Actor, keep
from backend.review.recipe import Line, NewVersion, Words
from backend.review.views import (
    CaptionSetView,
    ChangesView,
    EntryView,
    ImportView,
    VersionView,
)
from backend.settings import Settings
from backend.store.database import Database

SUFFIXES = {
    CaptionFormat.CSV: ("csv", "text/csv; charset=utf-8"),
    CaptionFormat.JSONL: ("jsonl", "application/x-ndjson"),
    CaptionFormat.IMAGE_FOLDER: ("metadata.jsonl", "application/x-ndjson"),
}
Limit = Annotated[int, Query(ge=1, le=1_000)]
Version = Annotated[int | None, Query(ge=0, lt=2**31)]
Number = Annotated[int, Path(ge=1, lt=2**31)]


class CaptionFile(BaseModel):
    """A file to be imported, as text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Line
    format: CaptionFormat
    content: str
    note: Words = ""


def add_caption_set_routes(
    router: APIRouter,
    settings: Settings,
    database: Database,
    actor_of: Callable[[Request], Actor],
) -> None:
    """Add them under the prefix of the router."""
    Who = Annotated[Actor, Depends(actor_of)]  # noqa: N806 - a type

    @router.get("/caption-sets")
    def caption_sets() -> list[CaptionSetView]:
        return list_caption_sets(database)

    @router.post("/caption-sets", status_code=201)
    def make(actor: Who, new: NewVersion) -> VersionView:
        return make_version(database, actor, new)

    @router.post("/caption-sets/import", status_code=201)
    def bring(actor: Who, file: CaptionFile) -> ImportView:
        content = file.content.encode("utf-8", "replace")
        return import_captions(database, actor, file.name, content, file.format, note=file.note)

    @router.get("/caption-sets/{name}/versions")
    def versions(name: str) -> list[VersionView]:
        return list_versions(database, name)

    @router.get("/caption-sets/{name}/versions/{version}/entries")
    def entries(
        name: str, version: Number, after: str | None = None, limit: Limit = 100
    ) -> list[EntryView]:
        return entries_page(database, name, version, after=after, limit=limit)

    @router.get("/caption-sets/{name}/versions/{version}/export")
    def export(
        actor: Who,
        name: str,
        version: Number,
        format: CaptionFormat = CaptionFormat.JSONL,  # noqa: A002
    ) -> Response:
        keep(database, actor)
        content = export_bytes(database, settings, name, version, format)
        suffix, media_type = SUFFIXES[format]
        file = quote(f"{name}-{version}.{suffix}")
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{file}"}
        return Response(content, media_type=media_type, headers=headers)

    @router.get("/caption-sets/{name}/changes")
    def changed(
        name: str,
        old: Version = None,
        new: Version = None,
        after: str | None = None,
        limit: Limit = 100,
    ) -> ChangesView:
        return changes(database, name, old=old, new=new, after=after, limit=limit)
