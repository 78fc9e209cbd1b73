"""Seconds an image, memory and error of the speed profiles on a full-size FLUX.1, on one GPU.

    python -m benchmarks.generate_gpu [--sizes 1024 512] [--text-lengths 512 128] [--repeats 2]
        [--budget SECONDS] [--out FILE] [--json]

The transformer and the autoencoder have FLUX.1-dev's shapes and random bf16 weights, which take as
long as trained ones; they are written to a temporary folder (24 GB, in memory where /dev/shm has
room for them) and loaded by the studio's own code. One LoRA of rank 16 acts on all attention.
Captions come as random embeddings: text encoders are in no figure. "plain" is `FluxPipeline` of
diffusers with the same weights, LoRA, noise and embeddings; "fast, cache and fp8" is fast with the
first-block cache and with weights and products in 8 bits. Two steps before the first image of each
row (which compile) do not count; seconds are medians. Error is |z - z_exact| / |z_exact| over the
final latents. A card with room for all variants keeps them, and their memory is told apart.

With --budget everything ends within so many seconds: rows that were not reached are named under
"left_out", and FILE holds what is measured after each row, so that a stopped run has figures too.
"""

import argparse
import gc
import hashlib
import json
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from backend.finetuning.architectures import FLUX_1
from backend.generation.denoising import TextEmbeddings
from backend.generation.layout import find_family, weight_files
from backend.generation.lora.choice import ChosenLora, choose_loras
from backend.generation.lora.shelf import add_lora
from backend.generation.models import ModelEntry, hash_cache, remembered_hash, usable_model
from backend.generation.pipelines import (
    Device,
    choose_device,
    load_model,
    quiet_libraries,
    render,
    set_loras,
)
from backend.generation.profile import Profile
from backend.generation.request import GenerationRequest
from backend.generation.speed.plans import (
    CACHE_THRESHOLD,
    EXACT,
    NATIVE,
    Plan,
    best_attention,
    make_plan,
)
from backend.settings import Settings, prepare_workspace
from backend.store.database import open_database
from benchmarks.budget import FAILURES, Clock, Report, end_after, reason_of, say, write_report

NAME = "FLUX.1-random"
TRANSFORMER: Mapping[str, Any] = {"patch_size": 1, **FLUX_1}
VAE: Mapping[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "latent_channels": 16,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
    "scaling_factor": 0.3611,
    "shift_factor": 0.1159,
    "sample_size": 1024,
}
TEXT_PARTS = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")
ATTENTION = (".attn.to_q", ".attn.to_k", ".attn.to_v", ".attn.to_out.0")
RANK = 16
SEED = 7
PLAIN = "plain"
WARM_STEPS = 2
IN_MEMORY = Path("/dev/shm")  # noqa: S108
FOLDER_BYTES, ALL_VARIANTS_BYTES = 30 * 10**9, 115 * 10**9
ROW_SECONDS = 6.0
"""A row that has less time left than this is not begun."""

Case = tuple[int, int]
"""Side in pixels, T5 length."""
Image = Callable[[GenerationRequest, TextEmbeddings], torch.Tensor]


@dataclass(frozen=True)
class Runner:
    """A variant in memory: how it makes an image, its transformer's shapes, and its bytes."""

    image: Image
    config: Mapping[str, Any]
    bytes: int


@dataclass(frozen=True)
class Bench:
    """What all variants share: the model's folder, its LoRA, and what is asked for."""

    settings: Settings
    entry: ModelEntry
    device: Device
    loras: tuple[ChosenLora, ...]
    steps: int
    repeats: int

    def request(self, side: int, length: int) -> GenerationRequest:
        """One image; its caption is never read."""
        return GenerationRequest(
            caption="random embeddings",
            model=self.entry.name,
            seed=SEED,
            steps=self.steps,
            width=side,
            height=side,
            max_sequence_length=length,
            loras=tuple(lora.use for lora in self.loras),
        )


def main() -> None:
    """Measure and print; one sentence where there is no GPU."""
    clock = Clock()
    options = _options()
    if not torch.cuda.is_available():
        raise SystemExit(
            "This benchmark needs an NVIDIA GPU with 40 GB, and torch finds none here: run it on "
            "such a machine, or `python -m benchmarks.generate` for the CPU."
        )
    clock = replace(clock, budget=options.budget)
    quiet_libraries()
    report = write_report(options.out)

    with tempfile.TemporaryDirectory(prefix="dermaflux-benchmark-", dir=_roomiest()) as folder:
        end_after(clock, Path(folder))
        bench = prepare(Path(folder), TRANSFORMER, VAE, options.steps, options.repeats)
        say(clock, "weights written")
        plans = gpu_plans(best_attention(torch.cuda.get_device_capability()))
        figures = measure(bench, plans, options.sizes, options.text_lengths, clock, report)
    print(json.dumps(figures, indent=2) if options.json else table(figures), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 512])
    parser.add_argument("--text-lengths", type=int, nargs="+", default=[512, 128])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--budget", type=float, default=math.inf, help="seconds for everything")
    parser.add_argument("--out", type=Path, help="a JSON file, written after each row")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def gpu_plans(attention: str) -> dict[str, Plan]:
    """The variants that the studio's own code runs, by name."""
    fast = make_plan(Profile.FAST, cuda=True, attention=attention)
    return {
        "exact": EXACT,
        "fast": fast,
        "fast, cache and fp8": replace(fast, cache_threshold=CACHE_THRESHOLD, float8=True),
    }


