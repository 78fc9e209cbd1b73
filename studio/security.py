"""Middleware that every request passes: headers, origin, and which of Gradio's routes exist."""

import re
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "worker-src 'self' blob:; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)
# A file of the workspace opened on its own runs nothing, whatever is in it.
FILE_SECURITY_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"

HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": under it browsers send `Origin: null` with a form of our own.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
FILE_PREFIX = "/gradio_api/file="
# Gradio names these by their content, so they never change.
HASHED_ASSET = re.compile(r"/assets/[^/]+-[\w-]{8,}\.(?:js|css|ttf|woff2?)")

# Gradio believes these headers about its own address; a browser never needs to send them.
FORGEABLE_HEADERS = frozenset({b"x-forwarded-host", b"x-gradio-server"})

# What the page asks of Gradio. The rest (direct calls, deep links, proxies to other hosts,
# monitoring, editing of source code) does not exist here, whatever a later version adds.
OPEN_ROUTES = re.compile(
    r"/"
    r"|/config/?"
    r"|/theme\.css"
    r"|/robots\.txt"
    r"|/(?:assets|static|svelte)/.+"
    r"|/gradio_api/(?:app_id|info|login_check|reset|component_server)/?"
    r"|/gradio_api/(?:startup-events|theme\.css|cancel|upload|upload_progress)"
    r"|/gradio_api/queue/(?:join|data|status)"
    r"|/gradio_api/heartbeat/\w+"
    r"|/gradio_api/run/\w+/?"
    # A path, never a URL: Gradio would fetch it. One letter before the colon is a drive.
    r"|/gradio_api/file=(?!\s*[A-Za-z][\w+.-]+:).+"
)


class SecurityHeaders:
    """Sets the headers above on every response that does not bring its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer through the app, with headers added."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in response_headers(scope["path"], message["status"]).items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def response_headers(path: str, status: int) -> dict[str, str]:
    """What a response from `path` carries besides what it brings itself."""
    is_file = path.startswith(FILE_PREFIX)
    is_hashed = status == 200 and HASHED_ASSET.fullmatch(path) is not None
    return {
        **HEADERS,
        "Content-Security-Policy": FILE_SECURITY_POLICY if is_file else CONTENT_SECURITY_POLICY,
        "Cache-Control": "private, max-age=31536000, immutable" if is_hashed else "no-store",
    }


class OwnOriginOnly:
    """Refuses what another site's page asks for, read or write, and every WebSocket."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http":
            if not is_own_request(scope["method"], scope["path"], Headers(scope=scope)):
                refusal = "Another site asked for this. Open the studio itself.\n"
                await PlainTextResponse(refusal, status_code=403)(scope, receive, send)
                return
            kept = [pair for pair in scope["headers"] if pair[0] not in FORGEABLE_HEADERS]
            scope = {**scope, "headers": kept}
        await self.app(scope, receive, send)


def is_own_request(method: str, path: str, headers: Headers) -> bool:
    """Whether a request comes from our page, from a program, or from a person who opens it.

    Browsers send Origin with every non-GET request and Sec-Fetch-Site with all; programs
    send neither. A link on another site may open the page, and nothing else.
    """
    origin = headers.get("origin")
    if origin is not None:
        scheme, _, host = origin.lower().partition("://")
        return scheme in ("http", "https") and host == headers.get("host", "").lower() != ""
    if headers.get("sec-fetch-site", "none") in ("same-origin", "none"):
        return True
    opens_page = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest"))
    return method == "GET" and path in ("/", "/login") and opens_page == ("navigate", "document")


class OpenRoutesOnly:
    """Answers 404 for every route of Gradio that the page does not use."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 404."""
        if scope["type"] == "http" and OPEN_ROUTES.fullmatch(scope["path"]) is None:
            await PlainTextResponse("Not found.\n", status_code=404)(scope, receive, send)
            return
        await self.app(scope, receive, send)
