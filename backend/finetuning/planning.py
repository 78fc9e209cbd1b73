"""A run before it starts: what was asked is checked and completed, and its cost is told."""

import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from backend.corpus.licences import terms_of
from backend.files import explained_files, size_words
from backend.finetuning.architectures import TRAINED, of_model
from backend.finetuning.buckets import Bucket, assign
from backend.finetuning.config import Precision, TrainingConfig
from backend.finetuning.errors import FinetuningError
from backend.finetuning.estimate import Amounts, Machine, count_steps, estimate, largest_batch
from backend.finetuning.machine import this_machine
from backend.finetuning.mirroring import require_mirrors
from backend.finetuning.pairs import Pair, Pairs, labels_of, load_pairs, long_captions
from backend.finetuning.plan import (
    BaseFacts,
    DataFacts,
    DatasetFacts,
    Estimate,
    Plan,
    TargetFacts,
    write_plan,
)
from backend.finetuning.run_folder import RunFolder, runs_dir, write_config
from backend.finetuning.sides import refuse_flip
from backend.finetuning.targets import count_targets, target_groups
from backend.generation.layout import weight_files
from backend.generation.lora.layouts import Family
from backend.generation.models import ModelEntry, hash_cache, model_hash, usable_model
from backend.generation.weights import read_tensors
from backend.settings import Settings
from backend.store.database import Database

LIBRARIES = ("accelerate", "diffusers", "peft", "safetensors", "torch", "transformers")
LONGEST_SLUG = 48
MIN_BUCKET = 2


def plan_run(db: Database, settings: Settings, config: TrainingConfig) -> Plan:
    """The plan of a run, with nothing written.

    Raises:
        FinetuningError: what was asked cannot be trained, with what to change.
        ModelError: the base is unknown, incomplete or damaged.
        ReviewMissingError: there is no such caption set or version.
    """
    return _planned(db, settings, config)[1]


def make_run(db: Database, settings: Settings, config: TrainingConfig) -> RunFolder:
    """Plan a run and write its folder: `config.json` with all that was left open, `plan.json`.

    Its name is the time in UTC and the title, so that names sort by time.

    Raises:
        FinetuningError, ModelError, ReviewMissingError: as `plan_run`, or the disk is too small.
        FileError: the workspace cannot be written.
    """
    config, plan = _planned(db, settings, config)
    _refuse_full_disk(settings, plan.estimate)
    run = _new_folder(settings, config.title, plan.created_at)
    write_plan(run, plan)
    write_config(run, config)
    return run


