"""Images per second, memory and share of the roofline of the LoRA trainer on a full-size FLUX.1.

    python -m benchmarks.train_gpu [--budget 170] [--peak 989e12] [--out FILE]

The transformer has FLUX.1's own shapes and random bf16 weights, drawn on the GPU. There are no text
encoders and no autoencoder: latents and encoded captions are random numbers of the right shape in
main memory, and the latents' noise is drawn anew for each image as in a run. The LoRA has rank 64
on attention. "ours" is the trainer's own objective and step; "plain" is that of diffusers'
`train_dreambooth_lora_flux.py` after encoding (`PlainLoop` of benchmarks/train.py: peft's layers
under autocast, AdamW in passes over all tensors, the loss read after every step), with its inputs
on the GPU already. Both train the same numbers, in eager mode, and take turns, whose first step
does not count since the other's memory has to be arranged anew. Where a batch does not fit, ours
computes activations twice as the trainer would, and the row says so; plain is left out.

Operations are those of the transformer's layers, its attention and the LoRA, forward and backward,
without what is computed twice; "counted" is what torch.utils.flop_counter sees of a step of ours.
The roofline is --peak, by default the dense bf16 products of an H100 or H200 SXM. Estimate over
peak compares backend/finetuning/estimate for the same run with `torch.cuda.max_memory_allocated`,
the GPU's own context left out of both. Rows come in the order of their worth until the budget of
seconds is spent; --out is written after each.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from backend.files import write_file
from backend.finetuning.architectures import FLUX_1, Architecture, on_meta
from backend.finetuning.buckets import Bucket
from backend.finetuning.config import TrainingConfig
from backend.finetuning.estimate import GPU_CONTEXT, Amounts, Machine, estimate, step_flops
from backend.finetuning.pairs import Pair
from backend.finetuning.targets import TargetGroup, target_groups
from backend.generation.families import FLUX
from backend.generation.pipelines import quiet_libraries
from benchmarks.train import PlainLoop
from training.attention import keep_off_cudnn_attention
from training.lora.adapter import Lora, add_lora, compute_as_peft, compute_directly
from training.lora.base import Compute
from training.lora.batches import Batch, Batches
from training.lora.memory import is_out_of_memory, release
from training.lora.objective import FluxObjective, Text
from training.lora.order import Order
from training.lora.preparation import compile_blocks
from training.lora.stepping import Stepper
from training.lora.stopwatch import Stopwatch

CHANNELS = 16
CAPTIONS = 8
PAIRS = 1_000
WARM_STEPS, TURNS, TURN_STEPS = 2, 2, 3
COMPILE_SECONDS = 45
"""What is left of the budget where a row that compiles is still begun."""
PEAK = 989e12
FAILURES = (
    RuntimeError,
    MemoryError,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    LookupError,
    ImportError,
)
"""Of a row, which is then named; compilers raise any of them."""


@dataclass(frozen=True)
class Plan:
    """One row: side in pixels, images a step, T5 length in tokens."""

    side: int
    batch: int
    length: int
    compiled: bool = False
    beside_plain: bool = True


PLANS = (
    Plan(256, 4, 512),
    Plan(128, 8, 512),
    Plan(512, 4, 512),
    Plan(256, 4, 128),
    Plan(128, 8, 128),
    Plan(512, 4, 128),
    Plan(256, 4, 512, compiled=True),
    Plan(512, 4, 512, compiled=True),
    Plan(512, 1, 512),
    Plan(256, 16, 512),
    Plan(128, 32, 512, beside_plain=False),
    Plan(512, 8, 512, beside_plain=False),
)


@dataclass
class Bench:
    """What all rows share."""

    denoiser: Any
    lora: Lora
    groups: Sequence[TargetGroup]
    architecture: Architecture
    objective: FluxObjective
    device: torch.device
    rank: int
    peak: float


def main() -> None:
    """Measure and print; one sentence where there is no GPU."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--budget", type=float, default=170, help="seconds in all")
    parser.add_argument("--peak", type=float, default=PEAK, help="operations a second")
    parser.add_argument("--out", type=Path, help="a JSON file, written after each row")
    options = parser.parse_args()
    deadline = time.perf_counter() + options.budget
    if not torch.cuda.is_available():
        raise SystemExit(
            "This benchmark needs an NVIDIA GPU with 48 GB, better 80 GB, and torch finds none "
            "here: run it on such a machine, or `python -m benchmarks.train` for the CPU."
        )
    quiet_libraries()
    keep_off_cudnn_attention()
    bench = build(FLUX_1, torch.device("cuda"), rank=64, peak=options.peak)
    measure(bench, PLANS, deadline, options.out)


