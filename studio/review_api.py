"""Reviewing over HTTP, for the Review tab and for scripts: see docs/review-api.md."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as InPath
from pydantic import AwareDatetime
from starlette.responses import FileResponse, Response

from backend.accounts import get_account
from backend.review.discussion import discussion
from backend.review.items import get_item, my_items
from backend.review.people import Actor, read_name
from backend.review.pictures import Size, picture
from backend.review.queue import next_items
from backend.review.recipe import NewGuidelines, NewVerdict, ReviewRecipe, Undo
from backend.review.reports import agreement_report
from backend.review.running import get_making, open_makings, submit_set
from backend.review.sets import (
    close_set,
    get_guidelines,
    get_review_set,
    known_reviewers,
    list_review_sets,
    may,
    reopen_set,
    write_guidelines,
)
from backend.review.sources import review_sources
from backend.review.states import Answer
from backend.review.trail import audit
from backend.review.verdicts import adjudicate, save_verdict, undo
from backend.review.views import (
    AgreementReport,
    AuditView,
    DiscussionView,
    GuidelinesView,
    ItemView,
    MakingView,
    MeView,
    NextView,
    SavedView,
    SetDetail,
    SetView,
    SourcesView,
    UndoneView,
)
from backend.settings import Settings
from backend.store.database import Database
from studio.caption_set_api import add_caption_set_routes
from studio.login import signed_in_name
from studio.review_errors import ReviewRoute

PREFIX = "/review/api"
NAME_HEADER = "X-Reviewer"
KEPT = "private, max-age=31536000, immutable"
"""Pictures whose address names their content."""

MOST = 2**62
Item = Annotated[int, InPath(ge=1, lt=MOST)]
ActorOf = Callable[[Request], Actor]


def review_routes(settings: Settings, database: Database, *, signed_in: bool) -> APIRouter:
    """All routes; `signed_in` says whether people sign in here, so that no header is believed."""

    def actor_of(request: Request) -> Actor:
        if signed_in:
            account = signed_in_name(request)
            return Actor(account, account)
        return Actor(read_name(request.headers.get(NAME_HEADER), encoded=True))

    router = APIRouter(prefix=PREFIX, route_class=ReviewRoute)
    _add_people(router, database, actor_of, signed_in=signed_in)
    _add_sets(router, database, actor_of)
    _add_keeping(router, database, actor_of)
    _add_items(router, settings, database, actor_of)
    _add_judging(router, database, actor_of)
    add_caption_set_routes(router, settings, database, actor_of)
    return router


def _add_people(
    router: APIRouter, database: Database, actor_of: ActorOf, *, signed_in: bool
) -> None:
    Who = Annotated[Actor, Depends(actor_of)]  # noqa: N806 - a type

    @router.get("/me")
    def me(actor: Who) -> MeView:
        account = get_account(database, actor.account) if actor.account else None
        allowed = may(database, actor)
        shown = not signed_in or "keep" in allowed
        return MeView(
            name=actor.name,
            signed_in=signed_in,
            role=account.role.value if account else None,
            may=allowed,
            known=tuple(known_reviewers(database)) if shown else (),
        )

    @router.get("/sources")
    def sources(actor: Who) -> SourcesView:
        return review_sources(database, actor)


def _add_sets(router: APIRouter, database: Database, actor_of: ActorOf) -> None:
    Who = Annotated[Actor, Depends(actor_of)]  # noqa: N806 - a type

    @router.get("/sets")
    def sets(actor: Who) -> list[SetView]:
        return list_review_sets(database, actor)

    @router.post("/sets", status_code=202)
    def make(actor: Who, recipe: ReviewRecipe) -> dict[Literal["job"], str]:
        return {"job": submit_set(database, actor, recipe)}

    @router.get("/jobs")
    def makings(actor: Who) -> list[MakingView]:
        return open_makings(database, actor)

    @router.get("/jobs/{job_id}")
    def making(actor: Who, job_id: str) -> MakingView:
        return get_making(database, actor, job_id)

    @router.get("/sets/{set_id}")
    def one(actor: Who, set_id: str) -> SetDetail:
        return get_review_set(database, actor, set_id)

    @router.post("/sets/{set_id}/close")
    def close(actor: Who, set_id: str) -> SetDetail:
        return close_set(database, actor, set_id)

    @router.post("/sets/{set_id}/reopen")
    def reopen(actor: Who, set_id: str) -> SetDetail:
        return reopen_set(database, actor, set_id)


def _add_keeping(router: APIRouter, database: Database, actor_of: ActorOf) -> None:
    Who = Annotated[Actor, Depends(actor_of)]  # noqa: N806 - a type

    @router.get("/sets/{set_id}/agreement")
    def agreement(
        actor: Who,
        set_id: str,
        bootstraps: Annotated[int, Query(ge=0, le=10_000)] = 1_000,
        seed: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    ) -> AgreementReport:
        return agreement_report(database, actor, set_id, bootstraps=bootstraps, seed=seed)

    @router.get("/sets/{set_id}/audit")
    def trail(
        actor: Who,
        set_id: str,
        before: Annotated[int | None, Query(ge=0, lt=MOST)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> AuditView:
        return audit(database, actor, set_id, before=before, limit=limit)

    @router.get("/sets/{set_id}/guidelines")
    def guidelines(
        actor: Who, set_id: str, version: Annotated[int | None, Query(ge=0, lt=2**31)] = None
    ) -> GuidelinesView:
        return get_guidelines(database, actor, set_id, version)

    @router.put("/sets/{set_id}/guidelines")
    def write(actor: Who, set_id: str, new: NewGuidelines) -> GuidelinesView:
        return write_guidelines(database, actor, set_id, new)


def _add_items(
    router: APIRouter, settings: Settings, database: Database, actor_of: ActorOf
) -> None:
    Who = Annotated[Actor, Depends(actor_of)]  # noqa: N806 - a type

    @router.get("/sets/{set_id}/next")
    def following(
        actor: Who, set_id: str, count: Annotated[int, Query(ge=1, le=20)] = 2
    ) -> NextView:
        return next_items(database, actor, set_id, count)

    @router.get("/sets/{set_id}/mine")
    def mine(
        actor: Who,
        set_id: str,
        answer: Answer | None = None,
        before: AwareDatetime | None = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> list[ItemView]:
        return my_items(database, actor, set_id, answer=answer, before=before, limit=limit)

    @router.get("/sets/{set_id}/items/{item}")
    def item(actor: Who, set_id: str, item: Item) -> ItemView:
        return get_item(database, actor, set_id, item)

    @router.get("/sets/{set_id}/items/{item}/image")
    def image(actor: Who, set_id: str, item: Item, size: Size = "full") -> Response:
        found = picture(database, settings, actor, set_id, item, size)
        headers = {"Cache-Control": KEPT}
        if isinstance(found, Path):
            return FileResponse(found, headers=headers)
        return Response(found, media_type="image/jpeg", headers=headers)


def _add_judging(router: APIRouter, database: Database, actor_of: ActorOf) -> None:
    Who = Annotated[Actor, Depends(actor_of)]  # noqa: N806 - a type

    @router.put("/sets/{set_id}/items/{item}/verdict")
    def judge(actor: Who, set_id: str, item: Item, new: NewVerdict) -> SavedView:
        return save_verdict(database, actor, set_id, item, new)

    @router.put("/sets/{set_id}/items/{item}/adjudication")
    def decide(actor: Who, set_id: str, item: Item, new: NewVerdict) -> SavedView:
        return adjudicate(database, actor, set_id, item, new)

    @router.post("/sets/{set_id}/undo")
    def take_back(actor: Who, set_id: str, wanted: Undo) -> UndoneView:
        return undo(database, actor, set_id, wanted)

    @router.get("/sets/{set_id}/discussion")
    def disputes(
        actor: Who,
        set_id: str,
        state: Literal["open", "all"] = "open",
        offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> DiscussionView:
        return discussion(database, actor, set_id, state=state, offset=offset, limit=limit)
