"""The web application: Gradio's page inside a FastAPI parent that guards every request."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse

from backend.errors import DermaFluxError
from backend.finetuning.run_folder import runs_dir
from backend.settings import Settings
from backend.store.database import Database
from studio.assets import ASSETS, page_head, stylesheets
from studio.environment import empty_uploads, settle_environment
from studio.exposure import is_exposed, require_protection, served_hosts
from studio.login import Doorkeeper, SignedInOnly, login_routes, signed_in_name
from studio.review_api import review_routes
from studio.security import OpenRoutesOnly, OwnOriginOnly, SecurityHeaders
from studio.sessions import open_sessions
from studio.static import StudioFiles

TITLE = "DermaFlux Studio"
MAX_UPLOAD_BYTES = 64 * 1024 * 1024
# Room for the parts of a multipart body around the file itself.
MAX_BODY_BYTES = MAX_UPLOAD_BYTES + 1024 * 1024
UPLOADS_CHECKED_EVERY_S = 60 * 60
UPLOADS_KEPT_S = 24 * 60 * 60


def create_app(settings: Settings, database: Database) -> FastAPI:
    """The studio as an ASGI application; it starts no worker and opens no port.

    Raises StudioError where other machines could reach it and nobody could sign in.
    """
    require_protection(settings, database)
    settle_environment(os.environ, settings)
    empty_uploads(settings)
    doorkeeper = _doorkeeper(settings, database) if is_exposed(settings) else None
    app = FastAPI(
        title=TITLE,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        max_body_size=MAX_BODY_BYTES,
        middleware=_middleware(settings, doorkeeper),
        lifespan=_lifespan(settings),
    )
    app.add_exception_handler(DermaFluxError, _sentence)
    _add_own_routes(app)
    if doorkeeper is not None:
        app.include_router(login_routes(doorkeeper))
    app.include_router(review_routes(settings, database, signed_in=doorkeeper is not None))
    _mount_page(app, settings, database, signed_in=doorkeeper is not None)
    return app


def _doorkeeper(settings: Settings, database: Database) -> Doorkeeper:
    # Cookies ignore ports: two studios on one machine need two names.
    return Doorkeeper(database, open_sessions(settings.workspace), f"dermaflux_{settings.port}")


def _middleware(settings: Settings, doorkeeper: Doorkeeper | None) -> list[Middleware]:
    """Outermost first."""
    guards = [
        Middleware(SecurityHeaders),
        Middleware(
            TrustedHostMiddleware,
            allowed_hosts=list(served_hosts(settings)),
            www_redirect=False,
        ),
        Middleware(OwnOriginOnly),
    ]
    if doorkeeper is not None:
        guards.append(Middleware(SignedInOnly, doorkeeper=doorkeeper))
    return guards


def _lifespan(settings: Settings) -> Any:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        empty_uploads(settings)

    return lifespan


async def _sentence(_request: Request, error: Exception) -> PlainTextResponse:
    return PlainTextResponse(f"{error}\n", 503)


def _add_own_routes(app: FastAPI) -> None:
    @app.get("/healthz")
    async def health() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.get("/favicon.ico")
    async def favicon() -> FileResponse:
        return FileResponse(ASSETS / "icons" / "favicon.svg", media_type="image/svg+xml")

    @app.get("/manifest.json")
    async def manifest() -> JSONResponse:
        icon = {"src": "/favicon.ico", "sizes": "any", "type": "image/svg+xml"}
        content = {"name": TITLE, "icons": [icon], "start_url": "/", "display": "browser"}
        return JSONResponse(content, media_type="application/manifest+json")

    for folder in ("css", "js", "icons"):
        app.mount(f"/assets/{folder}", StudioFiles(directory=ASSETS / folder))


def _mount_page(app: FastAPI, settings: Settings, database: Database, *, signed_in: bool) -> None:
    """Build the Blocks and mount them at /.

    Gradio is imported here because it reads its environment while it is imported.
    """
    import gradio as gr

    from studio.layout import build_page
    from studio.theme import studio_theme

    gr.set_static_paths(
        [
            settings.images_dir,
            settings.thumbnails_dir,
            settings.jobs_dir,
            settings.exports_dir,
            settings.sets_dir,
            settings.corpus_dir,
            runs_dir(settings),
        ]
    )
    page = build_page(settings, database)
    page.delete_cache = (UPLOADS_CHECKED_EVERY_S, UPLOADS_KEPT_S)
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        server_name=settings.host,
        server_port=settings.port,
        auth_dependency=signed_in_name if signed_in else None,
        theme=studio_theme(),
        css_paths=stylesheets(),
        head=page_head(),
        footer_links=[],
        max_file_size=MAX_UPLOAD_BYTES,
        show_error=False,
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        ssr_mode=False,
        pwa=False,
        app_kwargs={"openapi_url": None, "middleware": [Middleware(OpenRoutesOnly)]},
    )
