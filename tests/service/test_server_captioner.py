"""Captions by a real server, whatever it sends: findings, unsure, or one sentence."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend.captioning.errors import CaptioningError
from backend.captioning.findings import Check
from backend.captioning.prompts import LABEL_FREE
from backend.captioning.records import CaptionView, count_captions, iterate_captions
from backend.captioning.running import check_task
from backend.captioning.server.hosts import find_place, is_inside
from backend.captioning.server.pace import backoff, retry_after
from backend.captioning.task import CaptionTask
from backend.captioning.versions import list_versions
from backend.cli import build_app
from backend.jobs.queue import JobView, job_log
from backend.jobs.states import JobState
from backend.settings import Settings, prepare_workspace
from backend.store.database import Database, open_database
from tests.service.chat_server import SAID, Chat, Fault, Handler, completion, serving
from tests.service.corpus_pictures import caption, fill_corpus
from tests.service.studio import wait_for

IMAGES = 8
HTML = "<!doctype html><html><body>Sign in</body></html>"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Database]]:
    """A workspace with eight images; every server in it is another captioner."""
    folder = tmp_path_factory.mktemp("corpus")
    settings = Settings(workspace=folder / "workspace")
    prepare_workspace(settings)
    database = open_database(settings)
    fill_corpus(settings, database, folder / "set", IMAGES)
    yield settings, database
    database.close()


@pytest.fixture
def chat() -> Iterator[Chat]:
    """A server that answers well until told otherwise."""
    with serving(Chat()) as chat:
        yield chat


def ask(filled: tuple[Settings, Database], chat: Chat, **server: object) -> JobView:
    """Have all images captioned by the server."""
    choices = {"base_url": chat.url, "backoff_s": 0.01, "attempts": 3, **server}
    return caption(*filled, captioner="openai", model="seer", prompt=LABEL_FREE, server=choices)


def captions(filled: tuple[Settings, Database], chat: Chat) -> list[CaptionView]:
    """What the server's version has captioned."""
    database = filled[1]
    base = chat.url
    (version,) = [one for one in list_versions(database) if one.identity == base]
    return list(iterate_captions(database, "openai", version.version))


def first_times(count: int, send: Fault) -> Fault:
    """A fault of the first requests alone."""
    return lambda handler, number: number < count and send(handler, number)


def replying(status: int, body: str, **headers: str) -> Fault:
    """A fault that is a response."""

    def send(handler: Handler, _number: int) -> bool:
        handler.reply(status, body, **headers)
        return True

    return send


def cut_off(handler: Handler, _number: int) -> bool:
    handler.send_response(200)
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.close_connection = True
    return True


def test_every_image_is_sent_and_its_caption_kept_once(
    filled: tuple[Settings, Database], chat: Chat
) -> None:
    assert ask(filled, chat).error is None
    assert len(chat.requests) == IMAGES
    views = captions(filled, chat)
    assert [one.text for one in views] == [SAID] * IMAGES
    body = chat.requests[0]
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("seer", 0.0, 300)
    assert set(chat.texts) == {LABEL_FREE}
    assert "Authorization" not in chat.headers[0]
    assert ask(filled, chat).error is None
    assert len(chat.requests) == IMAGES
    assert captions(filled, chat) == views


@pytest.mark.parametrize(
    "fault",
    [
        replying(500, "worker crashed"),
        replying(429, '{"error": {"message": "slow down"}}', Retry_After="0"),
        replying(503, "", Retry_After=formatdate(usegmt=True)),
        replying(200, HTML, Content_Type="text/html"),
        replying(200, "no JSON"),
        replying(200, '{"choices": []}'),
        replying(200, '{"error": {"message": "model is loading"}}'),
        replying(200, ""),
        cut_off,
    ],
)
def test_what_passes_is_tried_again_and_nothing_is_lost_or_twice(
    filled: tuple[Settings, Database], chat: Chat, fault: Fault
) -> None:
    chat.fault = first_times(2, fault)
    assert ask(filled, chat).error is None
    assert [one.text for one in captions(filled, chat)] == [SAID] * IMAGES
    assert len(chat.requests) == IMAGES + 2


