"""Where others can reach the studio, only people with an account get in."""

import base64
import hashlib
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from backend.accounts import change_password, create_account, set_disabled
from backend.store.tables import Role
from studio.attempts import WINDOW_S, WrongPasswords
from studio.errors import StudioError
from studio.exposure import exposure_notice, is_loopback, require_protection, served_hosts
from studio.login import ACCOUNTS_FRESH_S, PUBLIC_PATHS, WRONG_BY_ADDRESS, WRONG_BY_NAME, Doorkeeper
from studio.login_page import sign_in_page
from studio.sessions import LIFETIME_S, Sessions, open_sessions
from tests.web.shell import FOREIGN, ORIGIN, Shell, opened, requests_of, served

ANYWHERE = "0.0.0.0"  # noqa: S104 - what the tests are about
NAME, PASSWORD = "ann", "four calm words together"
COOKIE = "dermaflux_7860"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    workspace = tmp_path_factory.mktemp("workspace")
    with opened(workspace) as (settings, database):
        create_account(database, NAME, PASSWORD, Role.ADMIN)
        exposed = settings.model_copy(update={"host": ANYWHERE})
        with served(exposed, database) as shell:
            yield shell


@pytest.fixture
def browser(shell: Shell) -> Iterator[TestClient]:
    """A browser in which ann has signed in, from an address of its own."""
    browser = shell.stranger()
    assert sign_in(browser).status_code == 303
    yield browser
    browser.close()


def sign_in(browser: TestClient, name: str = NAME, password: str = PASSWORD):
    form = {"name": name, "password": password}
    return browser.post("/login", data=form, headers={"Origin": ORIGIN})


def from_address(shell: Shell, address: str) -> TestClient:
    return TestClient(shell.app, base_url=ORIGIN, follow_redirects=False, client=(address, 50_000))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_account(tmp_path: Path, host: str):
    assert is_loopback(host)
    with opened(tmp_path) as (settings, database):
        local = settings.model_copy(update={"host": host})
        require_protection(local, database)
        assert exposure_notice(local) is None


@pytest.mark.parametrize(
    "opening",
    [
        {"host": ANYWHERE},
        {"host": "::"},
        {"host": "192.168.1.20"},
        {"host": "studio.clinic.example"},
        {"allowed_hosts": ("studio.clinic.example",)},
    ],
)
def test_any_other_bind_needs_an_administrator_and_says_what_is_exposed(
    tmp_path: Path, opening: dict[str, object]
):
    with opened(tmp_path) as (settings, database):
        open_settings = settings.model_copy(update=opening)
        create_account(database, "reader", PASSWORD, Role.REVIEWER)
        with pytest.raises(StudioError) as refusal:
            require_protection(open_settings, database)
        sentence = str(refusal.value)
        assert "images, captions, jobs" in sentence
        assert "`python -m backend accounts add NAME --role admin`" in sentence
        assert ":7860" in sentence
        create_account(database, NAME, PASSWORD, Role.ADMIN)
        require_protection(open_settings, database)
        assert "images, captions, jobs" in str(exposure_notice(open_settings))


def test_a_wildcard_bind_answers_to_the_names_of_this_machine_only(shell: Shell):
    hosts = served_hosts(shell.settings)
    assert "127.0.0.1" in hosts
    assert ANYWHERE not in hosts
    assert not any("*" in host for host in hosts)
    assert shell.client.get("/login", headers={"Host": "evil.example"}).status_code == 400


def test_a_pattern_of_host_names_is_refused(tmp_path: Path):
    with opened(tmp_path) as (settings, database):
        pattern = settings.model_copy(update={"allowed_hosts": ("*.example",)})
        with pytest.raises(StudioError, match="every host name in full"):
            require_protection(pattern, database)


def test_no_route_but_the_public_ones_answers_a_stranger(shell: Shell):
    stranger = shell.stranger()
    table = requests_of(shell.app)
    assert {path for _, path in table} >= PUBLIC_PATHS | {"/logout", "/gradio_api/upload"}
    for method, path in table:
        answer = stranger.request(method, path)
        if path in PUBLIC_PATHS:
            assert answer.status_code in (200, 401), (method, path)
        else:
            assert answer.status_code == 401, (method, path)
            assert answer.text == ("" if method == "HEAD" else "Sign in first: open /login.\n")


def test_the_public_routes_say_nothing_of_the_workspace(shell: Shell):
    for path in PUBLIC_PATHS:
        text = shell.stranger().get(path).text
        assert NAME not in text.split()
        assert str(shell.settings.workspace) not in text


