"""Seconds an image, memory and error of the speed profiles on a full-size FLUX.1, on one GPU.

    python -m benchmarks.generate_gpu [--sizes 512 1024] [--text-lengths 512 128] [--json]

The transformer and the autoencoder have FLUX.1-dev's shapes and random bf16 weights, which take as
long as trained ones; they are written to a temporary folder (24 GB of disk) and loaded by the
studio's own code. One LoRA of rank 16 acts on all attention. Captions come as random embeddings:
text encoders are in no figure. "plain" is `FluxPipeline` of diffusers with the same weights, LoRA,
noise and embeddings; "cache and fp8" is fast with the first-block cache and weights in 8 bits.
The first image of each (which compiles) does not count; seconds are medians. Error is
|z - z_exact| / |z_exact| over the final latents.
"""

import argparse
import gc
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from backend.finetuning.architectures import FLUX_1
from backend.generation.denoising import TextEmbeddings
from backend.generation.lora.choice import ChosenLora, choose_loras
from backend.generation.lora.shelf import add_lora
from backend.generation.models import ModelEntry, usable_model
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
    Plan,
    best_attention,
    make_plan,
)
from backend.settings import Settings, prepare_workspace
from backend.store.database import open_database

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
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--text-lengths", type=int, nargs="+", default=[512, 128])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit(
            "This benchmark needs an NVIDIA GPU with 40 GB, and torch finds none here: run it on "
            "such a machine, or `python -m benchmarks.generate` for the CPU."
        )
    quiet_libraries()
    with tempfile.TemporaryDirectory(prefix="dermaflux-benchmark-") as folder:
        bench = prepare(Path(folder), TRANSFORMER, VAE, options.steps, options.repeats)
        plans = gpu_plans(best_attention(torch.cuda.get_device_capability()))
        figures = measure(bench, plans, options.sizes, options.text_lengths)
    print(json.dumps(figures, indent=2) if options.json else table(figures))


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

    Weights are drawn on the device: twelve billion take a minute there, many on a CPU.
    """
    from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel

    torch.manual_seed(SEED)
    for name, kind, config in (
        ("transformer", FluxTransformer2DModel, transformer),
        ("vae", AutoencoderKL, vae),
    ):
        with torch.device(device), _default_dtype(torch.bfloat16):
            kind(**config).save_pretrained(folder / name)
        release(device)
    FlowMatchEulerDiscreteScheduler(
        shift=3.0, use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15
    ).save_pretrained(folder / "scheduler")
    for part in TEXT_PARTS:
        shutil.copytree(text / part, folder / part)
    shutil.copyfile(text / "model_index.json", folder / "model_index.json")


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
    bench: Bench, plans: Mapping[str, Plan], sizes: Sequence[int], lengths: Sequence[int]
) -> dict[str, Any]:
    """Seconds, peak memory and error of each variant, at each size and text length."""
    cases = [(side, length) for side in sizes for length in lengths]
    runs: dict[str, list[dict[str, Any]]] = {PLAIN: measure_plain(bench, cases)}
    for name, plan in plans.items():
        release(bench.device.kind)
        runs[name] = measure_plan(bench, plan, cases)
    exact = [run["latents"] for run in runs["exact"]]
    rows = []
    for name, made in runs.items():
        for run, wanted, plain in zip(made, exact, runs[PLAIN], strict=True):
            error = float((run["latents"] - wanted).norm() / wanted.norm())
            ratio = plain["seconds"] / run["seconds"]
            figures = {key: value for key, value in run.items() if key != "latents"}
            rows.append({"variant": name, **figures, "times_plain": ratio, "error": error})
    return {
        "device": bench.device.name,
        "precision": bench.device.precision,
        "torch": torch.__version__,
        "steps": bench.steps,
        "repeats": bench.repeats,
        "accelerations": {name: plan.accelerations for name, plan in plans.items()},
        "rows": rows,
    }


def measure_plain(bench: Bench, cases: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """`FluxPipeline` as its documentation calls it."""
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

    return _measure_cases(bench, cases, pipeline.transformer.config, image)


def measure_plan(
    bench: Bench, plan: Plan, cases: Sequence[tuple[int, int]]
) -> list[dict[str, Any]]:
    """The studio's own way with a plan."""
    model = load_model(bench.settings, bench.entry, bench.device, plan, loras=bench.loras)
    set_loras(model, bench.loras)

    def image(request: GenerationRequest, text: TextEmbeddings) -> torch.Tensor:
        latents: dict[str, torch.Tensor] = {}

        def after_step(_index: int, values: torch.Tensor, _sigmas: torch.Tensor) -> None:
            latents["last"] = values

        render(model, request, text, after_step)
        return latents["last"]

    return _measure_cases(bench, cases, model.pipeline.transformer.config, image)


def table(figures: Mapping[str, Any]) -> str:
    """The figures for people."""
    head = f"{'variant':<22}{'px':>6}{'T5':>5}{'s/image':>9}{'x plain':>9}{'GB':>7}{'error':>9}"
    lines = [f"{figures['device']}, {figures['steps']} steps, torch {figures['torch']}", head]
    for row in figures["rows"]:
        memory = "-" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 1e9:.1f}"
        lines.append(
            f"{row['variant']:<22}{row['size']:>6}{row['text_length']:>5}{row['seconds']:>9.3f}"
            f"{row['times_plain']:>9.2f}{memory:>7}{row['error']:>9.4f}"
        )
    return "\n".join(lines)


def release(device: str) -> None:
    """Give memory back between two variants."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def _measure_cases(
    bench: Bench,
    cases: Sequence[tuple[int, int]],
    config: Mapping[str, Any],
    image: Callable[[GenerationRequest, TextEmbeddings], torch.Tensor],
) -> list[dict[str, Any]]:
    rows = []
    for side, length in cases:
        request, text = bench.request(side, length), _embeddings(bench.device, config, length)
        image(request, text)
        _reset_peak(bench.device)
        seconds = []
        for _ in range(bench.repeats):
            started = _now(bench.device)
            latents = image(request, text)
            seconds.append(_now(bench.device) - started)
        rows.append(
            {
                "size": side,
                "text_length": length,
                "seconds": median(seconds),
                "peak_bytes": _peak(bench.device),
                "latents": latents.float().cpu(),
            }
        )
    return rows


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
