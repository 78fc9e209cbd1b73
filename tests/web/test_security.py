"""Foreign sites, foreign host names and Gradio's unused doors get nothing."""

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.websockets import WebSocketDisconnect

from studio.security import FILE_SECURITY_POLICY, is_own_request, response_headers
from tests.web.shell import FOREIGN, ORIGIN, Shell, opened, requests_of, served

DESIGNED_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "worker-src 'self' blob:; frame-ancestors 'none'; object-src 'none'"
)

# Everything of Gradio 6.31 that the page uses. A route that a later version adds is closed.
OPEN = {
    "/",
    "/assets/x",
    "/config",
    "/config/",
    "/gradio_api/app_id",
    "/gradio_api/app_id/",
    "/gradio_api/cancel",
    "/gradio_api/component_server",
    "/gradio_api/component_server/",
    "/gradio_api/file=x",
    "/gradio_api/heartbeat/x",
    "/gradio_api/info",
    "/gradio_api/info/",
    "/gradio_api/login_check",
    "/gradio_api/login_check/",
    "/gradio_api/queue/data",
    "/gradio_api/queue/join",
    "/gradio_api/queue/status",
    "/gradio_api/reset",
    "/gradio_api/reset/",
    "/gradio_api/run/x",
    "/gradio_api/run/x/",
    "/gradio_api/startup-events",
    "/gradio_api/theme.css",
    "/gradio_api/upload",
    "/gradio_api/upload_progress",
    "/robots.txt",
    "/static/x",
    "/svelte/x",
    "/theme.css",
}
OWN = {
    "/healthz",
    "/favicon.ico",
    "/manifest.json",
    "/assets/css/x.css",
    "/assets/js/x.css",
    "/assets/icons/x.css",
}
REVIEW = {
    f"/review/api/{path}"
    for path in (
        *("me", "sources", "jobs", "jobs/x"),
        *("sets", "sets/x", "sets/x/next", "sets/x/mine", "sets/x/undo"),
        *("sets/x/items/x", "sets/x/items/x/image", "sets/x/items/x/verdict"),
        *("sets/x/items/x/adjudication", "sets/x/discussion", "sets/x/agreement", "sets/x/audit"),
        *("sets/x/guidelines", "sets/x/close", "sets/x/reopen"),
        *("caption-sets", "caption-sets/import", "caption-sets/x/versions"),
        *("caption-sets/x/changes", "caption-sets/x/versions/x/entries"),
        "caption-sets/x/versions/x/export",
    )
}
CLOSED_BY_NAME = (
    "/docs",
    "/redoc",
    "/openapi.json",
    "/gradio_api/openapi.json",
    "/gradio_api/mcp/sse",
    "/gradio_api/runs",
    "/gradio_api/run-history/buckets",
    "/gradio_api/proxy=https://example.hf.space/",
    "/gradio_api/file=https://example.com/image.png",
    "/gradio_api/file=HTTPS://example.com/image.png",
    "/gradio_api/file=%20http://example.com/image.png",
    "/gradio_api/file/etc/passwd",
    "/gradio_api/deep_link?session_hash=x",
    "/gradio_api/call/x",
    "/gradio_api/vibe-code",
    "/monitoring",
    "/monitoring/summary",
    "/pwa_icon",
    "/share",
    "/gradio_api/share",
    "/login",
    "/logout",
)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    workspace = tmp_path_factory.mktemp("workspace")
    with opened(workspace) as (settings, database), served(settings, database) as shell:
        yield shell


def test_the_table_of_routes_reaches_into_gradio(shell: Shell):
    table = requests_of(shell.app)
    assert len(table) > 80
    assert {("POST", "/gradio_api/upload"), ("GET", "/gradio_api/file=x")} <= set(table)


def test_every_route_refuses_a_foreign_host(shell: Shell):
    for method, path in requests_of(shell.app):
        for host in ("evil.example", "127.0.0.1.evil.example", "evil.example:7860", ""):
            answer = shell.client.request(method, path, headers={"Host": host})
            assert answer.status_code == 400, (method, path, host)


def test_every_route_refuses_a_foreign_origin(shell: Shell):
    for path in {path for _, path in requests_of(shell.app)}:
        for method in ("GET", "POST", "DELETE", "OPTIONS"):
            answer = shell.client.request(method, path, headers={"Origin": FOREIGN})
            assert answer.status_code == 403, (method, path)
            assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origin", ["null", "http://127.0.0.1:9999", "http://localhost:7860"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_a_neighbour_on_this_machine_is_foreign_too(shell: Shell, method: str, origin: str):
    for path in ("/", "/gradio_api/queue/join", "/gradio_api/queue/data", "/gradio_api/upload"):
        answer = shell.client.request(method, path, headers={"Origin": origin})
        assert answer.status_code == 403, path


