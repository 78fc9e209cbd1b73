"""Signing in and out, and the gate that lets nobody else pass."""

import logging
import threading
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Form, Request
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.accounts import AccountView, list_accounts, verify
from backend.errors import DermaFluxError
from backend.store.database import Database
from studio.attempts import WrongPasswords
from studio.login_page import sign_in_page, sign_out_page
from studio.sessions import LIFETIME_S, Session, Sessions

# What a stranger may see: the sign-in page, its icon, the studio's name, and that it is alive.
PUBLIC_PATHS = frozenset({"/login", "/healthz", "/favicon.ico", "/manifest.json"})

WRONG_BY_NAME = 5
WRONG_BY_ADDRESS = 20
LOGIN_BODY_BYTES = 16 * 1024
ACCOUNTS_FRESH_S = 5.0

_log = logging.getLogger(__name__)


class Doorkeeper:
    """Knows who is signed in, and who may try again."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        cookie_name: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cookie_name = cookie_name
        self._database = database
        self._sessions = sessions
        self._wrong = WrongPasswords(clock)
        self._clock = clock
        # Each argon2 check takes tens of megabytes: a flood must not take them all.
        self._checks = CapacityLimiter(2)
        self._lock = threading.Lock()
        self._accounts: dict[str, AccountView] = {}
        self._accounts_read = -ACCOUNTS_FRESH_S

    def session_of(self, headers: Headers) -> Session | None:
        """The session that the request's cookie proves, of an account that may still enter."""
        session = self._sessions.read(_cookie(headers, self.cookie_name))
        if session is None:
            return None
        account = self._active_accounts().get(session.account)
        return session if account is not None and account.stamp == session.stamp else None

    async def sign_in(self, address: str, name: str, password: str) -> str | int | None:
        """A cookie value; None for a wrong name or password; or seconds to wait, as int."""
        by_name, by_address = (address, name.casefold()), address
        wait = max(
            self._wrong.wait_s(by_name, WRONG_BY_NAME),
            self._wrong.wait_s(by_address, WRONG_BY_ADDRESS),
        )
        if wait:
            return wait
        # Counted before the check, so that guesses sent at once do not slip through together.
        self._wrong.count(by_name)
        self._wrong.count(by_address)
        account = await to_thread.run_sync(
            verify, self._database, name, password, limiter=self._checks
        )
        if account is None:
            _log.warning("A sign-in was refused.", extra={"address": address})
            return None
        self._wrong.forget(by_name)
        self._wrong.forget(by_address)
        return self._sessions.issue(account.name, account.stamp)

    def sign_out(self, session: Session) -> None:
        """End a session."""
        self._sessions.end(session)

    def _active_accounts(self) -> dict[str, AccountView]:
        with self._lock:
            if self._clock() - self._accounts_read >= ACCOUNTS_FRESH_S:
                accounts = list_accounts(self._database)
                self._accounts = {each.name: each for each in accounts if not each.disabled}
                self._accounts_read = self._clock()
            return self._accounts


class SignedInOnly:
    """Lets nobody past PUBLIC_PATHS without a session; pages lead to the sign-in form."""

    def __init__(self, app: ASGIApp, doorkeeper: Doorkeeper) -> None:
        self.app = app
        self.doorkeeper = doorkeeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with `state.account` set, or answer 303 or 401."""
        if scope["type"] != "http" or scope["path"] in PUBLIC_PATHS:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            session = await to_thread.run_sync(self.doorkeeper.session_of, headers)
        except DermaFluxError as error:
            await PlainTextResponse(f"{error}\n", 503)(scope, receive, send)
            return
        if session is None:
            await _refusal(scope, headers)(scope, receive, send)
            return
        scope.setdefault("state", {})["session"] = session
        await self.app(scope, receive, send)


def signed_in_name(request: Request) -> str | None:
    """The account behind a request that passed SignedInOnly, for Gradio's `request.username`."""
    session: Session | None = getattr(request.state, "session", None)
    return None if session is None else session.account


def login_routes(doorkeeper: Doorkeeper) -> APIRouter:
    """GET and POST of /login and /logout."""
    router = APIRouter()

    @router.get("/login")
    async def ask(request: Request) -> Response:
        session = await to_thread.run_sync(doorkeeper.session_of, request.headers)
        return sign_in_page() if session is None else RedirectResponse("/", 303)

    @router.post("/login", max_body_size=LOGIN_BODY_BYTES)
    async def sign_in(
        request: Request,
        name: Annotated[str, Form(max_length=200)] = "",
        password: Annotated[str, Form(max_length=1000)] = "",
    ) -> Response:
        address = request.client.host if request.client else ""
        # PostgreSQL takes no NUL, and no account name has one.
        outcome = await doorkeeper.sign_in(address, name.strip().replace("\0", ""), password)
        if isinstance(outcome, str):
            return _with_cookie(RedirectResponse("/", 303), request, doorkeeper, outcome)
        return _turned_away(name, outcome)

    @router.get("/logout")
    async def ask_to_leave(request: Request) -> Response:
        return sign_out_page(request.state.session.account)

    @router.post("/logout")
    async def sign_out(request: Request) -> Response:
        await to_thread.run_sync(doorkeeper.sign_out, request.state.session)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(doorkeeper.cookie_name, httponly=True, samesite="strict")
        return response

    return router


def _turned_away(name: str, wait_s: int | None) -> Response:
    if wait_s is None:
        problem = "Name or password is wrong."
        return sign_in_page(problem=problem, name=name, status=401)
    minutes = -(-wait_s // 60)
    problem = (
        f"Too many wrong passwords: try again in {minutes} minute{'s' if minutes > 1 else ''}."
    )
    return sign_in_page(problem=problem, name=name, status=429, retry_s=wait_s)


def _with_cookie(
    response: Response, request: Request, doorkeeper: Doorkeeper, value: str
) -> Response:
    # Behind a proxy that adds HTTPS, only this header knows; forged, it harms the forger alone.
    schemes = (request.url.scheme, request.headers.get("x-forwarded-proto"))
    response.set_cookie(
        doorkeeper.cookie_name,
        value,
        max_age=LIFETIME_S,
        secure="https" in schemes,
        httponly=True,
        samesite="strict",
    )
    return response


def _refusal(scope: Scope, headers: Headers) -> Response:
    wants_page = scope["path"] in ("/", "/logout") and "text/html" in headers.get("accept", "")
    if scope["method"] == "GET" and wants_page:
        return RedirectResponse("/login", 303)
    return PlainTextResponse("Sign in first: open /login.\n", 401)


def _cookie(headers: Headers, name: str) -> str | None:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return None if morsel is None else morsel.value
