"""What a run will take, told before it starts: memory, disk and time, with every assumption.

Activations are counted as autograd keeps them in diffusers' FLUX blocks under LoRA alone, in
widths of the transformer per token: inputs of both norms, queries, keys, values and what attention
gives, the feed-forward before its activation; more where a LoRA reads or scales what it would
otherwise let go. tests/unit/test_finetuning_estimate.py counts the same tensors in the model
itself, benchmarks/train_memory.py measures the peak.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np

from backend.finetuning.architectures import Architecture
from backend.finetuning.config import Checkpointing, Precision, Targets, TrainingConfig
from backend.finetuning.plan import Estimate, Item
from backend.finetuning.targets import TargetGroup
from backend.generation.lora.layouts import Family
from backend.generation.memory import LATENT_SIDE
from backend.generation.request import SIZE_MULTIPLE

SAVED_WIDTHS: Mapping[Targets, tuple[int, int]] = MappingProxyType(
    {
        Targets.ATTENTION: (14, 12),
        Targets.ATTENTION_AND_FEED_FORWARD: (19, 17),
        Targets.ALL_LINEAR_LAYERS: (23, 19),
    }
)
"""Widths a token that a double-stream and a single-stream block keep for their gradient."""
LATENTS_A_TOKEN = (SIZE_MULTIPLE // LATENT_SIDE) ** 2
UNET_SHARING = 8
"""Of a U-Net's weights a latent meets about one in eight at full size; the rest work at less."""
UNET_WIDTHS = 60
"""Of the first level's width, for a latent of a Stable Diffusion 1.x; fitted, not derived."""
CPU_KEPT, CPU_TEMPORARY_WIDTHS = 0.8, 105
"""At the peak four fifths of what is saved are there, and 105 widths a token of what is temporary,
whether or not activations are computed twice; fitted to measured runs of the starter with 4 to 48
images a step, with and without checkpointing, and two target sets (benchmarks/train_memory.py)."""
GPU_KEPT, GPU_TEMPORARY_WIDTHS = 1.05, 30
PROCESS_BYTES: Mapping[str, int] = MappingProxyType({"cpu": 965_000_000, "cuda": 1_600_000_000})
"""torch, diffusers, transformers and peft once they are imported; with CUDA's own host memory."""
GPU_CONTEXT = "GPU context"
GPU_CONTEXT_BYTES = 700_000_000
BYTES_A_WEIGHT: Mapping[Precision, float] = MappingProxyType(
    {Precision.FP32: 4.0, Precision.BF16: 2.0, Precision.NF4: 0.55}
)
"""NF4 with double quantisation takes 4.13 bits a weight, and some layers stay in bf16."""
FP32 = 4
OPTIMISER_COPIES = 4
"""The LoRA itself, its gradient and the two moments of Adam."""
TEXT_BYTES = 2 * 2**30
"""Of encoded captions that are held at once, at most."""
LATENT_CHANNELS = 16
DOUBLE_WEIGHTS, SINGLE_WEIGHTS = 24, 12
"""Numbers of the linear layers of a block in squares of the width: of both streams, of one."""
CPU_SHARE, GPU_SHARE = 0.5, 0.4
"""Of the throughput of a matrix product that a training step reaches."""
GPU_FLOPS: Mapping[str, float] = MappingProxyType(
    {
        "H200": 989e12,
        "H100": 989e12,
        "A100": 312e12,
        "L40S": 362e12,
        "4090": 165e12,
        "A6000": 155e12,
        "3090": 71e12,
    }
)
"""Dense bf16 products a second, from the makers' data sheets."""
UNKNOWN_GPU_FLOPS = 100e12
ENCODERS_LEAVE = (
    "Text encoders are on the GPU only while there is room for them: captions are encoded before "
    "the transformer takes its place, later ones where they fit, else on the CPU."
)
SAMPLE_PNG_BYTES = 40_000
METRICS_BYTES_A_STEP = 400


@dataclass(frozen=True)
class Machine:
    """Where the run will be: `memory` in bytes of the device, `flops` of a matrix product a
    second."""

    kind: str
    name: str
    memory: int
    flops: float