def prepare(
    folder: Path,
    transformer: Mapping[str, Any],
    vae: Mapping[str, Any],
    steps: int,
    repeats: int,
    device: str = "cuda",
) -> Bench:
    """A workspace in `folder` with the model and its LoRA, whose weights are drawn anew."""
    settings = Settings(workspace=folder, device="cuda" if device == "cuda" else "cpu")
    prepare_workspace(settings)
    build_model(settings.models_dir / NAME, settings.starter_dir, transformer, vae, device)
    entry = usable_model(settings, NAME)
    _remember_hash(settings, entry)
    file = folder / "lora.safetensors"
    save_lora(file, entry)
    database = open_database(settings)
    add_lora(database, settings, file, name="random")
    request = GenerationRequest.model_validate(
        {"caption": "random", "model": NAME, "seed": SEED, "loras": ({"name": "random"},)}
    )
    loras = choose_loras(database, settings, request, entry)
    database.close()
    return Bench(settings, entry, choose_device(settings), loras, steps, repeats)


def build_model(
    folder: Path, text: Path, transformer: Mapping[str, Any], vae: Mapping[str, Any], device: str
) -> None:
    """A FLUX pipeline in the hub's layout; its text parts, which nobody reads, are from `text`.

    Weights are drawn on the device: twelve billion take a moment there, many minutes on a CPU.
    """
    from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel

    torch.manual_seed(SEED)
    for name, kind, config in (
        ("transformer", FluxTransformer2DModel, transformer),
        ("vae", AutoencoderKL, vae),
    ):
        with torch.device(device), _default_dtype(torch.bfloat16):
            model = kind(**config)
        model.save_config(folder / name)
        write_weights(folder / name / "diffusion_pytorch_model.safetensors", model.state_dict())
        del model
        release(device)
    FlowMatchEulerDiscreteScheduler(
        shift=3.0, use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15
    ).save_pretrained(folder / "scheduler")
    for part in TEXT_PARTS:
        shutil.copytree(text / part, folder / part)
    shutil.copyfile(text / "model_index.json", folder / "model_index.json")


def write_weights(file: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """A safetensors file, filled from the device straight into its mapped pages."""
    header: dict[str, Any] = {}
    place = 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        kind = {torch.bfloat16: "BF16", torch.float32: "F32"}[tensor.dtype]
        header[name] = {
            "dtype": kind,
            "shape": list(tensor.shape),
            "data_offsets": [place, place + size],
        }
        place += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    start = 8 + len(text)
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.truncate(start + place)
    pages = torch.from_file(str(file), shared=True, size=start + place, dtype=torch.uint8)

    def fill(name: str) -> None:
        first, last = header[name]["data_offsets"]
        numbers = tensors[name].detach().contiguous().flatten().view(torch.uint8)
        pages[start + first : start + last].copy_(numbers)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fill, tensors))


def _remember_hash(settings: Settings, entry: ModelEntry) -> None:
    """Provenance asks for a hash of all weights, which takes longer than an image."""
    parts = find_family(entry.folder).weighted
    files = [file for part in parts for file in weight_files(entry.folder / part)]
    value = hashlib.sha256(f"random weights {SEED}".encode()).hexdigest()
    remembered_hash(files, lambda: value, cache=hash_cache(settings))


def save_lora(file: Path, entry: ModelEntry) -> None:
    """A LoRA in the layout of diffusers on every attention of the transformer."""
    from safetensors.torch import save_file

    from backend.generation.lora.fit import layer_shapes

    generator = torch.Generator().manual_seed(SEED)
    tensors = {}
    for layer, (outside, inside) in layer_shapes(entry).items():
        if layer.endswith(ATTENTION):
            name = f"transformer.{layer}"
            down = torch.randn(RANK, inside, generator=generator) / inside**0.5
            up = torch.randn(outside, RANK, generator=generator) * 0.01
            tensors[f"{name}.lora_A.weight"] = down.bfloat16()
            tensors[f"{name}.lora_B.weight"] = up.bfloat16()
    save_file(tensors, file)