def build(config: Mapping[str, Any], device: torch.device, *, rank: int, peak: float) -> Bench:
    """The transformer and its LoRA on the device, in bf16 and fp32."""
    from diffusers import FluxTransformer2DModel

    architecture = on_meta("FLUX.1, random", FLUX, config)
    with torch.device("meta"):
        denoiser = FluxTransformer2DModel(**config)
    denoiser = denoiser.to(torch.bfloat16).to_empty(device=device)
    _draw_weights(denoiser, device)
    denoiser.requires_grad_(requires_grad=False).eval()
    shape = training_config(PLANS[0], rank).lora
    groups = target_groups(architecture, shape)
    lora = add_lora(denoiser, shape, groups, "transformer", seed=0)
    denoiser.to(device)
    objective = FluxObjective(
        scaling_factor=0.3611,
        shift_factor=0.1159,
        dynamic=True,
        constant_shift=3.0,
        base_shift=0.5,
        max_shift=1.15,
        base_tokens=256,
        max_tokens=4_096,
        guidance=1.0,
        compute=Compute(device, torch.bfloat16),
    )
    return Bench(denoiser, lora, groups, architecture, objective, device, rank, peak)


def training_config(plan: Plan, rank: int, checkpointing: str = "off") -> TrainingConfig:
    """The configuration of a run of this row."""
    return TrainingConfig.model_validate(
        {
            "base": "FLUX.1-dev",
            "data": {"folder": "random"},
            "lora": {"rank": rank, "alpha": rank},
            "resolutions": (plan.side,),
            "batch": plan.batch,
            "t5_length": plan.length,
            "compile": plan.compiled,
            "checkpointing": checkpointing,
        }
    )


def measure(
    bench: Bench, plans: Sequence[Plan], deadline: float, out: Path | None = None
) -> dict[str, Any]:
    """All rows that the time allows, printed and written as they come."""
    rows: list[dict[str, Any]] = []
    figures: dict[str, Any] = {
        "device": _name(bench.device),
        "torch": torch.__version__,
        "rows": rows,
    }
    print(f"{figures['device']}, torch {figures['torch']}", flush=True)
    print(HEAD, flush=True)
    for plan in plans:
        needed = COMPILE_SECONDS if plan.compiled and bench.device.type == "cuda" else 0
        if time.perf_counter() + needed >= deadline:
            row: dict[str, Any] = {"skipped": "no time left"}
        else:
            row = measure_row(bench, plan)
        rows.append(asdict(plan) | row)
        print(line(rows[-1]), flush=True)
        if out is not None:
            write_file(out, json.dumps(figures, indent=1).encode())
    return figures


def measure_row(bench: Bench, plan: Plan) -> dict[str, Any]:
    """One row; a failure is told in it, as the reason why it is skipped."""
    for checkpointing in ("off", "on"):
        try:
            return _row(bench, plan, checkpointing)
        except FAILURES as error:
            problem = f"{type(error).__name__}: {_first_line(error)}"
            full = is_out_of_memory(error)
        if not full:
            break
    return {"skipped": problem}


def _row(bench: Bench, plan: Plan, checkpointing: str) -> dict[str, Any]:
    config = training_config(plan, bench.rank, checkpointing)
    _set_checkpointing(bench.denoiser, on=checkpointing == "on")
    _set_compiled(bench.denoiser, on=plan.compiled)
    for parameter in bench.lora.tensors:
        parameter.grad = None
    release(bench.device)
    ours = _Ours(bench, config, plan)
    begun = _now(bench.device)
    ours.step(0)
    first = _now(bench.device) - begun
    counted = None if plan.compiled else ours.counted(1)
    _reset_peak(bench.device)
    ours.step(2)
    peak = _peak(bench.device)
    steps: dict[str, Callable[[int], object]] = {"ours": ours.step}
    plain = _Plain(bench, config, plan) if _takes_part(plan, checkpointing) else None
    plain_problem = None if plain is None else _warm(bench, plain)
    if plain is not None and plain_problem is None:
        steps["plain"] = plain.step
    rates = _by_turns(bench, plan, steps)
    flops = step_flops(config, bench.architecture, bench.groups, amounts(plan), checkpointing=False)
    told = memory_estimate(bench, config, plan)
    return {
        "checkpointing": checkpointing == "on",
        "images_per_second": rates["ours"],
        "plain_images_per_second": rates.get("plain"),
        "times_plain": rates["ours"] / rates["plain"] if "plain" in rates else None,
        "plain_problem": plain_problem,
        "first_step_seconds": first,
        "loss": ours.loss(),
        "flops_a_step": flops,
        "flops_counted": counted,
        "share_of_roofline": flops * rates["ours"] / plan.batch / bench.peak,
        "peak_bytes": peak,
        "plain_peak_bytes": None if plain is None or plain_problem else plain.peak,
        "estimate_bytes": told,
        "estimate_over_peak": told / peak if peak else None,
    }


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0]