@dataclass(frozen=True)
class Amounts:
    """How much there is to learn from: pairs by tokens of their bucket, held-out pairs, captions.

    A token is a patch of 16 x 16 pixels. `others` counts the numbers of each component but the
    denoiser.
    """

    training: Mapping[int, int]
    validation: int
    captions: int
    others: Mapping[str, int]
    t5_length: int

    @property
    def pairs(self) -> int:
        """Pairs of one epoch."""
        return sum(self.training.values())

    @property
    def largest(self) -> int:
        """Tokens of the largest bucket."""
        return max(self.training)


def count_steps(config: TrainingConfig, pairs: int) -> int:
    """Optimiser steps of a run: as given, else so many epochs over the pairs."""
    if config.steps is not None:
        return config.steps
    at_once = config.batch * config.accumulate * config.processes
    return max(1, math.ceil(config.epochs * pairs / at_once))


def measure_cpu(seconds: float = 0.2) -> float:
    """Products and sums a second of a matrix product in fp32 with numpy, on this machine now."""
    side = 512
    first = np.random.default_rng(0).standard_normal((side, side), dtype=np.float32)
    first @ first
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        first @ first
        done += 1
    return done * 2 * side**3 / (time.perf_counter() - start)


def gpu_flops(name: str) -> float:
    """Of a GPU by its name; a cautious number for one that is not known."""
    return next((flops for part, flops in GPU_FLOPS.items() if part in name), UNKNOWN_GPU_FLOPS)


def estimate(
    config: TrainingConfig,
    architecture: Architecture,
    groups: Sequence[TargetGroup],
    amounts: Amounts,
    machine: Machine,
) -> Estimate:
    """Memory, disk and time of a run on a machine, with what was assumed."""
    checkpointing = config.checkpointing is Checkpointing.ON
    price = partial(_memory, config, architecture, groups, amounts, machine)
    memory = price(checkpointing=checkpointing)
    beside = machine.kind == "cpu" or _total(memory) <= machine.memory
    if not beside:
        memory = price(checkpointing=checkpointing, encoders=False)
    if config.checkpointing is Checkpointing.AUTO and _total(memory) > machine.memory:
        checkpointing = True
        memory = price(checkpointing=True, encoders=machine.kind == "cpu")
    steps = count_steps(config, amounts.pairs)
    flops = step_flops(config, architecture, groups, amounts, checkpointing=checkpointing)
    share = CPU_SHARE if machine.kind == "cpu" else GPU_SHARE
    seconds_a_step = flops / (machine.flops * share)
    return Estimate(
        device=machine.name,
        memory=memory,
        host=() if machine.kind == "cpu" else _host(amounts, architecture, config),
        disk=_disk(config, groups, amounts, architecture, steps),
        steps=steps,
        images=steps * config.batch * config.accumulate * config.processes,
        seconds_a_step=seconds_a_step,
        seconds=seconds_a_step * (steps + _beside(config, amounts, steps)),
        checkpointing=checkpointing,
        assumptions=(
            *_assumptions(config, architecture, amounts, machine, flops, share),
            *(() if beside else (ENCODERS_LEAVE,)),
        ),
    )


def activation_numbers(
    config: TrainingConfig,
    architecture: Architecture,
    groups: Sequence[TargetGroup],
    image: int,
    t5_length: int,
    *,
    checkpointing: bool,
) -> int:
    """How many numbers autograd keeps for one image of so many tokens."""
    if architecture.family is not Family.FLUX:
        return UNET_WIDTHS * image * LATENTS_A_TOKEN * _first_width(architecture)
    width, double, single = shape_of(architecture)
    tokens = image + t5_length
    a_double, a_single = SAVED_WIDTHS[config.lora.targets]
    ranks = sum(
        config.lora.rank * (_tokens_of(group.layers[0], image, t5_length)) for group in groups
    )
    if checkpointing:
        return tokens * width * (double + single + a_double) + ranks // max(1, double + single)
    return tokens * width * (a_double * double + a_single * single) + ranks


def shape_of(architecture: Architecture) -> tuple[int, int, int]:
    """Width of a FLUX transformer, and how many double- and single-stream blocks it has."""
    config = architecture.config
    width = int(config["num_attention_heads"]) * int(config["attention_head_dim"])
    return width, int(config["num_layers"]), int(config["num_single_layers"])


