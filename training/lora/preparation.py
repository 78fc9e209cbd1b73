"""Everything that a run holds in memory, made from its folder and tried out once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator

from backend.finetuning.architectures import of_model
from backend.finetuning.buckets import Bucket, assign
from backend.finetuning.config import Checkpointing, TrainingConfig
from backend.finetuning.errors import FinetuningError
from backend.finetuning.estimate import count_steps
from backend.finetuning.pairs import Pair, Pairs, load_pairs
from backend.finetuning.plan import Plan, read_plan
from backend.finetuning.run_folder import (
    Phase,
    RunFolder,
)
from backend.finetuning.sides import refuse_flip
from backend.finetuning.targets import target_groups
from backend.generation.models import (
    ModelEntry,
    hash_cache,
    model_hash,
    usable_model,
)
from backend.settings import Settings
from backend.store.database import open_database
from training.lora.adapter import Lora, add_lora, compute_directly
from training.lora.base import Base, choose_compute, load_base
from training.lora.batches import Batch, Batches
from training.lora.checkpoints import (
    remove_asides,
)
from training.lora.data import cache_latents, tell_about_data, vae_hash
from training.lora.latents import LatentStore, remove_leftovers
from training.lora.memory import is_out_of_memory, memory_sentence, never_used, release
from training.lora.objective import make_objective
from training.lora.order import Order
from training.lora.reporting import Reporter
from training.lora.sampling import Sampler, sample_captions
from training.lora.stepping import Reading, Stepper
from training.lora.stopwatch import Stopwatch
from training.lora.texts import TextSource, bytes_of
from training.lora.validation import HeldOut

DRY_STEPS = 2
RECOMPILE_LIMIT = 32


@dataclass
class Work:
    """Everything that a run holds in memory."""

    config: TrainingConfig
    run: RunFolder
    base: Base
    lora: Lora
    stepper: Stepper
    batches: Batches
    buckets: Sequence[Bucket]
    texts: TextSource
    latents: LatentStore
    held_out: HeldOut | None
    sampler: Sampler
    model: Any
    objective: Any
    report: Reporter
    accelerator: Accelerator
    identity: dict[str, Any]
    steps: int

    @property
    def share(self) -> tuple[int, int]:
        """This process among all."""
        return self.accelerator.process_index, self.accelerator.num_processes


def prepare(
    settings: Settings,
    run: RunFolder,
    config: TrainingConfig,
    accelerator: Accelerator,
    report: Reporter,
) -> Work:
    """Load, cache, try out and take up where a checkpoint is."""
    if accelerator.is_main_process:
        remove_asides(run.checkpoints)
        remove_leftovers(run.path)
        remove_leftovers(run.lora.parent)
    report.show(Phase.STARTING)
    entry = usable_model(settings, config.base)
    database = open_database(settings)
    try:
        pairs = load_pairs(database, settings, config.data)
    finally:
        database.close()
    if config.flip:
        refuse_flip(pairs.training)
    compute = choose_compute(accelerator.device, config.precision)
    length = _text_length(config, entry)
    base = load_base(entry, config, compute)
    cache = hash_cache(settings)
    base_hash = model_hash(entry.folder, cache=cache)
    latents = LatentStore(
        settings.workspace / "cache" / "latents",
        vae_hash(entry, cache),
        dtype=compute.weights,
    )
    training, held = cache_latents(config, pairs, base, latents, accelerator, report)
    buckets = assign(training, config.resolutions)
    steps = count_steps(config, len(training))
    report.show(Phase.STARTING, steps=steps)
    tell_about_data(report, pairs, training, held, entry, length)
    texts = TextSource(base, length)
    objective = make_objective(base, config.guidance)
    groups = target_groups(of_model(entry), config.lora)
    lora = add_lora(base.denoiser, config.lora, groups, entry.kind.denoiser, config.seed)
    compute_directly(base.denoiser, config.lora, groups, compute.device)
    if compute.device.type == "cuda":
        _encode_all(texts, training, held, config, report)
    base.denoiser.to(compute.device)
    if _checkpointing(config, run):
        base.denoiser.enable_gradient_checkpointing()
    if config.compile:
        compile_blocks(base.denoiser)
    model = _distributed(base.denoiser, accelerator)
    order = Order(buckets, config.batch * config.processes, config.seed)
    held_buckets = assign(held, config.resolutions)
    work = Work(
        config=config,
        run=run,
        base=base,
        lora=lora,
        stepper=Stepper(config, lora, model, objective, compute.device),
        batches=Batches(
            config, training, order, latents, objective, process=accelerator.process_index
        ),
        buckets=list(buckets),
        texts=texts,
        latents=latents,
        held_out=HeldOut(held, held_buckets) if held else None,
        sampler=Sampler(base, config, run, base_hash, length),
        model=model,
        objective=objective,
        report=report,
        accelerator=accelerator,
        identity=identity_of(config, base_hash, pairs, training, length),
        steps=steps,
    )
    dry_run(work)
    if compute.device.type == "cuda":
        texts.stay = bytes_of(base.text_encoders) <= never_used(compute.device)
    return work


def compile_blocks(denoiser: Any) -> None:
    """Compile the repeated blocks, one code for all of a kind and for every shape."""
    # Shapes, gradients on and off and a last batch of one are each compiled once more; beyond the
    # limit torch would silently go on without.
    torch._dynamo.config.recompile_limit = RECOMPILE_LIMIT  # noqa: SLF001 - its documented place
    denoiser.compile_repeated_blocks()


def _encode_all(
    texts: TextSource,
    training: Sequence[Pair],
    held: Sequence[Pair],
    config: TrainingConfig,
    report: Reporter,
) -> None:
    """Encode all captions before the denoiser takes its place, where all of them can be held."""
    captions = [pair.caption for pair in (*training, *held)]
    wanted = dict.fromkeys([*captions, *sample_captions(config)])
    if len(wanted) < texts.capacity:
        texts.prepare(
            wanted, lambda done, total: report.show(Phase.ENCODING, done=done, total=total)
        )


def dry_run(work: Work) -> None:
    """Two steps at the largest bucket, then everything as it was.

    Raises:
        FinetuningError: they do not fit into memory.
    """
    bucket = max(work.buckets, key=lambda one: one.tokens)
    work.report.show(Phase.DRY_RUN, done=0, total=DRY_STEPS, message=f"{bucket} px")
    kept = [parameter.detach().clone() for parameter in work.lora.tensors]
    batch = _blank(work, bucket)
    text = work.texts.batch([""] * work.config.batch)
    watch = Stopwatch(work.base.compute.device)
    makers = [lambda: (batch, text)] * min(2, work.config.accumulate)
    for number in range(DRY_STEPS):
        reading = _tried(work, bucket, partial(work.stepper.step, number, makers, watch))
        if reading is None:
            work.report.event(0, "Activations are computed twice, since they do not fit once.")
            work.base.denoiser.enable_gradient_checkpointing()
            work.stepper.forget(kept)
            release(work.base.compute.device)
            dry_run(work)
            return
        if reading.skipped:
            raise FinetuningError(
                f"The base {work.base.entry.name} gives no finite loss before anything is learnt: "
                "copy or download it again, or choose precision fp32."
            )
        work.report.show(Phase.DRY_RUN, done=number + 1, total=DRY_STEPS, message=f"{bucket} px")
    work.stepper.forget(kept)


def _tried(work: Work, bucket: Bucket, step: Callable[[], None]) -> Reading | None:
    """What a step came to; None where it does not fit, but would with checkpointing.

    The error, whose traceback holds all that was computed, is gone when this returns.
    """
    try:
        step()
        return work.stepper.read()
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error) and _may_checkpoint(work):
            return None
        sentence = memory_sentence(work.config, error, bucket)
        if sentence is None:
            raise
        raise FinetuningError(sentence) from error


def _blank(work: Work, bucket: Bucket) -> Batch:
    """A batch of one bucket with noise for images."""
    channels = int(work.base.vae.config.latent_channels)
    shape = (work.config.batch, channels, bucket.height // 8, bucket.width // 8)
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn((2, *shape), generator=generator)
    levels = torch.full((work.config.batch,), work.objective.validation_level(0.5))
    return Batch(bucket, clean, noise, levels, ("",) * work.config.batch)


def identity_of(
    config: TrainingConfig, base_hash: str, pairs: Pairs, training: Sequence[Pair], length: int
) -> dict[str, Any]:
    """What must be the same for a run to go on, in the order in which it is compared."""
    return {
        "base": base_hash,
        "data": pairs.hash,
        "images": len(training),
        "targets": config.lora.targets.value,
        "fused": config.lora.fused,
        "rank": config.lora.rank,
        "alpha": config.lora.alpha,
        "resolutions": list(config.resolutions),
        "processes": config.processes,
        "batch": config.batch,
        "accumulate": config.accumulate,
        "learning rate": config.learning_rate,
        "warmup": config.warmup,
        "weight decay": config.weight_decay,
        "gradient norm": config.max_grad_norm,
        "moving average": config.ema_decay,
        "caption dropout": config.caption_dropout,
        "flip": config.flip,
        "guidance": config.guidance,
        "T5 length": length,
        "precision": config.precision.value,
        "seed": config.seed,
    }


def _text_length(config: TrainingConfig, entry: ModelEntry) -> int:
    if entry.kind.fixed_length or config.t5_length is None:
        return entry.max_sequence_length
    return config.t5_length


def _checkpointing(config: TrainingConfig, run: RunFolder) -> bool:
    """On, or foreseen by the plan where that decides."""
    if config.checkpointing is not Checkpointing.AUTO:
        return config.checkpointing is Checkpointing.ON
    plan = plan_of(run)
    return plan is not None and plan.estimate.checkpointing


def _may_checkpoint(work: Work) -> bool:
    return (
        work.config.checkpointing is Checkpointing.AUTO
        and not work.base.denoiser.is_gradient_checkpointing
    )


def _distributed(model: Any, accelerator: Accelerator) -> Any:
    """The model whose gradients are averaged over all processes."""
    if accelerator.num_processes == 1:
        return model
    on_gpu = accelerator.device.type == "cuda"
    return torch.nn.parallel.DistributedDataParallel(
        model,
        device_ids=[accelerator.device.index] if on_gpu else None,
        broadcast_buffers=False,
        gradient_as_bucket_view=True,
        init_sync=False,
    )


def plan_of(run: RunFolder) -> Plan | None:
    return read_plan(run) if run.plan.is_file() else None