def test_a_page_leads_a_stranger_to_the_sign_in_form(shell: Shell):
    answer = shell.stranger().get("/", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_every_route_refuses_a_foreign_origin_to_a_signed_in_browser(
    shell: Shell, browser: TestClient
):
    for method, path in requests_of(shell.app):
        answer = browser.request(method, path, headers={"Origin": FOREIGN})
        assert answer.status_code == 403, (method, path)


def test_the_right_password_opens_page_api_and_files(shell: Shell, browser: TestClient):
    image = shell.settings.images_dir / "a.png"
    image.write_bytes(b"pixels")
    assert browser.get("/").status_code == 200
    assert browser.get("/config").json()["username"] == NAME
    assert browser.get("/gradio_api/info").status_code == 200
    assert browser.get(f"/gradio_api/file={image}").content == b"pixels"
    assert browser.get("/login").headers["location"] == "/"


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(shell: Shell):
    cookie = sign_in(shell.stranger()).headers["set-cookie"]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/", f"max-age={LIFETIME_S}"} <= attributes
    assert "secure" not in attributes


def test_the_cookie_is_for_https_only_behind_a_proxy_that_adds_it(shell: Shell):
    form = {"name": NAME, "password": PASSWORD}
    answer = shell.stranger().post("/login", data=form, headers={"X-Forwarded-Proto": "https"})
    assert "; Secure" in answer.headers["set-cookie"]


def test_a_forged_cookie_opens_nothing(shell: Shell, browser: TestClient):
    genuine = browser.cookies[COOKIE]
    other_key = Sessions(b"x" * 32, shell.settings.workspace / "none").issue(NAME, "stamp")
    body, _, signature = genuine.rpartition(".")
    for forged in (other_key, body, f"{body}.", f"A{genuine}", f"{body}.A{signature}", "", "x.y"):
        stranger = shell.stranger()
        stranger.cookies.set(COOKIE, forged)
        assert stranger.get("/config").status_code == 401, forged


def test_signing_out_kills_the_cookie_and_its_copies(shell: Shell, browser: TestClient):
    copy = browser.cookies[COOKIE]
    assert "ann" in browser.get("/logout").text
    assert browser.post("/logout").headers["location"] == "/login"
    thief = shell.stranger()
    thief.cookies.set(COOKIE, copy)
    assert browser.get("/config").status_code == 401
    assert thief.get("/config").status_code == 401


def test_wrong_name_and_wrong_password_look_the_same(shell: Shell):
    answers = [
        sign_in(from_address(shell, "10.0.0.1"), name, password)
        for name, password in ((NAME, "wrong"), ("nobody", PASSWORD), ("", ""))
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert len({answer.text.replace("nobody", NAME) for answer in answers[:2]}) == 1
    assert all("set-cookie" not in answer.headers for answer in answers)


def test_guessing_is_stopped_for_one_name_from_one_address_and_nobody_else(shell: Shell):
    guesser, colleague = from_address(shell, "10.0.0.2"), from_address(shell, "10.0.0.3")
    codes = [sign_in(guesser, NAME, f"guess {n}").status_code for n in range(WRONG_BY_NAME)]
    assert codes == [401] * WRONG_BY_NAME
    stopped = sign_in(guesser)
    assert stopped.status_code == 429
    assert 0 < int(stopped.headers["retry-after"]) <= WINDOW_S
    assert "Too many wrong passwords: try again in 5 minutes." in stopped.text
    assert sign_in(guesser, NAME.upper()).status_code == 429
    assert sign_in(colleague).status_code == 303


def test_a_sign_in_from_another_site_is_refused(shell: Shell):
    form = {"name": NAME, "password": PASSWORD}
    answer = shell.stranger().post("/login", data=form, headers={"Origin": FOREIGN})
    assert answer.status_code == 403


def test_an_oversized_form_is_refused(shell: Shell):
    form = {"name": NAME, "password": "x" * 100_000}
    assert shell.stranger().post("/login", data=form).status_code == 413


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_failures_are_forgotten_after_the_window_and_after_success(clock: Clock):
    wrong = WrongPasswords(clock)
    for _ in range(3):
        wrong.count("key")
        clock.now += 10
    assert wrong.wait_s("key", allowed=4) == 0
    assert wrong.wait_s("key", allowed=3) == WINDOW_S - 30
    clock.now += WINDOW_S - 30
    assert wrong.wait_s("key", allowed=3) == 0
    wrong.count("key")
    wrong.forget("key")
    assert wrong.wait_s("key", allowed=1) == 0


@settings(deadline=None)
@given(st.lists(st.integers(0, WINDOW_S), max_size=30), st.integers(1, 10))
def test_never_more_than_allowed_failures_fit_into_one_window(pauses: list[int], allowed: int):
    clock = Clock()
    wrong, failures = WrongPasswords(clock), []
    for pause in pauses:
        clock.now += pause
        if wrong.wait_s("key", allowed) == 0:
            wrong.count("key")
            failures.append(clock.now)
    for first, later in zip(failures, failures[allowed:], strict=False):
        assert later - first >= WINDOW_S


def _signed_in(doorkeeper: Doorkeeper, *who: str) -> object:
    """What `sign_in` answers, from a thread of its own: a browser test may hold this one's loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(anyio.run, doorkeeper.sign_in, *who).result()


def test_one_address_cannot_try_many_names(tmp_path: Path, clock: Clock):
    with opened(tmp_path) as (_settings, database):
        doorkeeper = Doorkeeper(database, open_sessions(tmp_path), COOKIE, clock)
        for _ in range(WRONG_BY_ADDRESS - 1):
            doorkeeper._wrong.count("10.0.0.4")
        assert _signed_in(doorkeeper, "10.0.0.4", "last", "wrong") is None
        assert _signed_in(doorkeeper, "10.0.0.4", "another", "wrong") == WINDOW_S
        assert doorkeeper._wrong.wait_s("10.0.0.5", WRONG_BY_ADDRESS) == 0


def test_a_session_ends_by_itself(tmp_path: Path, clock: Clock):
    sessions = Sessions(b"k" * 32, tmp_path / "signed_out", clock)
    cookie = sessions.issue(NAME, "stamp")
    clock.now += LIFETIME_S
    assert sessions.read(cookie) is not None
    clock.now += 1
    assert sessions.read(cookie) is None


def test_a_sign_out_and_other_sessions_survive_a_restart(tmp_path: Path):
    sessions = open_sessions(tmp_path)
    ended, kept = sessions.issue(NAME, "stamp"), sessions.issue(NAME, "stamp")
    session = sessions.read(ended)
    assert session is not None
    sessions.end(session)
    restarted = open_sessions(tmp_path)
    assert restarted.read(ended) is None
    assert restarted.read(kept) is not None


def test_sign_outs_are_not_kept_longer_than_their_cookies(tmp_path: Path, clock: Clock):
    sessions = Sessions(b"k" * 32, tmp_path / "signed_out", clock)
    for _ in range(2):
        session = sessions.read(sessions.issue(NAME, "stamp"))
        assert session is not None
        sessions.end(session)
        clock.now += LIFETIME_S + 1
    assert len((tmp_path / "signed_out").read_text().splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_the_signing_key_is_for_its_owner_only(tmp_path: Path):
    open_sessions(tmp_path)
    key = tmp_path / "session.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == 32
    key.chmod(0o644)
    with pytest.raises(StudioError, match="Other users of this machine can read"):
        open_sessions(tmp_path)


def test_a_new_password_and_a_closed_account_end_their_sessions(tmp_path: Path, clock: Clock):
    with opened(tmp_path) as (_settings, database):
        create_account(database, "chief", PASSWORD, Role.ADMIN)
        create_account(database, NAME, PASSWORD, Role.RESEARCHER)
        sessions = open_sessions(tmp_path)
        doorkeeper = Doorkeeper(database, sessions, COOKIE, clock)

        def enters(cookie: object) -> bool:
            clock.now += ACCOUNTS_FRESH_S
            return doorkeeper.session_of(Headers({"cookie": f"{COOKIE}={cookie}"})) is not None

        chief, ann = (
            _signed_in(doorkeeper, "10.0.0.5", name, PASSWORD) for name in ("chief", NAME)
        )
        assert enters(chief)
        assert enters(ann)
        change_password(database, "chief", PASSWORD + " again")
        set_disabled(database, NAME, True)
        assert not enters(chief)
        assert not enters(ann)


class Form(HTMLParser):
    """The elements of a page, by tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for each, attributes in self.elements if each == tag]


def test_the_sign_in_page_is_accessible_and_runs_no_script():
    page = sign_in_page(problem="Name or password is wrong.", name="ann")
    form = Form(bytes(page.body).decode())
    assert form.all("html") == [{"lang": "en"}]
    assert len(form.all("main")) == len(form.all("h1")) == len(form.all("title")) == 1
    assert {each["for"] for each in form.all("label")} == {each["id"] for each in form.all("input")}
    assert [each["autocomplete"] for each in form.all("input")] == ["username", "current-password"]
    assert all(each["aria-describedby"] == "problem" for each in form.all("input"))
    assert {"role": "alert", "id": "problem"} in form.all("p")
    assert form.all("script") == []
    assert "width=device-width" in str(form.all("meta"))


def test_the_sign_in_page_s_policy_allows_its_own_style_and_nothing_foreign():
    page = sign_in_page()
    style = bytes(page.body).decode().partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = page.headers["content-security-policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


@settings(deadline=None)
@given(st.text(max_size=60))
def test_what_was_typed_as_a_name_comes_back_as_text(name: str):
    form = Form(bytes(sign_in_page(name=name, problem="x").body).decode())
    shown = form.all("input")[0]["value"] or ""
    assert shown.replace("\r\n", "\n") == name.replace("\r\n", "\n")
    assert form.all("script") == []
