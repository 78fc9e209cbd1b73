"""The training log: one JSON line an event, kept beside the weights."""

import json
import logging
import time
from pathlib import Path

LOGGER = logging.getLogger("training.starter")


def log_event(path: Path, stage: str, **values: float | str) -> None:
    """Append an event with the time of day to the log and show it."""
    event = {"time": time.strftime("%Y-%m-%dT%H:%M:%S"), "stage": stage, **values}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(event) + "\n")
    LOGGER.info(
        "%s %s",
        stage,
        " ".join(f"{k}={v:.5g}" if isinstance(v, float) else f"{k}={v}" for k, v in values.items()),
    )
