"""The loss on held-out images, the same in every run: fixed noise an image, 8 fixed levels.

The levels are the middles of eight equal parts, (i + 1/2) / 8: MLPerf's FLUX benchmark takes i / 8,
whose first has no noise to tell anything from.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from backend.finetuning.buckets import Bucket
from backend.finetuning.pairs import Pair
from training.lora.batches import on_device
from training.lora.latents import LatentStore
from training.lora.objective import VALIDATION_LEVELS, Objective, Text, losses
from training.lora.order import validation_noise
from training.lora.texts import TextSource

ALL, BUCKET, LEVEL, CLASS = "all", "bucket", "level", "class"


@dataclass(frozen=True)
class HeldOut:
    """The images that are looked at, by bucket."""

    pairs: Sequence[Pair]
    buckets: Mapping[Bucket, Sequence[int]]

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(len(places) for places in self.buckets.values())


def choose_held_out(pairs: Sequence[Pair], count: int) -> list[Pair]:
    """At most so many pairs, the same ones every time: by the hash of their content."""
    return sorted(pairs, key=lambda pair: (pair.content, pair.key))[:count]


@torch.no_grad()
def sums_of_losses(
    held_out: HeldOut,
    objective: Objective,
    model: nn.Module,
    latents: LatentStore,
    texts: TextSource,
    *,
    batch: int,
    device: torch.device,
    share: tuple[int, int] = (0, 1),
    report: Callable[[int, int], None] = lambda _done, _of: None,
) -> dict[tuple[str, str], tuple[float, int]]:
    """Sum and count of the losses, overall and by bucket, level and class.

    `share` (process, processes) takes that process's images alone.
    """
    sums: dict[tuple[str, str], list[Tensor]] = defaultdict(list)
    texts.prepare(held_out.pairs[place].caption for place in _every(held_out, share))
    done = 0
    for bucket, places in held_out.buckets.items():
        mine = [place for place in places if place % share[1] == share[0]]
        for first in range(0, len(mine), batch):
            part = [held_out.pairs[place] for place in mine[first : first + batch]]
            found = _losses_of(part, bucket, objective, model, latents, texts, device)
            for level, values in zip(VALIDATION_LEVELS, found, strict=True):
                sums[ALL, ""].append(values)
                sums[BUCKET, str(bucket)].append(values)
                sums[LEVEL, f"{level:g}"].append(values)
                for pair, value in zip(part, values, strict=True):
                    if pair.label:
                        sums[CLASS, pair.label].append(value[None])
            done += len(part)
            report(done, held_out.count)
    return {
        key: (float(torch.cat(values).double().sum()), sum(len(one) for one in values))
        for key, values in sums.items()
    }


def means(
    parts: Sequence[Mapping[tuple[str, str], tuple[float, int]]],
) -> dict[str, object] | None:
    """What a line of the metrics holds, from the sums of all processes; None for nothing."""
    total: dict[tuple[str, str], tuple[float, int]] = {}
    for part in parts:
        for key, (value, count) in part.items():
            before = total.get(key, (0.0, 0))
            total[key] = (before[0] + value, before[1] + count)
    if (ALL, "") not in total:
        return None
    mean = {key: value / count for key, (value, count) in total.items()}

    def by(kind: str, order: Callable[[str], object] = str) -> dict[str, float]:
        names = sorted((name for what, name in mean if what == kind), key=order)  # type: ignore[arg-type]
        return {name: mean[kind, name] for name in names}

    return {
        "loss": mean[ALL, ""],
        "images": total[ALL, ""][1] // len(VALIDATION_LEVELS),
        "by_bucket": by(BUCKET),
        "by_timestep": by(LEVEL, float),
        "by_class": by(CLASS),
    }


def _losses_of(
    part: Sequence[Pair],
    bucket: Bucket,
    objective: Objective,
    model: nn.Module,
    latents: LatentStore,
    texts: TextSource,
    device: torch.device,
) -> list[Tensor]:
    """The losses (B,) at each level, in main memory."""
    clean = objective.scaled(
        torch.stack([latents.fetch(bucket, pair.content)[0] for pair in part])
    ).to(device)
    noise = torch.stack([validation_noise(pair.content, clean.shape[1:]) for pair in part]).to(
        device
    )
    text = on_device(texts.batch([pair.caption for pair in part]), device)

    def denoise(noisy: Tensor, at: Tensor, said: Text) -> Tensor:
        return objective.denoise(model, noisy, at, said)

    each = []
    for level in VALIDATION_LEVELS:
        levels = torch.full((len(part),), objective.validation_level(level), device=device)
        each.append(losses(objective, denoise, clean, noise, levels, text))
    return [one.cpu() for one in each]


def _every(held_out: HeldOut, share: tuple[int, int]) -> list[int]:
    return [
        place
        for places in held_out.buckets.values()
        for place in places
        if place % share[1] == share[0]
    ]