@pytest.mark.parametrize(
    ("said", "unsure", "check"),
    [
        ("", "the answer is empty", None),
        (None, "the answer is empty", None),
        ("<think>A mole, then.</think>", "only thoughts", None),
        (HTML, "a web page", None),
        ("word " * 5_000, "has 5,000 words", None),
        ("I'm sorry, but I can't help with medical images.", "", Check.REFUSAL),
        (
            "Das Muttermal ist asymmetrisch mit einem unregelmäßigen Rand und dunkelbrauner Farbe.",
            "",
            Check.LANGUAGE,
        ),
        ("The mole is asymmetric, with a border that", "", Check.TRUNCATION),
        ([{"type": "text", "text": "<think>Hm.</think>**Border:** regular."}], "", Check.SILENCE),
    ],
)
def test_an_answer_that_is_no_good_caption_is_named_as_what_it_is(
    filled: tuple[Settings, Database], chat: Chat, said: object, unsure: str, check: Check | None
) -> None:
    chat.said = said
    assert ask(filled, chat).error is None
    views = captions(filled, chat)
    assert len(views) == IMAGES
    assert len(chat.requests) == IMAGES
    for view in views:
        assert unsure in view.unsure
        assert bool(view.text) == (not unsure)
        if check is not None:
            assert check in {one.check for one in view.findings}
    if isinstance(said, list):
        assert views[0].text == "Border: regular."


def test_an_answer_cut_at_the_limit_or_withheld_is_recognised(
    filled: tuple[Settings, Database], chat: Chat
) -> None:
    bodies = [
        completion("The mole is symmetric.", finish_reason="length"),
        completion(None, finish_reason="content_filter"),
        {"choices": [{"message": {"content": None, "refusal": "I will not."}}]},
    ]
    chat.fault = lambda handler, number: (
        handler.reply(200, json.dumps(bodies[number])) is None if number < 3 else False
    )
    assert ask(filled, chat, concurrency=1).error is None
    views = captions(filled, chat)
    reasons = [finding.reason for one in views for finding in one.findings]
    assert "The answer was cut off at 300 tokens." in reasons
    assert {one.unsure for one in views} == {
        "",
        "the server withheld the answer (content filter)",
        "the model refused: I will not.",
    }


def test_one_image_that_the_server_cannot_do_is_unsure_and_can_be_asked_about_again(
    filled: tuple[Settings, Database], chat: Chat
) -> None:
    poison: list[str] = []

    def crash(handler: Handler, number: int) -> bool:
        data = chat.requests[number]["messages"][0]["content"][0]["image_url"]["url"]
        poison[:] = poison or [data]
        if data != poison[0]:
            return False
        handler.reply(500, "out of memory")
        return True

    chat.fault = crash
    assert ask(filled, chat, concurrency=1).error is None
    (unsure,) = [one.unsure for one in captions(filled, chat) if one.unsure]
    assert unsure == "the server answered 500: out of memory, 3 tries"
    chat.fault = lambda _handler, _number: False
    job = caption(
        *filled,
        captioner="openai",
        model="seer",
        prompt=LABEL_FREE,
        server={"base_url": chat.url},
        again_unsure=True,
    )
    assert job.error is None
    assert [one.text for one in captions(filled, chat)] == [SAID] * IMAGES
    assert len(chat.requests) == IMAGES + 2 + 1


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (replying(500, "broken"), "gives no captions (the server answered 500: broken, 3 tries)"),
        (replying(200, HTML), "gives no captions (the server sent a web page, 3 tries)"),
        (replying(400, '{"error": "no vision"}'), "refused the image (400: no vision)"),
        (
            replying(401, '{"error": {"message": "no key"}}'),
            "wants a key: give it on the command line with --key-file",
        ),
        (replying(404, '{"detail": "unknown"}'), "or no model seer (404: unknown)"),
        (replying(302, "", Location="http://198.51.100.7/v1"), "sends requests elsewhere (302)"),
        (replying(429, "busy"), "has too much to do (the server answered 429: busy) after 3 tries"),
    ],
)
def test_a_server_at_fault_ends_the_job_in_one_sentence_with_no_image_given_up(
    filled: tuple[Settings, Database], chat: Chat, fault: Fault, sentence: str
) -> None:
    chat.fault = fault
    job = ask(filled, chat)
    assert job.state is JobState.FAILED
    assert sentence in str(job.error)
    assert "\n" not in str(job.error)
    assert captions(filled, chat) == []


def test_a_server_that_goes_down_fails_the_job_and_a_later_one_finishes_it(
    filled: tuple[Settings, Database],
) -> None:
    chat = Chat()
    with serving(chat):

        def die(handler: Handler, number: int) -> bool:
            if number < 3:
                return False
            handler.server.socket.close()  # nobody is let in any more
            handler.connection.shutdown(socket.SHUT_RDWR)
            return True

        chat.fault = die
        job = ask(filled, chat, concurrency=1)
    assert job.state is JobState.FAILED
    assert str(job.error).startswith(f"The server {chat.url} does not answer (no connection) after")
    kept = captions(filled, chat)
    assert len(kept) == 3
    again = Chat(path=chat.path)
    with serving(again, int(chat.url.split(":")[2].split("/")[0])):
        assert ask(filled, again).error is None
    assert len(again.requests) == IMAGES - 3
    views = captions(filled, again)
    assert len(views) == IMAGES
    assert all(one in views for one in kept)


