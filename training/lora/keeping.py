"""Checkpoints of a run that is under way: kept, and taken up again."""

from collections.abc import Sequence

from backend.finetuning.errors import FinetuningError
from backend.finetuning.run_folder import (
    Phase,
)
from training.lora.checkpoints import (
    AVERAGE,
    OPTIMIZER,
    WEIGHTS,
    Checkpoint,
    check_identity,
    newest_checkpoint,
    save_checkpoint,
)
from training.lora.preparation import Work


def save(work: Work, step: int) -> None:
    """Keep a checkpoint; the first process writes."""
    work.report.show(Phase.SAVING, step=step)
    if work.accelerator.is_main_process:
        state = work.stepper.state()
        tensors = {WEIGHTS: work.lora.state(), OPTIMIZER: state["optimizer"]}
        if state["average"]:
            tensors[AVERAGE] = state["average"]
        facts = {"skipped": work.stepper.skipped, "steps": work.steps}
        checkpoint = Checkpoint(step, tensors, work.identity, facts)
        save_checkpoint(work.run.checkpoints, checkpoint, keep=work.config.keep_checkpoints)
    work.accelerator.wait_for_everyone()
    work.report.show(Phase.TRAINING, step=step, checkpoint_step=step)


def resume(work: Work) -> int:
    """The step to go on from; raises FinetuningError where the checkpoint is of another run."""
    found, damaged = newest_checkpoint(work.run.checkpoints)
    if found is None:
        work.report.rewind(None)
        _tell_damaged(work, damaged, 0)
        return 0
    check_identity(found.identity, work.identity)
    try:
        work.lora.load(found.tensors[WEIGHTS])
        work.stepper.load(
            found.tensors[OPTIMIZER],
            found.tensors.get(AVERAGE, {}),
            skipped=int(found.facts.get("skipped", 0)),
        )
    except KeyError as error:
        raise FinetuningError(
            f"The checkpoint of step {found.step:,} lacks numbers of this run: remove its folder "
            "to go on from the one before it."
        ) from error
    work.report.rewind(found.step)
    _tell_damaged(work, damaged, found.step)
    if found.step < work.steps:
        work.report.event(found.step, f"Resumed at step {found.step:,}.")
    work.report.show(Phase.TRAINING, step=found.step, checkpoint_step=found.step)
    return found.step


def _tell_damaged(work: Work, damaged: Sequence[str], step: int) -> None:
    if damaged:
        work.report.event(step, f"Not whole, and left out: {', '.join(damaged)}.", "warning")