def _takes_part(plan: Plan, checkpointing: str) -> bool:
    return plan.beside_plain and not plan.compiled and checkpointing == "off"


def _by_turns(
    bench: Bench, plan: Plan, steps: Mapping[str, Callable[[int], object]]
) -> dict[str, float]:
    """Images per second of each, over all its turns."""
    spent = dict.fromkeys(steps, 0.0)
    for turn in range(TURNS):
        for name, step in steps.items():
            _set_layers(bench, direct=name == "ours")
            first = WARM_STEPS + 1 + turn * (TURN_STEPS + 1)
            step(first)
            begun = _now(bench.device)
            for number in range(TURN_STEPS):
                step(first + 1 + number)
            spent[name] += _now(bench.device) - begun
    return {name: TURNS * TURN_STEPS * plan.batch / seconds for name, seconds in spent.items()}


class _Ours:
    """The trainer's step on images that are random numbers."""

    def __init__(self, bench: Bench, config: TrainingConfig, plan: Plan) -> None:
        _set_layers(bench, direct=True)
        self._stepper = Stepper(config, bench.lora, bench.denoiser, bench.objective, bench.device)
        self._watch = Stopwatch(bench.device)
        self._texts = random_texts(bench, plan)
        pairs = [_pair(number, plan.side) for number in range(64)]
        bucket = Bucket(plan.side, plan.side)
        self._batches = Batches(
            config,
            pairs,
            Order({bucket: range(len(pairs))}, plan.batch, config.seed),
            RandomLatents(),  # type: ignore[arg-type]  # no file behind it
            bench.objective,
            process=0,
        )

    def step(self, number: int) -> None:
        """One step, its images drawn as in a run."""
        self._stepper.step(number, [partial(self._make, number)], self._watch)

    def counted(self, number: int) -> int:
        """Operations of a step as torch sees them."""
        with FlopCounterMode(display=False) as counter:
            self.step(number)
        return int(counter.get_total_flops())

    def loss(self) -> float:
        """The mean since the beginning."""
        return self._stepper.read().loss

    def _make(self, number: int) -> tuple[Batch, Text]:
        batch = self._batches.batch(number)
        found = [self._texts[place % len(self._texts)] for place in range(len(batch.captions))]
        pooled = torch.stack([one.pooled for one in found if one.pooled is not None])
        return batch, Text(torch.stack([one.states for one in found]), pooled)


class _Plain:
    """The plain loop on inputs that lie on the device."""

    peak: int | None = None

    def __init__(self, bench: Bench, config: TrainingConfig, plan: Plan) -> None:
        device = bench.device
        self._loop = PlainLoop(bench.denoiser, bench.lora, config, device, autocast=torch.bfloat16)
        texts = [random_texts(bench, plan)[place % CAPTIONS] for place in range(plan.batch)]
        self._prompts = torch.stack([one.states for one in texts]).to(device)
        self._pooled = torch.stack([one.pooled for one in texts if one.pooled is not None])
        self._pooled = self._pooled.to(device)
        self._ids = torch.zeros(plan.length, 3, device=device)
        side = plan.side // 8
        self._latents = torch.randn(plan.batch, CHANNELS, side, side, device=device)

    def step(self, number: int) -> float:
        """One step; returns its loss."""
        return self._loop.step(number, self._latents, self._prompts, self._pooled, self._ids)


def _warm(bench: Bench, plain: _Plain) -> str | None:
    """Steps of the plain loop that do not count; says why it cannot take part."""
    _set_layers(bench, direct=False)
    moments = 2 * sum(one.nbytes for one in bench.lora.tensors)
    _reset_peak(bench.device)
    try:
        for number in range(WARM_STEPS):
            plain.step(number)
    except FAILURES as error:
        problem = _first_line(error)
    else:
        peak = _peak(bench.device)
        plain.peak = None if peak is None else peak - moments
        return None
    for parameter in bench.lora.tensors:
        parameter.grad = None
    release(bench.device)
    return problem


