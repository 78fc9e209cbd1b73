"""What is looked at between steps: held-out loss and samples."""

import hashlib
from typing import Any

from backend.finetuning.run_folder import (
    Phase,
)
from training.lora.adapter import Lora
from training.lora.data import gather
from training.lora.preparation import Work
from training.lora.sampling import merged
from training.lora.validation import means, sums_of_losses


def validate(work: Work, step: int) -> None:
    held_out = work.held_out
    if held_out is None:
        return
    work.report.show(Phase.VALIDATING, step=step, done=0, total=held_out.count)
    with work.lora.replaced(work.stepper.average):
        found = sums_of_losses(
            held_out,
            work.objective,
            work.base.denoiser,
            work.latents,
            work.texts,
            batch=work.config.batch,
            device=work.base.compute.device,
            share=work.share,
            report=lambda done, total: work.report.show(
                Phase.VALIDATING, step=step, done=done, total=total
            ),
        )
    line = means(gathered(work, found))
    if line is not None:
        work.report.write("validation", step, **line)


def sample(work: Work, step: int) -> None:
    work.report.show(Phase.SAMPLING, step=step)
    if work.accelerator.is_main_process:
        work.sampler.begin(step)
    work.accelerator.wait_for_everyone()
    with work.lora.replaced(work.stepper.average):
        digest = tensor_hash(work.lora)
        made = work.sampler.sample(step, digest, work.texts, share=work.share)
    work.report.write("samples", step, **merged(gathered(work, made)))


def gathered(work: Work, value: Any) -> list[Any]:
    """What every process found, in their order."""
    return gather(work.accelerator, [value])


def tensor_hash(lora: Lora) -> str:
    digest = hashlib.sha256()
    for key, parameter in lora.parameters.items():
        digest.update(key.encode())
        digest.update(parameter.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
