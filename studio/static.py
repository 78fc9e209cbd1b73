"""The studio's own stylesheets, scripts and icons as files."""

from pathlib import PurePosixPath

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

SUFFIXES = frozenset({".css", ".js", ".svg", ".png"})


class StudioFiles(StaticFiles):
    """Serves a folder's stylesheets, scripts and icons; checked by ETag, so never stale."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer 404 for every other kind of file."""
        if PurePosixPath(path).suffix not in SUFFIXES:
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "private, no-cache"
        if path.endswith(".js"):
            # What a system's table of types says of it may be wrong; a module is refused then.
            response.headers["Content-Type"] = "text/javascript; charset=utf-8"
        return response
