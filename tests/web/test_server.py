"""The application and the process that serves it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import httpx
import psutil
import pytest
from PIL import Image

from backend.settings import REPOSITORY
from studio.environment import settle_environment, uploads_dir
from studio.server import MAX_BODY_BYTES, MAX_UPLOAD_BYTES
from tests.web.shell import Shell, opened, served

HEAVY = ("torch", "torchvision", "diffusers", "transformers", "timm")
START_LIMIT = 4.0
"""The processor time of a start, as a multiple of what importing Gradio alone takes."""
FETCHING = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src")}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    workspace = tmp_path_factory.mktemp("workspace")
    with opened(workspace) as (settings, database), served(settings, database) as shell:
        yield shell


def file_status(shell: Shell, path: str) -> int:
    return shell.client.get(f"/gradio_api/file={path}").status_code


def test_the_page_asks_no_foreign_host_for_anything(shell: Shell):
    fetched: list[str] = []

    class Fetches(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            fetched.extend(value for name, value in attrs if value and (tag, name) in FETCHING)

    page = shell.client.get("/")
    Fetches().feed(page.text)
    assert fetched
    assert [address for address in fetched if "//" in address] == []
    config = shell.client.get("/config").json()
    assert config["stylesheets"] == []
    assert config["analytics_enabled"] is False
    styles = shell.client.get("/theme.css").text + config["css"]
    assert re.findall(r"url\(\s*['\"]?(?:https?:)?//|@import", styles) == []


def test_gradio_is_set_as_designed(shell: Shell):
    config = shell.client.get("/config").json()
    assert config["run_history"] is False
    assert config["footer_links"] == []
    assert config["max_file_size"] == MAX_UPLOAD_BYTES
    assert config["show_error"] is False
    assert config["mcp_server"] in (False, None)
    assert config["username"] is None


def test_health_says_nothing_but_that_it_is_alive(shell: Shell):
    assert shell.client.get("/healthz").json() == {"status": "ok"}


def test_images_thumbnails_previews_exports_sets_and_corpus_are_served_byte_for_byte(shell: Shell):
    folders = (
        shell.settings.images_dir,
        shell.settings.thumbnails_dir,
        shell.settings.jobs_dir / "a-job",
        shell.settings.exports_dir,
        shell.settings.sets_dir / "a-set",
        shell.settings.corpus_dir / "ab",
    )
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "lesion.png"
        Image.new("RGB", (16, 16), "brown").save(path)
        answer = shell.client.get(f"/gradio_api/file={path}")
        assert answer.content == path.read_bytes()
        assert answer.headers["content-type"] == "image/png"
        assert "sandbox" in answer.headers["content-security-policy"]


def test_nothing_else_of_the_workspace_or_the_machine_is_served(shell: Shell):
    workspace = shell.settings.workspace
    secrets = [workspace / name for name in ("session.key", "models/m.safetensors", "logs/l.jsonl")]
    for secret in secrets:
        secret.parent.mkdir(exist_ok=True)
        secret.write_text("secret")
    refused = (workspace / "studio.db", *secrets, Path(__file__), REPOSITORY / "app.py", "app.py")
    for path in (*refused, "/etc/passwd", "/proc/self/environ"):
        assert file_status(shell, str(path)) == 403, path


def test_paths_do_not_climb_out_of_the_served_folders(shell: Shell):
    images = shell.settings.images_dir
    (shell.settings.workspace / "images-private").mkdir(exist_ok=True)
    (shell.settings.workspace / "images-private" / "x.png").write_bytes(b"secret")
    climbs = (
        f"{images}/../studio.db",
        f"{images}/./../studio.db",
        f"{images}//..//studio.db",
        f"{images}/%2e%2e/studio.db",
        f"{images}/..%2fstudio.db",
        f"{images}/%252e%252e/studio.db",
        f"{images}/..\\studio.db",
        f"{images}/..%5cstudio.db",
        f"{images}%00/../studio.db",
        f"{images}-private/x.png",
        quote(f"{images}/../studio.db", safe=""),
        f"file://{shell.settings.workspace}/studio.db",
        "../studio.db",
    )
    for climb in climbs:
        assert file_status(shell, climb) in (403, 404), climb
    for prefix in ("/assets/css/", "/assets/", "/static/", "/svelte/"):
        for name in ("../models.toml", "%2e%2e/models.toml", "..%2f..%2fapp.py", "/etc/passwd"):
            assert shell.client.get(prefix + name).status_code in (403, 404), prefix + name


def test_own_assets_are_styles_scripts_and_icons_checked_by_etag(shell: Shell):
    first = shell.client.get("/assets/icons/favicon.svg")
    assert first.headers["content-type"] == "image/svg+xml"
    assert first.headers["cache-control"] == "private, no-cache"
    again = shell.client.get(
        "/assets/icons/favicon.svg", headers={"If-None-Match": first.headers["etag"]}
    )
    assert again.status_code == 304
    module = shell.client.get("/assets/js/review/app.js")
    assert module.headers["content-type"] == "text/javascript; charset=utf-8"
    assert shell.client.get("/assets/starter/model_index.json").status_code == 404
    assert shell.client.get("/assets/models.toml").status_code == 404
    assert shell.client.get("/favicon.ico").content == first.content


def test_an_upload_stays_in_the_workspace_and_a_page_in_it_is_never_shown(shell: Shell):
    upload = {"files": ("page.html", b"<script>alert(1)</script>", "text/html")}
    (stored,) = shell.client.post("/gradio_api/upload", files=upload).json()
    assert Path(stored).is_relative_to(uploads_dir(shell.settings))
    answer = shell.client.get(f"/gradio_api/file={stored}")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(shell: Shell):
    answer = shell.client.post(
        "/gradio_api/queue/join", headers={"Content-Length": str(MAX_BODY_BYTES + 1)}
    )
    assert answer.status_code == 413


def test_uploads_are_gone_after_the_end_and_before_the_next_start(tmp_path: Path):
    with opened(tmp_path) as (settings, database):
        left_over = uploads_dir(settings) / "patient.png"
        left_over.parent.mkdir()
        left_over.write_bytes(b"pixels")
        with served(settings, database) as shell:
            assert not left_over.exists()
            upload = {"files": ("patient.png", b"pixels", "image/png")}
            (stored,) = shell.client.post("/gradio_api/upload", files=upload).json()
            assert Path(stored).exists()
        assert not Path(stored).exists()


def test_foreign_gradio_variables_are_dropped(shell: Shell):
    environment = {
        "GRADIO_SHARE": "True",
        "GRADIO_ALLOWED_PATHS": "/",
        "gradio_root_path": "https://evil.example",
        "GRADIO_ANALYTICS_ENABLED": "True",
        "HOME": "/home/someone",
    }
    settle_environment(environment, shell.settings)
    assert environment["HOME"] == "/home/someone"
    assert environment["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert {name for name in environment if name.upper().startswith("GRADIO")} == {
        "GRADIO_ANALYTICS_ENABLED",
        "GRADIO_EXAMPLES_CACHE",
        "GRADIO_TEMP_DIR",
    }


def test_the_web_process_loads_no_machine_learning_library(tmp_path: Path):
    program = (
        "import sys\n"
        "import studio.server\n"
        "from backend.settings import load_settings, prepare_workspace\n"
        "from backend.store.database import open_database\n"
        f"def heavy(): return [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print('imported', heavy())\n"
        "settings = load_settings()\n"
        "prepare_workspace(settings)\n"
        "studio.server.create_app(settings, open_database(settings))\n"
        "print('created', heavy())\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env=environment_of(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines()[-2:] == ["imported []", "created []"]


@dataclass(frozen=True)
class Running:
    """A studio started as a person starts it.

    `busy_s` is the processor time until the first page: unlike the clock on the wall it does not
    count what else the machine is doing.
    """

    process: subprocess.Popen[str]
    address: str
    workspace: Path
    busy_s: float


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    workspace = tmp_path_factory.mktemp("running")
    process = start(workspace)
    try:
        address = announced(process)
        assert httpx.get(address).is_success
        spent = psutil.Process(process.pid).cpu_times()
        yield Running(process, address, workspace, spent.user + spent.system)
    finally:
        process.terminate()
        process.wait(60)


def environment_of(workspace: Path, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DERMAFLUX_")}
    return kept | {"DERMAFLUX_WORKSPACE": str(workspace), "DERMAFLUX_PORT": "0", **variables}


def start(workspace: Path, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=REPOSITORY,
        env=environment_of(workspace, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def announced(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("DermaFlux Studio: "):
            return line.split()[-1]
    assert process.stderr is not None
    raise AssertionError(f"The studio did not start: {process.stderr.read()}")


def refusal(workspace: Path, **variables: str) -> str:
    process = start(workspace, **variables)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert len(errors.splitlines()) == 1, errors
    return errors


def test_the_studio_starts_in_a_few_times_what_gradio_takes_to_be_imported(running: Running):
    before = os.times()
    subprocess.run([sys.executable, "-c", "import gradio"], check=True)
    after = os.times()
    importing = (
        after.children_user + after.children_system - before.children_user - before.children_system
    )
    assert running.busy_s < START_LIMIT * importing


def test_the_studio_starts_its_worker(running: Running):
    deadline = time.monotonic() + 60
    studio = psutil.Process(running.process.pid)
    while not studio.children(recursive=True) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert any("worker" in child.cmdline() for child in studio.children(recursive=True))


def test_only_loopback_listens(running: Running):
    port = int(running.address.rpartition(":")[2])
    listening = psutil.Process(running.process.pid).net_connections("tcp")
    assert {(c.laddr.ip, c.laddr.port) for c in listening if c.status == "LISTEN"} == {
        ("127.0.0.1", port)
    }


def test_a_second_studio_on_the_workspace_is_refused(running: Running):
    assert "Another studio is running on the workspace" in refusal(running.workspace)


def test_a_taken_port_is_refused_with_one_that_is_free(running: Running, tmp_path: Path):
    port = running.address.rpartition(":")[2]
    sentence = refusal(tmp_path, DERMAFLUX_PORT=port)
    assert f"Port {port} at 127.0.0.1 is taken" in sentence
    free = re.search(r"DERMAFLUX_PORT=(\d+)", sentence)
    assert free is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", int(free[1])))


def test_a_setting_that_cannot_be_used_is_refused(tmp_path: Path):
    assert "DERMAFLUX_PORT" in refusal(tmp_path, DERMAFLUX_PORT="eighty")


def test_a_bind_beyond_loopback_without_accounts_is_refused(tmp_path: Path):
    sentence = refusal(tmp_path, DERMAFLUX_HOST="::")
    assert "python -m backend accounts add NAME --role admin" in sentence
    assert "images, captions, jobs" in sentence


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_studio_and_worker(tmp_path: Path, number: signal.Signals):
    process = start(tmp_path)
    address = announced(process)
    studio = psutil.Process(process.pid)
    deadline = time.monotonic() + 60
    while not studio.children() and time.monotonic() < deadline:
        time.sleep(0.05)
    family = studio.children(recursive=True)
    assert family
    with httpx.stream("GET", f"{address}/gradio_api/heartbeat/anybody") as open_page:
        assert open_page.is_success
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert " error " not in errors
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)