def _memory(
    config: TrainingConfig,
    architecture: Architecture,
    groups: Sequence[TargetGroup],
    amounts: Amounts,
    machine: Machine,
    *,
    checkpointing: bool,
    encoders: bool = True,
) -> tuple[Item, ...]:
    on_cpu = machine.kind == "cpu"
    lora = sum(group.parameters(config.lora.rank) for group in groups)
    number = FP32 if on_cpu or config.precision is Precision.FP32 else 2
    kept = activation_numbers(
        config,
        architecture,
        groups,
        amounts.largest,
        amounts.t5_length,
        checkpointing=checkpointing,
    )
    temporary = _temporary_widths(on_cpu) * _output_numbers(architecture, amounts)
    factor = CPU_KEPT if on_cpu else GPU_KEPT
    averages = 1 if config.ema_decay else 0
    others = sum(amounts.others.values()) * (FP32 if on_cpu else 2)
    return (
        Item(
            what="libraries and process" if on_cpu else GPU_CONTEXT,
            bytes=PROCESS_BYTES["cpu"] if on_cpu else GPU_CONTEXT_BYTES,
        ),
        Item(
            what=f"base model in {config.precision.value}",
            bytes=int(
                architecture.parameters * max(BYTES_A_WEIGHT[config.precision], number * on_cpu)
            ),
        ),
        *((Item(what="text encoders and autoencoder", bytes=others),) if encoders else ()),
        Item(
            what="LoRA, gradients, Adam and moving average in fp32",
            bytes=lora * FP32 * (OPTIMISER_COPIES + averages),
        ),
        Item(
            what="activations kept for the gradient",
            bytes=int(config.batch * kept * number * factor),
        ),
        Item(what="temporary arrays", bytes=int(config.batch * temporary * number)),
        *((_text_window(amounts, architecture, number),) if on_cpu else ()),
    )


def _total(memory: Sequence[Item]) -> int:
    return sum(item.bytes for item in memory)


def _temporary_widths(on_cpu: bool) -> int:
    return CPU_TEMPORARY_WIDTHS if on_cpu else GPU_TEMPORARY_WIDTHS


def _output_numbers(architecture: Architecture, amounts: Amounts) -> int:
    """Of one layer for one image of the largest bucket."""
    if architecture.family is not Family.FLUX:
        return amounts.largest * LATENTS_A_TOKEN * _first_width(architecture)
    width, _, _ = shape_of(architecture)
    return (amounts.largest + amounts.t5_length) * width


def _first_width(architecture: Architecture) -> int:
    """Of the first level of a U-Net."""
    channels = architecture.config.get("block_out_channels")
    return int(channels[0]) if isinstance(channels, list | tuple) and channels else 0


def _host(amounts: Amounts, architecture: Architecture, config: TrainingConfig) -> tuple[Item, ...]:
    largest = max([architecture.parameters, *amounts.others.values()])
    number = FP32 if config.precision is Precision.FP32 else 2
    return (
        Item(what="libraries and process", bytes=PROCESS_BYTES["cuda"]),
        Item(what="largest component while it is loaded", bytes=largest * number),
        _text_window(amounts, architecture, 2),
    )


def _text_window(amounts: Amounts, architecture: Architecture, number: int) -> Item:
    config = architecture.config
    flux = architecture.family is Family.FLUX
    width = int(config["joint_attention_dim" if flux else "cross_attention_dim"] or 0)
    needed = amounts.captions * amounts.t5_length * width * number
    return Item(what="encoded captions", bytes=min(TEXT_BYTES, needed))


def _disk(
    config: TrainingConfig,
    groups: Sequence[TargetGroup],
    amounts: Amounts,
    architecture: Architecture,
    steps: int,
) -> tuple[Item, ...]:
    lora = sum(group.parameters(config.lora.rank) for group in groups)
    channels = LATENT_CHANNELS if architecture.family is Family.FLUX else 4
    token = 2 * channels * LATENTS_A_TOKEN * FP32
    latents = token * sum(count * tokens for tokens, count in amounts.training.items())
    latents += token * amounts.validation * amounts.largest
    checkpoint = lora * FP32 * (4 if config.ema_decay else 3)
    sampled = steps // config.sample_every if config.sample_every else 0
    pictures = max(1, len(config.sample_captions)) * sampled
    return (
        Item(what="cached latents, mean and std", bytes=latents),
        Item(
            what=f"checkpoints, {config.keep_checkpoints} kept and one being written",
            bytes=(config.keep_checkpoints + 1) * checkpoint,
        ),
        Item(what="finished LoRA in bf16", bytes=lora * 2),
        Item(
            what="samples and metrics",
            bytes=pictures * SAMPLE_PNG_BYTES + steps * METRICS_BYTES_A_STEP,
        ),
    )


