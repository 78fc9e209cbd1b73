"""All steps of a run, and what happens between them."""

import time
from collections.abc import Callable

import torch
from accelerate.utils import broadcast_object_list

from backend.finetuning.errors import FinetuningError
from backend.finetuning.run_folder import (
    Phase,
    Wish,
    grant,
    wishes,
)
from training.lora.adapter import norms
from training.lora.batches import Batch
from training.lora.keeping import resume, save
from training.lora.objective import Text
from training.lora.preparation import Work
from training.lora.stepping import learning_rate_at
from training.lora.stopwatch import Stopwatch
from training.lora.watching import sample, validate

BAD_STEPS = 5
"""So many steps in a row without a finite loss end the run."""
ALARM_AFTER = 20
"""Steps after which what goes up must have left zero."""
READ_EVERY_ON_GPU = 10


class Stopped(Exception):  # noqa: N818 - no error: a wish was granted
    """The run ended early because it was asked to."""


def run_steps(work: Work) -> None:
    """All steps from the last checkpoint to the end."""
    config, report = work.config, work.report
    start = resume(work)
    if start == 0:
        validate(work, 0)
        if config.sample_every:
            sample(work, 0)
    device = work.base.compute.device
    read_every = 1 if device.type == "cpu" else READ_EVERY_ON_GPU
    watch, pace = Stopwatch(device), _Pace(config.batch * config.processes * config.accumulate)
    for number in range(start, work.steps):
        learn(work, number, watch)
        step = number + 1
        at_end = step == work.steps
        due = step % config.checkpoint_every == 0 or at_end
        wanted = frozenset[Wish]()
        if step % read_every == 0 or due:
            _read(work, step, watch, pace)
            wanted = _wishes(work)
        if step % config.validate_every == 0 or at_end:
            validate(work, step)
            pace.pause()
        if _due(config.sample_every, step, at_end=at_end) or Wish.SAMPLE_NOW in wanted:
            sample(work, step)
            _grant(work, Wish.SAMPLE_NOW)
            pace.pause()
        if due or wanted & {Wish.SAVE_NOW, Wish.STOP_NOW}:
            save(work, step)
            _grant(work, Wish.SAVE_NOW)
            pace.pause()
            if not at_end and wanted & {Wish.STOP_NOW, Wish.STOP_AFTER_CHECKPOINT}:
                report.event(step, f"Stopped at step {step:,} as asked.")
                _grant(work, Wish.STOP_NOW, Wish.STOP_AFTER_CHECKPOINT)
                raise Stopped
    _grant(work, *Wish)


def learn(work: Work, number: int, watch: Stopwatch) -> None:
    """Optimiser step `number`, from 0; raises FinetuningError where the cache lacks an image."""
    first = number * work.config.accumulate
    makers = [_maker(work, first + part, watch) for part in range(work.config.accumulate)]
    work.stepper.step(number, makers, watch)


def _maker(work: Work, number: int, watch: Stopwatch) -> Callable[[], tuple[Batch, Text]]:
    """What makes a batch when its turn comes."""

    def make() -> tuple[Batch, Text]:
        with watch.part("data", on_host=True):
            batch = work.batches.batch(number)
        with watch.part("text", on_host=True):
            if not work.texts.ready(batch.captions):
                step = number // work.config.accumulate
                last = work.steps * work.config.accumulate
                work.report.show(Phase.ENCODING, step=step)
                work.batches.prepare_texts(work.texts, number, last, report=_progress(work))
                work.report.show(Phase.TRAINING, step=step)
            text = work.texts.batch(batch.captions)
        return batch, text

    return make


def _progress(work: Work) -> Callable[[int, int], None]:
    return lambda done, total: work.report.show(Phase.ENCODING, done=done, total=total)


def _read(work: Work, step: int, watch: Stopwatch, pace: "_Pace") -> None:
    """Tell how the steps went; raises FinetuningError where too many learnt nothing."""
    found = work.stepper.read()
    whole, up = (float(one) for one in norms(work.lora))
    loss = found.loss
    if work.accelerator.num_processes > 1:
        losses_ = torch.tensor(loss, device=work.base.compute.device, dtype=torch.float64)
        loss = float(work.accelerator.reduce(losses_, reduction="mean"))
    rate = pace.images_per_second(step)
    work.report.write(
        "step",
        step,
        loss=loss,
        learning_rate=learning_rate_at(work.config, step - 1),
        grad_norm=found.grad_norm,
        lora_norm=whole,
        images_per_second=rate,
        seconds=watch.read(),
        skipped=found.skipped,
    )
    left = (work.steps - step) * pace.images / rate if rate else None
    work.report.show(
        Phase.TRAINING,
        step=step,
        done=step,
        total=work.steps,
        images_per_second=rate,
        seconds_left=left,
    )
    if found.in_a_row:
        work.report.event(
            step,
            f"Step {step:,} had no finite loss or gradient: nothing was learnt from it.",
            "warning",
        )
    if found.in_a_row >= BAD_STEPS:
        kept = work.report.status.checkpoint_step
        good = (
            f"The checkpoint of step {kept:,} is good." if kept else "No checkpoint was made yet."
        )
        raise FinetuningError(
            f"The last {BAD_STEPS} steps gave no finite loss: training was stopped at step "
            f"{step:,}. {good} Start a new run with a smaller learning rate, or precision fp32."
        )
    if step == ALARM_AFTER and up == 0:
        work.report.event(
            step,
            f"After {step} steps the LoRA still changes nothing: look at the learning rate and "
            "the warm-up.",
            "error",
        )


def _wishes(work: Work) -> frozenset[Wish]:
    """What the page asks for, the same in every process."""
    asked = [wishes(work.run) if work.accelerator.is_main_process else frozenset()]
    if work.accelerator.num_processes > 1:
        broadcast_object_list(asked)
    return asked[0]


def _grant(work: Work, *wanted: Wish) -> None:
    if work.accelerator.is_main_process:
        grant(work.run, *wanted)


def _due(every: int, step: int, *, at_end: bool) -> bool:
    return every > 0 and (step % every == 0 or at_end)


class _Pace:
    """Images a second over the last steps, without what came between them."""

    def __init__(self, images: int) -> None:
        self.images = images
        self._since = time.perf_counter()
        self._step: int | None = None

    def images_per_second(self, step: int) -> float | None:
        """Since the last reading; None right after a pause."""
        now = time.perf_counter()
        before, since = self._step, self._since
        self._step, self._since = step, now
        if before is None or now <= since:
            return None
        return (step - before) * self.images / (now - since)

    def pause(self) -> None:
        """What came before does not count."""
        self._step = None
