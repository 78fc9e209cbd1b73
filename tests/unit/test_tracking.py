"""What trackio is given when a run asks for it, whether or not it is installed."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.finetuning.config import TrainingConfig, TrainingData
from backend.finetuning.run_folder import RunFolder
from training.lora.tracking import make_trackers


def test_trackio_sees_no_server_of_the_shell_and_gets_numbers_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begun: dict[str, Any] = {}
    lines: list[tuple[int, dict[str, float]]] = []

    def init(**values: object) -> None:
        ours = {name: value for name, value in os.environ.items() if name.startswith("TRACKIO_")}
        begun.update(values, environment=ours)

    def log(numbers: dict[str, float], step: int) -> None:
        lines.append((step, numbers))

    fake = SimpleNamespace(init=init, log=log, finish=lambda: None)
    monkeypatch.setitem(sys.modules, "trackio", fake)
    monkeypatch.setenv("TRACKIO_DIR", "/elsewhere")
    monkeypatch.setenv("TRACKIO_SPACE_ID", "somebody/space")
    monkeypatch.setenv("TRACKIO_SERVER_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "True")
    config = TrainingConfig(data=TrainingData(caption_set="paper"), trackio=True)
    trackers = make_trackers(config, RunFolder(tmp_path / "run"))
    assert begun["environment"] == {"TRACKIO_DIR": str(tmp_path / "trackio")}
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert {name for name in begun if begun[name]} == {"project", "name", "resume", "environment"}
    trackers.write("validation", 2, {"loss": 0.5, "by_class": {"benign": 0.4}, "note": "a lesion"})
    trackers.close()
    assert lines == [(2, {"validation/loss": 0.5, "validation/by_class/benign": 0.4})]