def test_a_slow_answer_is_given_up_in_time(filled: tuple[Settings, Database], chat: Chat) -> None:
    chat.fault = first_times(1, lambda _handler, _number: time.sleep(1.5) is not None)
    started = time.monotonic()
    assert ask(filled, chat, timeout_s=0.4).error is None
    assert time.monotonic() - started < 10
    assert len(chat.requests) == IMAGES + 1


def test_an_answer_that_drips_is_given_up_in_time(
    filled: tuple[Settings, Database], chat: Chat
) -> None:
    def drip(handler: Handler, _number: int) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        for _ in range(30):
            handler.wfile.write(b" ")
            time.sleep(0.1)
        return True

    chat.fault = first_times(1, drip)
    assert ask(filled, chat, timeout_s=0.5).error is None
    assert len(chat.requests) == IMAGES + 1
    assert [one.text for one in captions(filled, chat)] == [SAID] * IMAGES


def test_no_more_requests_a_minute_than_allowed_and_a_pause_is_kept(
    filled: tuple[Settings, Database], chat: Chat
) -> None:
    chat.fault = first_times(1, replying(429, "slow down", Retry_After="1"))
    assert ask(filled, chat, requests_per_minute=1_200, concurrency=8).error is None
    assert len(chat.times) == IMAGES + 1
    later = [moment for moment in chat.times if moment - chat.times[0] > 0.9]
    assert later[-1] - later[0] >= 0.045 * (len(later) - 1)
    assert len(later) > 3
    assert backoff(3, 1.0) <= 8.0
    assert retry_after("7") == 7.0
    assert retry_after("soon") is None


def test_killed_in_the_middle_and_run_again_nothing_is_missing_and_nothing_asked_twice(
    filled: tuple[Settings, Database], chat: Chat
) -> None:
    settings, database = filled
    chat.delay_s = 0.3
    command = [sys.executable, "-m", "backend", "caption", "--captioner", "openai"]
    command += ["--base-url", chat.url, "--model", "seer", "--prompt", "label-free"]
    process = subprocess.Popen(
        [*command, "--concurrency", "1"],
        env=os.environ | settings.environment(),
        stderr=subprocess.DEVNULL,
    )
    known = {one.prompt for one in count_captions(database)}
    wait_for(
        lambda: (
            bool({one.prompt for one in count_captions(database)} - known)
            or process.poll() is not None
        )
    )
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = captions(filled, chat)
    assert 0 < len(kept) < IMAGES, "killed too late to show anything"
    chat.delay_s = 0.0
    asked = len(chat.requests)
    assert ask(filled, chat).error is None
    assert len(chat.requests) - asked == IMAGES - len(kept)
    views = captions(filled, chat)
    assert len({one.image_id for one in views}) == len(views) == IMAGES
    assert all(one in views for one in kept)


def test_the_key_is_sent_and_kept_nowhere(
    filled: tuple[Settings, Database], chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _ = filled
    key = "sk-very-secret-0123456789"
    file = tmp_path / "key"
    file.write_text(f"{key}\n")
    file.chmod(0o644)
    job = ask(filled, chat, key_file=file)
    assert "Others may read the key file key: run `chmod 600` on it first." in str(job.error)
    file.chmod(0o600)
    chat.fault = replying(401, json.dumps({"error": {"message": f"Incorrect key {key}"}}))
    job = ask(filled, chat, key_file=file)
    assert "refuses the key (401: Incorrect key (key))" in str(job.error)
    chat.fault = lambda _handler, _number: False
    monkeypatch.setenv("SEER_KEY", key)
    assert ask(filled, chat, key_variable="SEER_KEY").error is None
    assert chat.headers[-1]["Authorization"] == f"Bearer {key}"
    monkeypatch.delenv("SEER_KEY")
    with pytest.raises(CaptioningError, match="SEER_KEY is not set where the job runs"):
        check_task(settings, server_task(chat.url, key_variable="SEER_KEY"))
    with pytest.raises(ValueError, match="ends in _KEY or _TOKEN"):
        server_task(chat.url, key_variable="HOME")
    for written in settings.workspace.rglob("*"):
        if written.is_file():
            assert key.encode() not in written.read_bytes(), written.name


def server_task(url: str, **server: object) -> CaptionTask:
    return CaptionTask.model_validate(
        {"captioner": "openai", "model": "seer", "server": {"base_url": url, **server}}
    )


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("172.31.0.1", True),
        ("172.32.0.1", False),
        ("192.168.7.7", True),
        ("169.254.1.1", True),
        ("::1", True),
        ("fe80::1", True),
        ("fd00::1", True),
        ("::ffff:192.168.1.1", True),
        ("::ffff:8.8.8.8", False),
        ("8.8.8.8", False),
        ("100.64.0.1", False),
        ("2001:4860:4860::8888", False),
        ("64:ff9b::808:808", False),
        ("2002:808:808::1", False),
        ("0.0.0.0", False),  # noqa: S104 - nobody listens there
    ],
)
def test_only_the_local_network_is_inside(address: str, inside: bool) -> None:
    assert is_inside(address) is inside


