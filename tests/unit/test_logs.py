"""Logs hold events and numbers; captions and file names of patients never reach them."""

import json
import logging
import logging.handlers
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.logs import MAX_BYTES, configure_logging
from backend.settings import Settings

CAPTION = "An asymmetric mole of Mrs Miller, dark brown"
PATIENT = "/data/patients/Miller_Anna/back.dcm"
OURS = logging.getLogger("backend.generation.running")


@pytest.fixture
def log_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that a worker logs to; the root logger is put back afterwards."""
    monkeypatch.setattr(logging, "raiseExceptions", True)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers = []
    configure_logging(Settings(workspace=tmp_path), "worker")
    yield tmp_path / "logs" / "worker.jsonl"
    for handler in root.handlers:
        handler.close()
    root.handlers = handlers
    root.setLevel(level)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_a_record_is_one_json_object_with_its_facts(log_file: Path) -> None:
    OURS.info("job ended", extra={"job": "01JABC", "seconds": 3.25, "state": "done", "ok": True})
    (line,) = lines(log_file)
    assert line["event"] == "job ended"
    assert line["level"] == "info"
    assert line["process"] == "worker"
    assert line["room"] == "backend.generation.running"
    assert (line["job"], line["seconds"], line["state"], line["ok"]) == (
        "01JABC",
        3.25,
        "done",
        True,
    )
    assert line["at"].endswith("+00:00")


def test_text_in_extras_and_arguments_is_withheld(
    log_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    OURS.warning("image %s of %d made from %s", PATIENT, 4, CAPTION, extra={"caption": CAPTION})
    (line,) = lines(log_file)
    assert line["event"] == "image (withheld) of 4 made from (withheld)"
    assert line["caption"] == "(withheld)"
    shown = capsys.readouterr().err
    assert shown
    assert "Miller" not in log_file.read_text() + shown


def test_an_exception_leaves_its_type_and_place_but_not_its_words(
    log_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        open(PATIENT, "rb")  # noqa: PTH123, SIM115
    except OSError:
        OURS.exception("image not read")
    (line,) = lines(log_file)
    assert line["exception"] == "FileNotFoundError"
    assert "test_an_exception_leaves_its_type" in line["frames"][-1]
    shown = capsys.readouterr().err
    assert shown
    assert "Miller" not in log_file.read_text() + shown


def test_what_other_libraries_say_is_withheld(
    log_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Not diffusers' own name: once imported, it has a handler of its own and propagates nothing.
    library = logging.getLogger("some_library.pipelines.flux")
    library.warning("The following part of your input was truncated: ['%s']", CAPTION)
    library.info("loading %s", PATIENT)
    (line,) = lines(log_file)
    assert line["room"] == "some_library.pipelines.flux"
    assert line["level"] == "warning"
    shown = capsys.readouterr().err
    assert shown
    assert "Miller" not in log_file.read_text() + shown


@hypothesis_settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(st.text(min_size=1, max_size=12), min_size=2, max_size=6),
    separator=st.sampled_from([" ", "/", "\\", "\n", ", ", "."]),
)
def test_no_text_of_several_words_or_path_passes(
    log_file: Path, words: list[str], separator: str
) -> None:
    text = "Miller" + separator + separator.join(words) + separator + "Anna"
    OURS.warning("event", extra={"text": text})
    assert lines(log_file)[-1]["text"] == "(withheld)"


def test_people_read_one_line(log_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    OURS.info("worker ready", extra={"worker": 77, "_of_a_library": 5})
    shown = capsys.readouterr().err
    assert log_file.exists()
    assert shown.endswith("info    worker ready worker=77\n")
    assert shown.count("\n") == 1


def test_the_file_is_rotated_and_the_oldest_let_go(log_file: Path) -> None:
    (handler,) = (
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.handlers.RotatingFileHandler)
    )
    assert handler.maxBytes == MAX_BYTES
    handler.maxBytes = 2_000
    for number in range(100):
        OURS.warning("event", extra={"number": number})
    kept = sorted(log_file.parent.iterdir())
    assert len(kept) == handler.backupCount + 1
    assert all(file.stat().st_size <= 2_000 for file in kept)
    assert lines(log_file)[-1]["number"] == 99


def test_a_message_that_does_not_fit_its_arguments_is_kept_and_withholds(log_file: Path) -> None:
    OURS.warning("%d images of %s", "four small", CAPTION)
    OURS.warning("%(count)d of %(caption)s", {"count": "four small", "caption": CAPTION})
    first, second = lines(log_file)
    assert first["event"].startswith("%d images of %s")
    assert second["event"].startswith("%(count)d of")
    assert "Miller" not in log_file.read_text()


def test_a_record_that_cannot_be_written_is_not_printed_whole(
    log_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log_file.mkdir()
    OURS.warning("image of %s", CAPTION, extra={"caption": CAPTION})
    shown = capsys.readouterr().err
    assert "image of (withheld)" in shown
    assert "Miller" not in shown


def test_threads_do_not_tear_each_others_lines(log_file: Path) -> None:
    def speak(number: int) -> None:
        for _ in range(50):
            OURS.warning("event", extra={"number": number})

    threads = [threading.Thread(target=speak, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(log_file)) == 400
