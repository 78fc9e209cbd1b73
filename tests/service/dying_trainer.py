"""Trains a run in children that are killed at random moments, and resumes it each time.

`python dying_trainer.py WORKSPACE MODELS PAIRS KILLS SEED`: the run `killed` is killed so often and
then left to end, the run `whole` is left alone. Prints how many children died by the signal.
Children are forked from a parent that has imported everything and never computed.
"""

import contextlib
import importlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from backend.finetuning.run_folder import RunFolder, read_metrics
from backend.settings import Settings
from tests.service.training_runs import a_run, tiny_config, training_settings
from training.lora.program import train

MODULES = "modules.txt"
STEPS, EVERY = 150, 3


def main() -> None:
    """See the module."""
    workspace, models, pairs = map(Path, sys.argv[1:4])
    kills, seed = map(int, sys.argv[4:6])
    rng = random.Random(seed)
    settings = training_settings(workspace, models)
    config = tiny_config(
        pairs, steps=STEPS, checkpoint_every=EVERY, validate_every=40, ema_decay=0.9
    )
    whole, killed = (a_run(settings, name, config) for name in ("whole", "killed"))
    assert os.waitpid(_start(settings, whole), 0)[1] == 0
    _import_all(workspace / MODULES)
    died = 0
    for number in range(kills):
        due = (_at_start, _after_steps, _while_writing)[number % 3]
        reached = _checkpoint(killed)
        child = _start(settings, killed)
        due(killed, reached, rng)
        os.kill(child, signal.SIGKILL)
        died += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert os.waitpid(_start(settings, killed), 0)[1] == 0
    print(died)


def _start(settings: Settings, run: RunFolder) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            train(settings, run)
            (settings.workspace / MODULES).write_text("\n".join(list(sys.modules)))
            code = 0
        finally:
            os._exit(code)
    return child


def _import_all(file: Path) -> None:
    """What a whole run imported on its way, so that no later child has to."""
    for name in file.read_text().splitlines():
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _at_start(run: RunFolder, reached: int, rng: random.Random) -> None:
    """Within a second, and before a fast machine has done the whole run in it."""
    end = time.monotonic() + rng.uniform(0.0, 1.0)
    _wait(lambda: time.monotonic() >= end or _checkpoint(run) > reached)


def _after_steps(run: RunFolder, reached: int, rng: random.Random) -> None:
    """A few steps after the last checkpoint, at some moment of a step."""
    target = reached + rng.randrange(1, 2 * EVERY)
    _wait(lambda: _last_step(run) <= reached)
    _wait(lambda: _last_step(run) >= target)
    time.sleep(rng.uniform(0.0, 0.05))


def _while_writing(run: RunFolder, _reached: int, rng: random.Random) -> None:
    """While a checkpoint is written aside, or just after."""
    _wait(lambda: not any(run.checkpoints.glob(".aside-*")))
    _wait(lambda: any(run.checkpoints.glob(".aside-*")))
    time.sleep(rng.uniform(0.0, 0.02))


def _wait(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not reached() and time.monotonic() < end:
        time.sleep(0.002)


def _checkpoint(run: RunFolder) -> int:
    return max((int(path.name[5:]) for path in run.checkpoints.glob("step-*")), default=0)


def _last_step(run: RunFolder) -> int:
    return max((int(line["step"]) for line in read_metrics(run)), default=0)


if __name__ == "__main__":
    main()