class RandomLatents:
    """Mean and spread of an image whose numbers are random."""

    def __init__(self) -> None:
        self._held: dict[Bucket, tuple[Tensor, Tensor]] = {}

    def fetch(self, bucket: Bucket, _content: str) -> tuple[Tensor, Tensor]:
        """The same for all images of a bucket."""
        if bucket not in self._held:
            shape = (CHANNELS, bucket.height // 8, bucket.width // 8)
            generator = torch.Generator().manual_seed(0)
            mean = torch.randn(shape, generator=generator)
            self._held[bucket] = (mean, torch.full(shape, 0.1))
        return self._held[bucket]


def random_texts(bench: Bench, plan: Plan) -> list[Text]:
    """Encoded captions in main memory."""
    config = bench.architecture.config
    generator = torch.Generator().manual_seed(0)
    shapes = (
        (plan.length, int(config["joint_attention_dim"])),
        (int(config["pooled_projection_dim"]),),
    )
    return [
        Text(*(torch.randn(shape, generator=generator).bfloat16() for shape in shapes))
        for _ in range(CAPTIONS)
    ]


def amounts(plan: Plan) -> Amounts:
    """What the estimate is asked about: nothing but the transformer."""
    return Amounts(
        training={Bucket(plan.side, plan.side).tokens: PAIRS},
        validation=0,
        captions=CAPTIONS,
        others={},
        t5_length=plan.length,
    )


def memory_estimate(bench: Bench, config: TrainingConfig, plan: Plan) -> int:
    """The peak as the plan of such a run would have it on a GPU, without its context."""
    machine = Machine("cuda", _name(bench.device), 10**15, bench.peak)
    found = estimate(config, bench.architecture, bench.groups, amounts(plan), machine)
    return sum(item.bytes for item in found.memory if item.what != GPU_CONTEXT)


HEAD = (
    f"{'px':>4}{'batch':>6}{'T5':>5}  {'mode':<10}{'ours/s':>8}{'plain/s':>8}{'ratio':>6}"
    f"{'roofline':>9}{'GB':>7}{'plain':>7}{'estimate':>9}"
)


def line(row: Mapping[str, Any]) -> str:
    """A row for people; estimate is that over the peak."""
    mode = "compiled" if row["compiled"] else "eager"
    start = f"{row['side']:>4}{row['batch']:>6}{row['length']:>5}  "
    if "skipped" in row:
        return f"{start}{mode:<10}skipped: {row['skipped']}"
    mode += ", twice" if row["checkpointing"] else ""
    return (
        f"{start}{mode:<10}{row['images_per_second']:>8.2f}"
        f"{_shown(row['plain_images_per_second'], 8)}{_shown(row['times_plain'], 6)}"
        f"{row['share_of_roofline']:>9.1%}{_shown(row['peak_bytes'], 7, 1e9, 1)}"
        f"{_shown(row['plain_peak_bytes'], 7, 1e9, 1)}{_shown(row['estimate_over_peak'], 9)}"
    )


def _shown(value: float | None, width: int, unit: float = 1.0, digits: int = 2) -> str:
    return f"{'-':>{width}}" if value is None else f"{value / unit:>{width}.{digits}f}"


def _draw_weights(model: torch.nn.Module, device: torch.device) -> None:
    generator = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.02, generator=generator)
            else:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)


def _pair(number: int, side: int) -> Pair:
    return Pair(
        key=str(number),
        path=Path(str(number)),
        content=f"{number:064x}",
        caption=f"caption {number}",
        label="",
        dataset="",
        origin="",
        patient=None,
        lesion=None,
        width=side,
        height=side,
    )


def _set_layers(bench: Bench, *, direct: bool) -> None:
    compute_as_peft(bench.denoiser)
    if direct:
        shape = training_config(PLANS[0], bench.rank).lora
        compute_directly(bench.denoiser, shape, bench.groups, bench.device)


def _set_checkpointing(denoiser: Any, *, on: bool) -> None:
    if on:
        denoiser.enable_gradient_checkpointing()
    else:
        denoiser.disable_gradient_checkpointing()


def _set_compiled(denoiser: Any, *, on: bool) -> None:
    if on:
        compile_blocks(denoiser)
        return
    for block in (*denoiser.transformer_blocks, *denoiser.single_transformer_blocks):
        block._compiled_call_impl = None  # noqa: SLF001 - torch has no way to undo `compile`


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: torch.device) -> int | None:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


if __name__ == "__main__":
    main()
