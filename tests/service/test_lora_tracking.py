"""What a run writes for TensorBoard and trackio, read back."""

import json
import socket
import sqlite3
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from backend.finetuning.run_folder import RunFolder, read_metrics
from tests.service.training_runs import (
    a_run,
    run_program,
    tiny_config,
    training_settings,
    write_pairs,
)

KINDS = ("step", "validation")


def test_tensorboard_holds_every_loss_and_no_caption(tmp_path: Path, tiny_flux: Path) -> None:
    run = trained(tmp_path, tiny_flux, tensorboard=True)
    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    for kind in KINDS:
        found = {event.step: event.value for event in events.Scalars(f"{kind}/loss")}
        assert found == pytest.approx(losses(run, kind), rel=1e-6)
    assert not files_that_hold(run.path / "tensorboard", b"lesion")


@pytest.mark.skipif(find_spec("trackio") is None, reason="trackio is not installed")
def test_trackio_keeps_every_loss_here_whatever_the_shell_says(
    tmp_path: Path, tiny_flux: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0)
        address = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/"
        monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "elsewhere"))
        monkeypatch.setenv("TRACKIO_WRITE_TOKEN", "token")
        for name in ("TRACKIO_SERVER_URL", "TRACKIO_WEBHOOK_URL"):
            monkeypatch.setenv(name, address)
        run = trained(tmp_path, tiny_flux, trackio=True)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
    store = run.path.parent / "trackio"
    with closing(sqlite3.connect(store / "dermaflux.db")) as database:
        rows = database.execute("SELECT run_name, step, metrics FROM metrics").fetchall()
    lines = [(step, json.loads(metrics)) for _name, step, metrics in rows]
    assert {name for name, _step, _metrics in rows} == {run.path.name}
    for kind in KINDS:
        key = f"{kind}/loss"
        found = {step: line[key] for step, line in lines if key in line}
        assert found == pytest.approx(losses(run, kind))
    assert not files_that_hold(store, b"lesion")


def trained(tmp_path: Path, tiny_flux: Path, **choices: bool) -> RunFolder:
    """A run of four steps in a process of its own."""
    settings = training_settings(tmp_path / "workspace", tiny_flux.parent)
    run = a_run(settings, "told", tiny_config(write_pairs(tmp_path / "pairs"), **choices))
    run_program(settings, run)
    assert list(losses(run, "step")) == [1, 2, 3, 4]
    return run


def losses(run: RunFolder, kind: str) -> dict[int, float]:
    """By step, of the run's own file."""
    return {line["step"]: line["loss"] for line in read_metrics(run) if line["kind"] == kind}


def files_that_hold(folder: Path, words: bytes) -> list[Path]:
    """Files below a folder with the words in them."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [file for file in files if words in file.read_bytes()]
