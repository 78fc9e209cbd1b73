"""One optimiser step: gradients, clipping, fused AdamW, the moving average; all in fp32.

Nothing here waits for a GPU: what must be known of a step stays on the device until it is read.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from backend.finetuning.config import TrainingConfig
from training.lora.adapter import Lora
from training.lora.batches import Batch, moved, on_device
from training.lora.objective import Objective, Text, losses
from training.lora.stopwatch import Stopwatch

BETAS = (0.9, 0.999)
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass(frozen=True)
class Reading:
    """What the steps since the last reading came to."""

    loss: float
    grad_norm: float
    skipped: int
    in_a_row: int


class Stepper:
    """The trained state: LoRA, Adam's moments, the moving average, and what was skipped."""

    def __init__(
        self,
        config: TrainingConfig,
        lora: Lora,
        model: nn.Module,
        objective: Objective,
        device: torch.device,
    ) -> None:
        self._config = config
        self._lora = lora
        self._model = model
        self._objective = objective
        self._device = device
        self._optimizer: Any = torch.optim.AdamW(
            lora.tensors,
            lr=config.learning_rate,
            betas=BETAS,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.average = self._copies() if config.ema_decay else None
        self._loss, self._norm, self._skipped, self._row = torch.zeros(4, device=device).unbind()
        self._counted = 0

    def step(
        self, number: int, batches: Sequence[Callable[[], tuple[Batch, Text]]], watch: Stopwatch
    ) -> None:
        """Step `number` (from 0) over its batches, each made when it is needed.

        Where loss or gradient is not finite nothing is learnt, and it is counted.
        """
        total = torch.zeros((), device=self._device)
        for place, make in enumerate(batches):
            batch, text = make()
            last = place + 1 == len(batches)
            with watch.part("forward_backward"):
                loss = self._gradient(batch, text, len(batches), last=last)
            total += loss
        with watch.part("optimizer"):
            self._update(number, total)

    def read(self) -> Reading:
        """The mean loss and the last gradient's norm since the last reading; waits for a GPU."""
        steps, self._counted = max(1, self._counted), 0
        loss, norm, skipped, row = torch.stack(
            [self._loss, self._norm, self._skipped, self._row]
        ).tolist()
        self._loss = torch.zeros_like(self._loss)
        return Reading(loss / steps, norm, int(skipped), int(row))

    @property
    def skipped(self) -> int:
        """Steps that learnt nothing, since the beginning; waits for a GPU."""
        return int(self._skipped)

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Adam's moments by key, and the moving average."""
        moments = {
            f"{key}.{name}": self._optimizer.state[parameter][name].detach().cpu().contiguous()
            for key, parameter in self._lora.parameters.items()
            for name in _MOMENTS
            if parameter in self._optimizer.state
        }
        average = {} if self.average is None else self._lora.state(self.average)
        return {"optimizer": moments, "average": average}

    def load(
        self, moments: Mapping[str, Tensor], average: Mapping[str, Tensor], *, skipped: int
    ) -> None:
        """Take up the state of a checkpoint; raises KeyError where something is missing."""
        self._optimizer.state.clear()
        for key, parameter in self._lora.parameters.items():
            if f"{key}.step" in moments:
                self._optimizer.state[parameter] = {
                    name: moments[f"{key}.{name}"].to(self._device) for name in _MOMENTS
                }
        if self.average is not None:
            self.average = [average[key].to(self._device).clone() for key in self._lora.parameters]
        self._skipped = torch.full_like(self._skipped, float(skipped))
        self._row = torch.zeros_like(self._row)

    def forget(self, parameters: Sequence[Tensor]) -> None:
        """Back to the beginning, with these numbers: what a dry run leaves behind."""
        with torch.no_grad():
            for parameter, value in zip(self._lora.tensors, parameters, strict=True):
                parameter.copy_(value)
        self._optimizer.state.clear()
        self._optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average = self._copies()
        self._loss, self._norm, self._skipped, self._row = torch.zeros(
            4, device=self._device
        ).unbind()
        self._counted = 0

    def _gradient(self, batch: Batch, text: Text, parts: int, *, last: bool) -> Tensor:
        device = self._device
        given = on_device(text, device)
        clean, noise, levels = (
            moved(one, device) for one in (batch.clean, batch.noise, batch.levels)
        )

        def denoise(noisy: Tensor, at: Tensor, said: Text) -> Tensor:
            return self._objective.denoise(self._model, noisy, at, said)

        alone = nullcontext() if last else self._without_exchange()
        with alone:
            loss = losses(self._objective, denoise, clean, noise, levels, given).mean() / parts
            loss.backward()
        return loss.detach()

    def _without_exchange(self) -> Any:
        waits = getattr(self._model, "no_sync", None)
        return nullcontext() if waits is None else waits()

    @torch.no_grad()
    def _update(self, number: int, loss: Tensor) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate_at(self._config, number)
        norm = nn.utils.clip_grad_norm_(self._lora.tensors, self._config.max_grad_norm)
        bad = (~torch.isfinite(norm)).float()
        self._optimizer.found_inf = bad
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            torch._foreach_lerp_(
                self.average, self._lora.tensors, 1 - warmed_decay(self._config.ema_decay, number)
            )
        self._skipped = self._skipped + bad
        self._row = (self._row + bad) * bad
        self._norm = norm
        self._loss = self._loss + loss
        self._counted += 1

    def _copies(self) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in self._lora.tensors]


def learning_rate_at(config: TrainingConfig, step: int) -> float:
    """Linear over `warmup` steps, then constant, so that a finished run can be made longer."""
    return config.learning_rate * min(1.0, (step + 1) / max(1, config.warmup))


def warmed_decay(decay: float, step: int) -> float:
    """Grows from a tenth to `decay`, so that the average soon forgets where it began."""
    return min(decay, (1 + step) / (10 + step))