def measure(
    bench: Bench,
    plans: Mapping[str, Plan],
    sizes: Sequence[int],
    lengths: Sequence[int],
    clock: Clock | None = None,
    report: Report = lambda _: None,
) -> dict[str, Any]:
    """Seconds, peak memory and error of each variant, at each size and text length.

    Where all variants fit side by side, all are measured at one text length before the next.
    """
    clock = clock or Clock()
    table = Table(bench, dict(plans), clock, report)
    keeps = _fits_all(bench.device)
    for turn in [[length] for length in lengths] if keeps else [list(lengths)]:
        for name in (PLAIN, *plans):
            for case in [(side, length) for length in turn for side in sizes]:
                table.add(name, case)
            if not keeps:
                table.forget(name)
    return table.figures


class Table:
    """Guards the figures so far and the variants that are in memory."""

    def __init__(
        self,
        bench: Bench,
        plans: dict[str, Plan],
        clock: Clock,
        report: Report,
    ) -> None:
        self._bench, self._plans, self._clock, self._report = bench, plans, clock, report
        self._runners: dict[str, Runner] = {}
        self._exact: dict[Case, torch.Tensor] = {}
        self._plain: dict[Case, float] = {}
        self._plain_latents: dict[Case, torch.Tensor] = {}
        self.figures: dict[str, Any] = {
            "device": bench.device.name,
            "precision": bench.device.precision,
            "torch": torch.__version__,
            "steps": bench.steps,
            "repeats": bench.repeats,
            "accelerations": {name: plan.accelerations for name, plan in plans.items()},
            "rows": [],
            "left_out": [],
        }

    def add(self, name: str, case: Case) -> None:
        """Measure a row, or name why it is left out."""
        reason = self._try(name, case)
        plan = self._plans.get(name)
        if reason and plan is not None and plan.attention != NATIVE and name in self._runners:
            say(self._clock, f"{name}: {plan.attention} fails, native attention instead: {reason}")
            self.forget(name)
            self._plans[name] = replace(plan, attention=NATIVE)
            self.figures["accelerations"][name] = self._plans[name].accelerations
            reason = self._try(name, case)
        if reason:
            side, length = case
            say(self._clock, f"{name} at {side} px, T5 {length} left out: {reason}")
            self.figures["left_out"].append(
                {"variant": name, "size": side, "text_length": length, "reason": reason}
            )
        self.figures["seconds"] = round(self._clock.spent, 1)
        self._report(self.figures)

    def forget(self, name: str) -> None:
        """Give the memory of a variant back."""
        self._runners.pop(name, None)
        release(self._bench.device.kind)

    def _try(self, name: str, case: Case) -> str:
        """Empty where the row is there."""
        if self._clock.left < ROW_SECONDS:
            return "no time left"
        try:
            if name not in self._runners:
                self._runners[name] = self._open(name)
                say(self._clock, f"{name} loaded")
            run = measure_case(self._bench, self._runners[name], case)
        except FAILURES as error:
            reason = reason_of(error)
        else:
            self._keep(name, case, run)
            reason = ""
        if reason:
            release(self._bench.device.kind)
        return reason

    def _open(self, name: str) -> Runner:
        release(self._bench.device.kind)
        before = _allocated(self._bench.device)
        opened = (
            open_plain(self._bench) if name == PLAIN else open_plan(self._bench, self._plans[name])
        )
        return replace(opened, bytes=_allocated(self._bench.device) - before)

    def _keep(self, name: str, case: Case, run: dict[str, Any]) -> None:
        latents = run.pop("latents")
        if name == PLAIN:
            self._plain[case] = run["seconds"]
        if self._plans.get(name) == EXACT:
            self._exact[case] = latents
            for row in self.figures["rows"]:
                if (row["variant"], row["size"], row["text_length"]) == (PLAIN, *case):
                    row["error"] = _distance(self._plain_latents.pop(case), latents)
        elif name == PLAIN:
            self._plain_latents[case] = latents
        plain, exact = self._plain.get(case), self._exact.get(case)
        row = {
            "variant": name,
            **run,
            "times_plain": None if plain is None else plain / run["seconds"],
            "error": None if exact is None else _distance(latents, exact),
        }
        self.figures["rows"].append(row)
        say(self._clock, _line(row))