def step_flops(
    config: TrainingConfig,
    architecture: Architecture,
    groups: Sequence[TargetGroup],
    amounts: Amounts,
    *,
    checkpointing: bool,
) -> float:
    """Of one optimiser step and process: 2 for each weight and token forward, 2 for the gradient
    of what went in, 2 more for the LoRA's own; attention 4 times tokens squared times width, and
    twice that backward, where both factors of each product have a gradient."""
    images = config.batch * config.accumulate
    passes = 3 if checkpointing else 2
    if architecture.family is not Family.FLUX:
        latents = amounts.largest * LATENTS_A_TOKEN
        return float(images * 2 * passes * architecture.parameters * latents / UNET_SHARING)
    width, double, single = shape_of(architecture)
    total = 0.0
    for image, count in amounts.training.items():
        tokens = image + amounts.t5_length
        blocks = width**2 * tokens * (DOUBLE_WEIGHTS / 2 * double + SINGLE_WEIGHTS * single)
        attention = 2 * tokens**2 * width * (double + single)
        lora = sum(
            group.parameters(config.lora.rank)
            * _tokens_of(group.layers[0], image, amounts.t5_length)
            for group in groups
        )
        one = 2 * passes * blocks + 2 * (passes + 1) * (attention + lora)
        total += one * count / max(1, amounts.pairs)
    return images * total


def _tokens_of(layer: str, image: int, text: int) -> int:
    """How many tokens a layer reads; modulation reads one vector an image."""
    if "norm" in layer:
        return 1
    if layer.startswith("single_"):
        return image + text
    if "add_" in layer or "ff_context" in layer:
        return text
    return image


def _beside(config: TrainingConfig, amounts: Amounts, steps: int) -> float:
    """Validation and samples, counted in optimiser steps: a forward pass is a third of one."""
    at_once = config.batch * config.accumulate
    checked = min(config.validation_images, amounts.validation) * 8
    validations = steps // config.validate_every + 1 if checked else 0
    samples = steps // config.sample_every if config.sample_every else 0
    pictures = max(1, len(config.sample_captions)) * config.sample_steps
    return (validations * checked + samples * pictures) / (3 * at_once)


def _assumptions(
    config: TrainingConfig,
    architecture: Architecture,
    amounts: Amounts,
    machine: Machine,
    flops: float,
    share: float,
) -> tuple[str, ...]:
    image = amounts.largest
    measured = "measured here just now" if machine.kind == "cpu" else "from its data sheet"
    words: list[str] = []
    if architecture.family is Family.FLUX:
        part = amounts.t5_length / (image + amounts.t5_length)
        words.append(
            f"The largest images are {image:,} tokens beside {amounts.t5_length} of text, which is "
            f"{part:.0%} of all."
        )
    images = config.batch * config.accumulate
    held_out = min(config.validation_images, amounts.validation)
    words.append(
        f"A step of {images:,} images takes {flops / 1e12:,.2f} trillion operations, of "
        f"{machine.flops / 1e12:,.2f} trillion a second on {machine.name} ({measured}), "
        f"{share:.0%} of which a training step reaches."
    )
    words.append("Memory is the peak while a step at the largest size is computed.")
    words.append(
        f"Validation looks at {held_out:,} images at 8 timesteps; it and sampling take a third of "
        "a training step for each image and timestep."
    )
    if machine.kind == "cpu":
        words.append(
            "On a CPU temporary arrays stay with the process, and about four fifths of the "
            "activations are there at its peak."
        )
    return tuple(words)


def largest_batch(
    config: TrainingConfig, price: Callable[[TrainingConfig], Estimate], memory: int
) -> int:
    """The most images a step whose estimated peak stays within `memory` bytes; 0 where one does
    not fit."""
    low, high = 0, config.batch
    while low < high:
        middle = (low + high + 1) // 2
        fits = price(config.model_copy(update={"batch": middle})).memory_bytes <= memory
        low, high = (middle, high) if fits else (low, middle - 1)
    return low
