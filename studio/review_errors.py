"""What goes wrong in a route of reviewing, as a status and one sentence."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from backend.accounts import AccountError
from backend.errors import DermaFluxError
from backend.files import FileError
from backend.review.errors import (
    ReviewClosedError,
    ReviewForbiddenError,
    ReviewMissingError,
    ReviewTakenError,
    StaleVerdictError,
)
from backend.store.errors import StoreError

STATUSES: Sequence[tuple[type[DermaFluxError], int]] = (
    (AccountError, 403),
    (ReviewForbiddenError, 403),
    (ReviewMissingError, 404),
    (FileError, 404),
    (StaleVerdictError, 409),
    (ReviewClosedError, 409),
    (ReviewTakenError, 409),
    (StoreError, 503),
)
"""The first that fits; any other sentence of ours is a 400."""
NO_SUCH_ADDRESS = "There is nothing at this address: it holds a sign that no name has."


class ReviewRoute(APIRoute):
    """Answers errors with `{"detail": sentence}`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with its errors answered."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            if "\0" in request.scope["path"] or b"%00" in request.scope["query_string"]:
                return JSONResponse({"detail": NO_SUCH_ADDRESS}, 404)
            try:
                return await handle(request)
            except RequestValidationError as error:
                return JSONResponse({"detail": _said(error.errors())}, 422)
            except DermaFluxError as error:
                return _refusal(error)

        return answered


def _refusal(error: DermaFluxError) -> Response:
    status = next((number for kind, number in STATUSES if isinstance(error, kind)), 400)
    body: dict[str, object] = {"detail": str(error)}
    if isinstance(error, StaleVerdictError) and error.current is not None:
        body["current"] = error.current.model_dump(mode="json")
    return JSONResponse(body, status)


def _said(errors: Sequence[Mapping[str, Any]]) -> str:
    """The first fault in a sentence that names its field."""
    if not errors:
        return "The request cannot be read: look at its fields."
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or "The body"
    fault = str(first["msg"]).strip().rstrip(".")
    return f"{place}: {fault[:1].lower()}{fault[1:]}."