def test_every_route_refuses_what_a_foreign_page_embeds(shell: Shell):
    embeddings = ({"Sec-Fetch-Dest": "image"}, {"Sec-Fetch-Dest": "iframe"})
    for method, path in requests_of(shell.app):
        for site in ("cross-site", "same-site"):
            for embedding in embeddings:
                headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", **embedding}
                answer = shell.client.request(method, path, headers=headers)
                assert answer.status_code == 403, (method, path, headers)


def test_only_the_routes_that_the_page_uses_exist(shell: Shell):
    table = {path for _, path in requests_of(shell.app)}
    assert table >= OPEN | OWN | REVIEW
    for method, path in requests_of(shell.app):
        if path not in OPEN | OWN | REVIEW:
            assert shell.client.request(method, path).status_code == 404, (method, path)


@pytest.mark.parametrize("path", CLOSED_BY_NAME)
def test_a_door_that_gradio_could_open_is_closed(shell: Shell, path: str):
    assert shell.client.get(path).status_code == 404
    assert shell.client.post(path).status_code == 404


def test_a_link_on_another_site_opens_the_page_and_nothing_else(shell: Shell):
    link = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    assert shell.client.get("/", headers=link).status_code == 200
    assert shell.client.get("/config", headers=link).status_code == 403
    assert shell.client.post("/", headers=link).status_code == 403


def test_the_page_itself_and_programs_pass(shell: Shell):
    own = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
    assert shell.client.post("/gradio_api/reset", json={"event_id": "x"}, headers=own).is_success
    assert shell.client.post("/gradio_api/reset", json={"event_id": "x"}).is_success


def test_a_websocket_is_refused(shell: Shell):
    with pytest.raises(WebSocketDisconnect), shell.client.websocket_connect("/gradio_api/queue"):
        pass


def test_forged_addresses_do_not_reach_gradio(shell: Shell):
    forged = {"X-Forwarded-Host": "evil.example", "X-Gradio-Server": "https://evil.example"}
    assert "evil.example" not in shell.client.get("/", headers=forged).text
    assert shell.client.get("/config", headers=forged).json()["root"] == ORIGIN


def test_every_answer_carries_the_headers_refusals_too(shell: Shell):
    for path, headers in (
        ("/", {}),
        ("/config", {}),
        ("/gradio_api/vibe-code", {}),
        ("/theme.css", {}),
        ("/", {"Host": "evil.example"}),
        ("/config", {"Origin": FOREIGN}),
    ):
        answer = shell.client.get(path, headers=headers)
        policy = answer.headers["content-security-policy"].split("; ")
        assert set(DESIGNED_POLICY.split("; ")) <= set(policy), path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in answer.headers


def test_a_file_opened_on_its_own_is_sandboxed():
    headers = response_headers("/gradio_api/file=/workspace/images/a.png", 200)
    assert headers["Content-Security-Policy"] == FILE_SECURITY_POLICY


def test_only_files_named_by_their_content_are_kept_by_browsers():
    for name in ("index-DphvyggB.js", "Index-Akn07EZk2.js", "KaTeX_Main-Bold-Cx986IdX.woff2"):
        assert "immutable" in response_headers(f"/assets/{name}", 200)["Cache-Control"]
    assert response_headers("/assets/index-DphvyggB.js", 404)["Cache-Control"] == "no-store"
    assert response_headers("/config", 200)["Cache-Control"] == "no-store"
    assert response_headers("/assets/css/base.css", 200)["Cache-Control"] == "no-store"


@example("http://127.0.0.1:7860")
@example("https://127.0.0.1:7860")
@example("file://127.0.0.1:7860")
@settings(deadline=None)
@given(st.from_regex(r"(https?|file|chrome-extension)://[a-z0-9.:@\[\]-]{0,40}", fullmatch=True))
def test_an_origin_is_ours_only_when_it_names_the_host_that_was_asked(origin: str):
    headers = Headers({"origin": origin, "host": "127.0.0.1:7860"})
    expected = origin.partition("://")[2] == "127.0.0.1:7860" and origin.startswith("http")
    assert is_own_request("POST", "/", headers) is expected