def test_images_leave_only_after_a_yes_that_is_stored(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(host: str, port: int, **_: object) -> list[object]:
        found = {"mixed.example": ["10.0.0.5", "203.0.113.9"], "lab.example": ["10.0.0.5"]}
        if host not in found:
            raise socket.gaierror
        return [(socket.AF_INET, 1, 6, "", (one, port)) for one in found[host]]

    monkeypatch.setattr("backend.captioning.server.hosts.socket.getaddrinfo", resolve)
    with pytest.raises(CaptioningError, match=r"mixed.example \(203.0.113.9\) is not in the local"):
        check_task(settings, server_task("https://mixed.example/v1"))
    task = server_task("https://mixed.example/v1", images_may_leave=True)
    check_task(settings, task)
    assert task.model_dump(mode="json")["server"]["images_may_leave"] is True
    with pytest.raises(CaptioningError, match="give its https address"):
        check_task(settings, server_task("http://mixed.example/v1", images_may_leave=True))
    place = find_place("http://lab.example:8000/v1/", images_may_leave=False)
    assert place.at("10.0.0.5", "/chat/completions") == "http://10.0.0.5:8000/v1/chat/completions"
    assert (place.base, place.outside) == ("http://lab.example:8000/v1", ())
    with pytest.raises(CaptioningError, match=r"gone\.example leads nowhere"):
        check_task(settings, server_task("http://gone.example/v1"))
    with pytest.raises(CaptioningError, match="holds a user or password"):
        check_task(settings, server_task("http://me:secret@lab.example/v1"))
    for bad in ("lab.example", "ftp://lab.example", "http://", "http://lab:port", "file:///etc"):
        with pytest.raises(CaptioningError, match="is no address of a server"):
            check_task(settings, server_task(bad))


def test_the_command_asks_a_server_and_says_what_is_behind_the_version(
    filled: tuple[Settings, Database], chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMAFLUX_WORKSPACE", str(filled[0].workspace))
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("A [label] mole: describe it.\n")
    run = CliRunner()
    options = ["--captioner", "openai", "--base-url", chat.url, "--model", "seer"]
    done = run.invoke(build_app(), ["caption", *options, "--prompt", str(prompt)])
    assert done.exit_code == 0, done.output
    assert set(chat.texts) == {"A benign mole: describe it.", "A malignant mole: describe it."}
    version = captions(filled, chat)[0].prompt
    shown = run.invoke(build_app(), ["captions", "version", version]).stdout
    assert "A [label] mole: describe it." in shown
    assert f"identity: {chat.url}" in shown
    prompt.write_text("A [lable] mole.")
    for wrong, sentence in (
        (["--prompt", str(prompt)], "The prompt has [lable], which nothing is put in for"),
        (["--prompt", "gone.txt"], "There is no prompt gone.txt"),
        (["--precision", "3bit"], "--precision cannot be used"),
        (["--base-url", "http://8.8.8.8/v1"], "images would leave the building"),
        (["--key-variable", "PATH"], "--key-variable cannot be used"),
    ):
        failed = run.invoke(build_app(), ["caption", *options, *wrong])
        assert failed.exit_code != 0
        assert sentence in str(failed.exception) + failed.output


def test_the_log_says_that_the_prompt_names_the_label(
    filled: tuple[Settings, Database], chat: Chat
) -> None:
    server = {"base_url": chat.url.replace("127.0.0.1", "localhost")}
    job = caption(*filled, captioner="openai", model="other", server=server)
    assert job.error is None
    assert "tells the captioner the label" in job_log(filled[1], job.id)[0].text
