"""The images of a run: in the cache, in buckets, and what is said of those left out."""

from collections.abc import Sequence
from typing import Any

from accelerate import Accelerator
from accelerate.utils import gather_object

from backend.finetuning.buckets import assign
from backend.finetuning.config import TrainingConfig
from backend.finetuning.errors import FinetuningError
from backend.finetuning.pairs import Pair, Pairs, long_captions
from backend.finetuning.run_folder import (
    Phase,
)
from backend.generation.layout import weight_files
from backend.generation.models import (
    ModelEntry,
    remembered_hash,
)
from backend.generation.weights import hash_tensors
from training.lora.base import Base
from training.lora.latents import LatentStore
from training.lora.reporting import Reporter
from training.lora.validation import choose_held_out


def cache_latents(
    config: TrainingConfig,
    pairs: Pairs,
    base: Base,
    latents: LatentStore,
    accelerator: Accelerator,
    report: Reporter,
) -> tuple[list[Pair], list[Pair]]:
    """Encode what is not in the cache; the pairs whose image can be read, for learning and held
    out.

    Raises:
        FinetuningError: no image can be read.
    """
    training = [pair for pair in pairs.training if is_usable(pair)]
    held = choose_held_out(
        [pair for pair in pairs.validation if is_usable(pair)], config.validation_images
    )
    every = [*training, *held]
    buckets = assign(every, config.resolutions)
    latents.index(list(buckets))
    wanted = latents.missing(every, buckets, flip=config.flip)
    mine = wanted[accelerator.process_index :: accelerator.num_processes]
    report.show(Phase.CACHING, done=0, total=len(wanted))
    base.vae.to(base.compute.device)
    broken = latents.fill(
        base.vae,
        every,
        mine,
        base.compute.device,
        lambda done, _total: report.show(
            Phase.CACHING,
            done=min(len(wanted), done * accelerator.num_processes),
            total=len(wanted),
        ),
    )
    if base.compute.device.type == "cuda":
        base.vae.to("cpu")
    lost = set(gather(accelerator, broken))
    accelerator.wait_for_everyone()
    latents.index(list(buckets))
    training = [pair for pair in training if pair.key not in lost]
    held = [pair for pair in held if pair.key not in lost]
    if not training:
        raise FinetuningError("No image of the pairs can be read: check the files.")
    if lost:
        report.event(
            0, f"{len(lost):,} images cannot be read, and are left out: {_named(lost)}.", "warning"
        )
    kept = [*training, *held]
    bucket_of = {
        place: bucket
        for bucket, places in assign(kept, config.resolutions).items()
        for place in places
    }
    latents.load(kept, bucket_of, flip=config.flip)
    return training, held


def is_usable(pair: Pair) -> bool:
    return min(pair.width, pair.height) >= 16


def tell_about_data(
    report: Reporter,
    pairs: Pairs,
    training: Sequence[Pair],
    held: Sequence[Pair],
    entry: ModelEntry,
    length: int,
) -> None:
    report.event(0, f"{len(training):,} pairs to learn from, {len(held):,} held out.")
    for note in pairs.notes:
        report.event(0, note, "warning")
    for left in pairs.left_out:
        report.event(0, f"Left out, {left.reason}: {left.count:,}.", "warning")
    small = len(pairs.training) - len(training)
    if small:
        report.event(0, f"Left out, smaller than 16 px or unreadable: {small:,}.", "warning")
    cut = len(long_captions(training, entry, length))
    if cut:
        report.event(
            0,
            f"{cut:,} captions have more than {length} tokens and are read up to there.",
            "warning",
        )


def vae_hash(entry: ModelEntry, cache: Any) -> str:
    files = weight_files(entry.folder / "vae")
    return remembered_hash(files, lambda: hash_tensors([("vae", files)]), cache=cache)


def gather(accelerator: Accelerator, values: list[Any]) -> list[Any]:
    return list(gather_object(values)) if accelerator.num_processes > 1 else values


def _named(keys: set[str]) -> str:
    first = sorted(keys)[:5]
    return ", ".join(first) + (", ..." if len(keys) > len(first) else "")