def open_plain(bench: Bench) -> Runner:
    """`FluxPipeline` as its documentation calls it, with torch's own settings."""
    from diffusers import FluxPipeline

    dtype = getattr(torch, bench.device.precision)
    pipeline = FluxPipeline.from_pretrained(
        bench.entry.folder, dtype=dtype, text_encoder=None, text_encoder_2=None
    ).to(bench.device.kind)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(str(bench.loras[0].view.path))
    latents: dict[str, torch.Tensor] = {}

    def keep(
        _pipeline: object, _index: int, _timestep: object, values: dict[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        latents["last"] = values["latents"]
        return {}

    def image(request: GenerationRequest, text: TextEmbeddings) -> torch.Tensor:
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=False, allow_tf32=True
        ):
            pipeline(
                prompt_embeds=text.prompt,
                pooled_prompt_embeds=text.pooled,
                width=request.width,
                height=request.height,
                num_inference_steps=request.steps,
                guidance_scale=request.guidance_scale,
                generator=torch.Generator("cpu").manual_seed(request.seed),
                callback_on_step_end=keep,
                output_type="np",
            )
        return latents["last"]

    return Runner(image, pipeline.transformer.config, 0)


def open_plan(bench: Bench, plan: Plan) -> Runner:
    """The studio's own way with a plan."""
    model = load_model(bench.settings, bench.entry, bench.device, plan, loras=bench.loras)
    set_loras(model, bench.loras)

    def image(request: GenerationRequest, text: TextEmbeddings) -> torch.Tensor:
        latents: dict[str, torch.Tensor] = {}

        def after_step(_index: int, values: torch.Tensor, _sigmas: torch.Tensor) -> None:
            latents["last"] = values

        render(model, request, text, after_step)
        return latents["last"]

    return Runner(image, model.pipeline.transformer.config, 0)


def measure_case(bench: Bench, runner: Runner, case: Case) -> dict[str, Any]:
    """Median seconds and peak bytes of images of one size and text length, and their latents."""
    side, length = case
    request, text = bench.request(side, length), _embeddings(bench.device, runner.config, length)
    others = _allocated(bench.device) - runner.bytes
    begun = _now(bench.device)
    runner.image(request.model_copy(update={"steps": min(WARM_STEPS, request.steps)}), text)
    warm = _now(bench.device) - begun
    _reset_peak(bench.device)
    seconds = []
    for _ in range(bench.repeats):
        started = _now(bench.device)
        latents = runner.image(request, text)
        seconds.append(_now(bench.device) - started)
    peak = _peak(bench.device)
    return {
        "size": side,
        "text_length": length,
        "seconds": median(seconds),
        "warm_up_seconds": warm,
        "peak_bytes": None if peak is None else peak - others,
        "latents": latents.float().cpu(),
    }


def table(figures: Mapping[str, Any]) -> str:
    """The figures for people."""
    head = f"{'variant':<22}{'px':>6}{'T5':>5}{'s/image':>9}{'x plain':>9}{'GB':>7}{'error':>9}"
    lines = [f"{figures['device']}, {figures['steps']} steps, torch {figures['torch']}", head]
    lines += [_line(row) for row in figures["rows"]]
    lines += [
        f"{row['variant']:<22}{row['size']:>6}{row['text_length']:>5}  left out: {row['reason']}"
        for row in figures["left_out"]
    ]
    return "\n".join(lines)


def _line(row: Mapping[str, Any]) -> str:
    memory = "-" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 1e9:.1f}"
    times = "-" if row["times_plain"] is None else f"{row['times_plain']:.2f}"
    error = "-" if row["error"] is None else f"{row['error']:.4f}"
    return (
        f"{row['variant']:<22}{row['size']:>6}{row['text_length']:>5}{row['seconds']:>9.3f}"
        f"{times:>9}{memory:>7}{error:>9}"
    )


def release(device: str) -> None:
    """Give memory back between two variants."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def _distance(latents: torch.Tensor, exact: torch.Tensor) -> float:
    return float((latents - exact).norm() / exact.norm())


def _roomiest() -> Path | None:
    """Main memory where it has a place for the weights; else where temporary files go."""
    roomy = IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > FOLDER_BYTES
    return IN_MEMORY if roomy else None


def _fits_all(device: Device) -> bool:
    return device.kind == "cpu" or torch.cuda.mem_get_info()[1] > ALL_VARIANTS_BYTES


def _embeddings(device: Device, config: Mapping[str, Any], length: int) -> TextEmbeddings:
    generator = torch.Generator().manual_seed(SEED)
    dtype = getattr(torch, device.precision)
    prompt = torch.randn(1, length, config["joint_attention_dim"], generator=generator)
    pooled = torch.randn(1, config["pooled_projection_dim"], generator=generator)
    return TextEmbeddings(prompt.to(dtype), pooled.to(dtype), length).to(device.kind)


def _now(device: Device) -> float:
    if device.kind == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _allocated(device: Device) -> int:
    return torch.cuda.memory_allocated() if device.kind == "cuda" else 0


def _reset_peak(device: Device) -> None:
    if device.kind == "cuda":
        torch.cuda.reset_peak_memory_stats()


def _peak(device: Device) -> int | None:
    return torch.cuda.max_memory_allocated() if device.kind == "cuda" else None


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


if __name__ == "__main__":
    main()
