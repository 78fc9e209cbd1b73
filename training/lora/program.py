"""The program: a planned run from its folder to a finished LoRA, or on from its last checkpoint."""

import contextlib
from collections.abc import Iterator

import torch
from accelerate import Accelerator
from filelock import FileLock, Timeout

from backend.errors import DermaFluxError
from backend.finetuning.config import TrainingConfig
from backend.finetuning.errors import FinetuningError
from backend.finetuning.export import checkpoint_steps, write_export
from backend.finetuning.run_folder import (
    Phase,
    RunFolder,
    read_config,
)
from backend.generation.pipelines import choose_device
from backend.settings import Settings
from training.lora.loop import Stopped, run_steps
from training.lora.memory import memory_sentence
from training.lora.preparation import Work, plan_of, prepare
from training.lora.reporting import LOGGER, Reporter
from training.lora.tracking import Trackers, make_trackers

LOCK = ".lock"


def train(settings: Settings, run: RunFolder) -> Phase:
    """Run a planned folder to its end, or to a wish; returns how it ended.

    Raises:
        DermaFluxError: it cannot go on; `status.json` holds the sentence.
    """
    config = read_config(run)
    choose_device(settings)
    on_cpu = settings.device == "cpu" or not torch.cuda.is_available()
    accelerator = Accelerator(cpu=on_cpu)
    first = accelerator.is_main_process
    with _only_one(run, holds=first):
        report = Reporter(
            run,
            speaks=first,
            steps=config.steps or 0,
            trackers=make_trackers(config, run) if first else Trackers(),
        )
        try:
            _refuse_other_count(config, accelerator)
            work = prepare(settings, run, config, accelerator, report)
            run_steps(work)
            _export(work)
        except Stopped:
            _export_so_far(run, accelerator, report)
            report.finish(Phase.STOPPED, message="stopped as asked")
            return Phase.STOPPED
        except DermaFluxError as error:
            report.finish(Phase.FAILED, error=str(error))
            raise
        except (RuntimeError, MemoryError) as error:
            sentence = memory_sentence(config, error)
            report.finish(Phase.FAILED, error=sentence or _broken(error))
            if sentence is None:
                raise
            raise FinetuningError(sentence) from error
        report.finish(Phase.DONE)
    return Phase.DONE


@contextlib.contextmanager
def _only_one(run: RunFolder, *, holds: bool) -> Iterator[None]:
    """Hold the folder; raises FinetuningError where another program does."""
    if not holds:
        yield
        return
    lock = FileLock(run.path / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise FinetuningError(
            f"Another program trains in {run.path.name} already: stop that one first, or wait."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _export(work: Work) -> None:
    """The finished LoRA with its card, where the run was planned."""
    if work.accelerator.is_main_process and plan_of(work.run) is not None:
        work.report.show(Phase.EXPORTING, step=work.steps)
        write_export(work.run)
    work.accelerator.wait_for_everyone()


def _export_so_far(run: RunFolder, accelerator: Accelerator, report: Reporter) -> None:
    """The LoRA of the newest checkpoint, to try a stopped run with; it need not succeed."""
    if not accelerator.is_main_process:
        return
    try:
        reached = checkpoint_steps(run)
        if reached and plan_of(run) is not None:
            report.show(Phase.EXPORTING, step=reached[-1])
            write_export(run)
    except (DermaFluxError, OSError, RuntimeError, MemoryError) as error:
        LOGGER.warning("no LoRA of the stopped run", exc_info=error)
        with contextlib.suppress(DermaFluxError):
            words = str(error) if isinstance(error, DermaFluxError) else "see the run's log."
            report.event(
                report.status.step, f"No LoRA was written when the run stopped: {words}", "warning"
            )


def _refuse_other_count(config: TrainingConfig, accelerator: Accelerator) -> None:
    count = accelerator.num_processes
    if count != config.processes:
        raise FinetuningError(
            f"This run is planned for {config.processes} processes and was started with {count}: "
            f"start it with `accelerate launch --multi_gpu --num_processes {config.processes} -m "
            "training.lora --run FOLDER`, or plan a new run."
        )


def _broken(error: BaseException) -> str:
    return (
        f"Training failed ({type(error).__name__}): look at the end of the run's log, then resume."
    )
