"""The job that trains a LoRA: the program as a process of its own, watched through its files."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backend.files import explained_files
from backend.finetuning.config import TrainingConfig
from backend.finetuning.errors import FinetuningError
from backend.finetuning.run_folder import (
    Phase,
    RunFolder,
    Status,
    Wish,
    find_run,
    grant,
    read_config,
    read_status,
    wish,
    write_status,
)
from backend.finetuning.shelving import put_on_shelf
from backend.finetuning.submitting import KIND, newest_job, run_title
from backend.jobs.context import JobCancelled, JobContext, JobInterrupted
from backend.jobs.kinds import WarmState
from backend.jobs.leash import leash_command, release
from backend.settings import REPOSITORY, Settings

__all__ = ["KIND", "run_lora_training"]

LOOK_EVERY_S = 0.2
SEVERAL = "--multi_gpu"
"""Also on CPUs: what accelerate starts for `--cpu` is a single process, or needs MPI."""
CANCEL_WITHIN_S = 120.0
"""How long a program that is to stop may take to end its step and to keep a checkpoint."""
INTERRUPT_WITHIN_S = 6.0
"""The same where the worker itself must leave: whoever ends the worker waits ten seconds."""
TERMINATE_WITHIN_S = 2.0
PREPARING = (Phase.CACHING, Phase.ENCODING, Phase.DRY_RUN)
LOG_TAIL = 4_000
PRINTED_AT_ONCE = {"PYTHONUNBUFFERED": "1"}
KILLED = 128 + 9


def run_lora_training(context: JobContext, payload: dict[str, Any], warm: WarmState) -> None:
    """Train, or go on at the last checkpoint; what was made stays whatever happens.

    Raises:
        FinetuningError: the run is gone, or the program failed; its sentence where it left one.
        LoraError: the finished LoRA is not sound.
        FileError: the workspace cannot be written.
        JobStopped: stopped by a person or with the worker; or the job is no longer this worker's,
            and then the program is ended.
    """
    run = find_run(context.settings, str(payload["run"]))
    config = read_config(run)
    _refuse_second(context, run)
    warm.release()
    context.attempting = f"to train {run_title(run)}"
    before = read_status(run)
    grant(run, *Wish)
    write_status(run, _starting(before))
    code = _watch(context, run, config)
    status = read_status(run)
    if code != 0 or status is None or status.phase is Phase.FAILED:
        raise FinetuningError(_why(run, status, code))
    if status.phase is not Phase.DONE:
        raise JobCancelled
    context.progress(status.steps, status.steps, "putting the LoRA onto the shelf")
    name = put_on_shelf(context.database, context.settings, run)
    context.progress(status.steps, status.steps, f"{name} is on the shelf")
    context.log(f"{name} is on the shelf after {status.step:,} steps.")


def program_command(run: RunFolder, config: TrainingConfig) -> list[str]:
    """How the program is started: by itself, or by accelerate once for each process."""
    program = ["-m", "training.lora", "--run", str(run.path)]
    if config.processes == 1:
        return [sys.executable, *program]
    launch = [sys.executable, "-m", "accelerate.commands.launch"]
    # Said, so that no configuration of accelerate's own on this machine counts.
    plain = ["--mixed_precision", "no", "--dynamo_backend", "no"]
    count = ["--num_processes", str(config.processes), "--num_machines", "1"]
    return [*launch, SEVERAL, *count, *plain, *program]


def _watch(context: JobContext, run: RunFolder, config: TrainingConfig) -> int:
    """Follow the program to its end; its exit code. Raises JobStopped."""
    with _program(context.settings, run, config) as process:
        shown: Status | None = None
        while process.poll() is None:
            status = read_status(run)
            if status is not None and status != shown:
                shown = status
                _show(context, status)
            try:
                context.check_cancelled()
            except JobCancelled:
                _stop(process, run, CANCEL_WITHIN_S)
                raise
            except JobInterrupted:
                _stop(process, run, INTERRUPT_WITHIN_S)
                raise
            time.sleep(LOOK_EVERY_S)
        return process.returncode


@contextmanager
def _program(
    settings: Settings, run: RunFolder, config: TrainingConfig
) -> Iterator["subprocess.Popen[bytes]"]:
    """The program while it runs; it is ended with this process, and with an error in it."""
    command = leash_command(program_command(run, config), grace_s=TERMINATE_WITHIN_S)
    with explained_files(run.log), run.log.open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=settings.process_environment() | PRINTED_AT_ONCE,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        release(process)
        process.wait()


def _stop(process: "subprocess.Popen[bytes]", run: RunFolder, within_s: float) -> None:
    """Ask the program to stop after its step; who leaves `_program` then ends it in any case.

    One that trains nothing yet has nothing to keep, and is not waited for.
    """
    wish(run, Wish.STOP_NOW)
    status = read_status(run)
    if status is None or status.phase is Phase.STARTING or status.phase in PREPARING:
        return
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        return


def _show(context: JobContext, status: Status) -> None:
    """The status as progress of the job, which counts optimiser steps."""
    message: str = status.message or status.phase.value
    if status.phase in PREPARING and status.total:
        message = f"{status.phase.value}, {status.done:,} of {status.total:,}"
    rate = None
    if status.seconds_left and status.steps > status.step:
        rate = (status.steps - status.step) / status.seconds_left
    context.progress(status.step, max(status.steps, 1), message, rate=rate)


def _starting(before: Status | None) -> Status:
    """What is shown until the program says something: no error of a time before."""
    if before is None:
        return Status(phase=Phase.STARTING)
    reached = before.checkpoint_step or 0
    return Status(
        phase=Phase.STARTING,
        step=reached,
        steps=before.steps,
        checkpoint_step=before.checkpoint_step,
    )


def _refuse_second(context: JobContext, run: RunFolder) -> None:
    newest = newest_job(context.database, run.path.name)
    if newest is not None and newest.id != context.job.id and not newest.state.ended:
        raise FinetuningError(
            f"The run '{run_title(run)}' waits or runs as another job already: remove this one."
        )


def _why(run: RunFolder, status: Status | None, code: int) -> str:
    if status is not None and status.phase is Phase.FAILED and status.error:
        return status.error
    title = run_title(run)
    if code in (-9, KILLED):
        return (
            f"The training of '{title}' was killed, as a system does whose memory is used up: "
            "choose a smaller batch or resolution, or close other programs, then press Resume."
        )
    return (
        f"The training program of '{title}' ended without saying why (exit code {code}): look at "
        "the end of its log, then press Resume."
    )


def read_log_tail(run: RunFolder, size: int = LOG_TAIL) -> str:
    """The last lines that the program printed, at most so many bytes."""
    try:
        with run.log.open("rb") as stream:
            length = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, length - size))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
    whole = text if length <= size else text.partition("\n")[2]
    return whole.replace("\r", "\n")