def run_name(title: str, moment: datetime) -> str:
    """What a run is called: UTC time, then the title in small letters, digits and hyphens."""
    slug = re.sub(r"[^0-9a-z]+", "-", title.lower()).strip("-")[:LONGEST_SLUG].strip("-")
    stamp = moment.astimezone(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{stamp}-{slug or 'lora'}"


def _planned(
    db: Database, settings: Settings, config: TrainingConfig
) -> tuple[TrainingConfig, Plan]:
    require_mirrors(config)
    entry = _base(settings, config.base)
    machine = this_machine(settings)
    _refuse_precision(config, machine)
    architecture = of_model(entry)
    groups = target_groups(architecture, config.lora)
    pairs = load_pairs(db, settings, config.data)
    if config.flip:
        refuse_flip(pairs.pairs)
    config = _completed(config, entry, pairs)
    length = config.t5_length or entry.max_sequence_length
    buckets = assign(pairs.pairs, config.resolutions)
    amounts = _amounts(entry, pairs, buckets, length)
    long = long_captions(pairs.pairs, entry, length)
    count = count_targets(architecture, config.lora)

    def price(asked: TrainingConfig) -> Estimate:
        return estimate(asked, architecture, groups, amounts, machine)

    plan = Plan(
        created_at=datetime.now(UTC),
        base=BaseFacts(
            name=entry.name,
            title=entry.title,
            family=entry.family,
            hash=model_hash(entry.folder, cache=hash_cache(settings)),
            licence=entry.licence,
        ),
        data=_data(db, pairs, buckets, len(long)),
        targets=TargetFacts(**asdict(count), alpha=config.lora.alpha),
        t5_length=length,
        steps=count_steps(config, amounts.pairs),
        estimate=price(config),
        libraries=_libraries(),
    )
    warnings = _warnings(config, entry, pairs, buckets, plan, machine)
    if plan.estimate.memory_bytes > machine.memory:
        fits = largest_batch(config, price, machine.memory)
        advice = f"{fits} images a step would fit" if fits else "choose a smaller base or size"
        warnings.append(
            f"The peak of about {size_words(plan.estimate.memory_bytes)} is more than the "
            f"{size_words(machine.memory)} of {machine.name}: {advice}."
        )
    return config, plan.model_copy(update={"warnings": tuple(warnings)})


def _base(settings: Settings, name: str) -> ModelEntry:
    entry = usable_model(settings, name)
    if entry.family not in TRAINED:
        raise FinetuningError(
            f"The base model {name} is a {entry.family.full_name}, for which no LoRA is trained "
            "here: choose a FLUX or a Stable Diffusion 1.x."
        )
    return entry


def _completed(config: TrainingConfig, entry: ModelEntry, pairs: Pairs) -> TrainingConfig:
    """With what was left open: the version, the text length and a title."""
    flux = entry.family is Family.FLUX
    length = (config.t5_length or entry.max_sequence_length) if flux else None
    data = config.data.model_copy(update={"version": pairs.version})
    title = " ".join(config.title.split()) or f"{entry.name} on {pairs.name}"[:200]
    return config.model_copy(update={"data": data, "t5_length": length, "title": title})


def _refuse_precision(config: TrainingConfig, machine: Machine) -> None:
    if machine.kind == "cpu" and config.precision is Precision.NF4:
        raise FinetuningError(
            "A base in 4 bits needs a GPU, and there is none: choose the precision fp32."
        )


def _amounts(
    entry: ModelEntry, pairs: Pairs, buckets: Mapping[Bucket, Sequence[int]], length: int
) -> Amounts:
    learnt: Counter[int] = Counter()
    for bucket, places in buckets.items():
        learnt[bucket.tokens] += sum(not pairs.pairs[place].held_out for place in places)
    others = {
        part: sum(
            tensor.elements
            for file in weight_files(entry.folder / part)
            for tensor in read_tensors(file)
        )
        for part in entry.kind.weighted
        if part != entry.kind.denoiser
    }
    return Amounts(
        training=dict(learnt),
        validation=len(pairs.validation),
        captions=len({pair.caption for pair in pairs.pairs}),
        others=others,
        t5_length=length,
    )


def _data(
    db: Database, pairs: Pairs, buckets: Mapping[Bucket, Sequence[int]], long: int
) -> DataFacts:
    labels = {label or "not said": count for label, count in labels_of(pairs.pairs).items()}
    return DataFacts(
        name=pairs.name,
        version=pairs.version,
        hash=pairs.source_hash,
        pairs=len(pairs.pairs),
        training=len(pairs.training),
        validation=len(pairs.validation),
        labels=labels,
        origins=dict(Counter(pair.origin for pair in pairs.pairs)),
        buckets={str(bucket): len(places) for bucket, places in buckets.items()},
        left_out={one.reason: one.count for one in pairs.left_out},
        distinct_captions=len({pair.caption for pair in pairs.pairs}),
        long_captions=long,
        for_layout=sum(pair.lowest_noise > 0 for pair in pairs.training),
        datasets=_datasets(db, pairs.pairs),
    )


def _datasets(db: Database, pairs: Sequence[Pair]) -> tuple[DatasetFacts, ...]:
    images = Counter(pair.dataset for pair in pairs if pair.dataset)
    terms = terms_of(db, images)
    return tuple(
        DatasetFacts(
            name=name,
            title=terms[name].title,
            images=count,
            licence=terms[name].licence,
            citation=terms[name].citation,
        )
        for name, count in sorted(images.items())
    )


def _warnings(
    config: TrainingConfig,
    entry: ModelEntry,
    pairs: Pairs,
    buckets: Mapping[Bucket, Sequence[int]],
    plan: Plan,
    machine: Machine,
) -> list[str]:
    found = list(pairs.notes)
    at_once = config.batch * config.accumulate * config.processes
    if len(pairs.training) < at_once:
        found.append(
            f"A step takes {at_once} images, and there are {len(pairs.training)} to learn from: "
            "lower the batch."
        )
    largest = max(max(bucket.width, bucket.height) for bucket in buckets)
    unused = ", ".join(str(side) for side in sorted(config.resolutions) if side > largest)
    if unused:
        found.append(
            f"No image has the pixels for {unused} px, and none is enlarged: the largest size is "
            f"{largest} px."
        )
    lonely = [str(bucket) for bucket, places in buckets.items() if len(places) < MIN_BUCKET]
    if lonely:
        found.append(f"Only one image each has the size {', '.join(lonely)}.")
    if plan.data.long_captions:
        found.append(
            f"{plan.data.long_captions:,} captions have more than {plan.t5_length} tokens; what "
            "comes after them is not read."
        )
    if entry.family is Family.FLUX and plan.t5_length > entry.max_sequence_length:
        found.append(
            f"{entry.title} reads {entry.max_sequence_length} tokens, and the run {plan.t5_length}."
        )
    if machine.kind == "cpu" and config.precision is Precision.BF16:
        found.append("This CPU may have no bf16 of its own, and then computes in fp32.")
    if plan.estimate.checkpointing and config.checkpointing.value == "auto":
        found.append("Activations are computed twice, since they do not fit otherwise.")
    return found


def _refuse_full_disk(settings: Settings, told: Estimate) -> None:
    free = shutil.disk_usage(settings.workspace).free
    if told.disk_bytes > free:
        raise FinetuningError(
            f"The run needs about {size_words(told.disk_bytes)} of disk, and "
            f"{size_words(free)} are free in the workspace: free some, or keep fewer checkpoints."
        )


def _new_folder(settings: Settings, title: str, moment: datetime) -> RunFolder:
    """An empty folder of its own, also where two runs are planned in the same second."""
    stem = run_name(title, moment)
    name, number = stem, 1
    parent = runs_dir(settings)
    with explained_files(parent):
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                (parent / name).mkdir()
            except FileExistsError:
                number += 1
                name = f"{stem}-{number}"
                continue
            break
    return RunFolder(parent / name)


def _libraries() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
