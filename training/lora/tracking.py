"""Curves also for TensorBoard and trackio, where a person asks for them."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from backend.finetuning.config import TrainingConfig
from backend.finetuning.errors import FinetuningError
from backend.finetuning.run_folder import RunFolder


class Trackers:
    """Where numbers go beside the run's own files."""

    def __init__(self, tensorboard: Any = None, trackio: Any = None) -> None:
        self._tensorboard = tensorboard
        self._trackio = trackio

    def write(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """All numbers of a line of the metrics, parts of parts by a path."""
        if self._tensorboard is None and self._trackio is None:
            return
        numbers = dict(_numbers(kind, values))
        if self._tensorboard is not None:
            for name, value in numbers.items():
                self._tensorboard.add_scalar(name, value, step)
        if self._trackio is not None and numbers:
            self._trackio.log(numbers, step=step)

    def close(self) -> None:
        """Let them write what they hold."""
        if self._tensorboard is not None:
            self._tensorboard.close()
        if self._trackio is not None:
            with suppress(RuntimeError):
                self._trackio.finish()


def make_trackers(config: TrainingConfig, run: RunFolder) -> Trackers:
    """Those that the configuration asks for, local files all of them.

    Raises:
        FinetuningError: one is not installed.
    """
    tensorboard: Any = None
    trackio: Any = None
    if config.tensorboard:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise FinetuningError(_missing("tensorboard")) from error
        tensorboard = SummaryWriter(str(run.path / "tensorboard"))
    if config.trackio:
        # Read when it is imported and begun: whatever a person's shell says of a Space, a server or
        # a webhook, its store stays in the workspace and nothing is sent.
        for name in [name for name in os.environ if name.startswith("TRACKIO_")]:
            del os.environ[name]
        os.environ["TRACKIO_DIR"] = str(run.path.parent / "trackio")
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        try:
            trackio = import_module("trackio")
        except ImportError as error:
            raise FinetuningError(_missing("trackio")) from error
        trackio.init(project="dermaflux", name=run.path.name, resume="allow", embed=False)
    return Trackers(tensorboard, trackio)


def _numbers(path: str, values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _numbers(f"{path}/{name}", value)
        elif isinstance(value, int | float):
            yield f"{path}/{name}", float(value)


def _missing(name: str) -> str:
    return (
        f"The run is to write for {name}, which is not installed: `pip install {name}`, or switch "
        "it off."
    )
