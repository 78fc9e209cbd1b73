"""Images per second of the LoRA trainer beside a plain loop in the manner of diffusers' example.

    python -m benchmarks.train [--steps 40] [--batch 20] [--pairs FOLDER] [--threads 2] [--json]

Both train the same LoRA (all linear layers, rank 64, the same first numbers) on the starter, from
the same pairs in the same order at 128 px, in this process, taking turns of a few steps, so that
whatever else the machine does meets both. The plain loop is that of diffusers'
`train_dreambooth_lora_flux.py` without its options: it decodes and encodes images and captions in
each step, draws sigmas logit-normal without a shift, has AdamW update tensor by tensor and reads
the loss after every step. Latents and captions of ours are encoded before the clock starts and are
told apart, as "cache". Held-out loss is that of the trainer's own validation, without a moving
average. Without --pairs phantoms of 512 px are drawn, the size of the corpus's standard copies.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor

from backend.abc.attributes import LesionAttributes
from backend.abc.grammar import write_caption
from backend.abc.sampling import sample_split
from backend.finetuning.config import TrainingConfig
from backend.finetuning.run_folder import RunFolder, write_config
from backend.generation.pipelines import quiet_libraries
from backend.images import open_image
from backend.settings import Settings, prepare_workspace
from training.lora.adapter import Lora, compute_as_peft
from training.lora.latents import fitted
from training.lora.loop import learn
from training.lora.objective import image_ids
from training.lora.preparation import Work, prepare
from training.lora.reporting import Reporter
from training.lora.stepping import learning_rate_at
from training.lora.stopwatch import Stopwatch
from training.lora.tracking import Trackers
from training.lora.validation import means, sums_of_losses

TURN = 5
PHANTOMS, PHANTOM_SIDE = 120, 512


@dataclass(frozen=True)
class Result:
    """Images per second of both, their ratio, held-out loss before and after, seconds of the
    cache."""

    steps: int
    batch: int
    threads: int
    ours: float
    plain: float
    ratio: float
    loss_before: float
    loss_ours: float
    loss_plain: float
    cache_seconds: float
    seconds_ours: dict[str, float]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    quiet_libraries()
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as folder:
        pairs = asked.pairs or draw_pairs(Path(folder) / "pairs")
        result = measure(Path(folder), pairs, asked.steps, asked.batch, asked.threads)
    if asked.json:
        print(json.dumps(asdict(result), indent=1))
        return
    print(f"{result.steps} steps of {result.batch} images at 128 px, {result.threads} threads")
    print(f"ours   {result.ours:6.2f} images/s   held-out loss {result.loss_ours:.4f}")
    print(f"plain  {result.plain:6.2f} images/s   held-out loss {result.loss_plain:.4f}")
    print(f"ratio  {result.ratio:6.2f}            before        {result.loss_before:.4f}")
    print(f"cache  {result.cache_seconds:6.1f} s, once for all runs on these images")


def draw_pairs(folder: Path) -> Path:
    """Phantoms with captions that say what they show."""
    import numpy as np

    from backend.phantom import render

    folder.mkdir(parents=True)
    rows = []
    for number in range(PHANTOMS):
        shown: LesionAttributes = sample_split(np.random.default_rng(number), held_out=False)
        pixels = render(shown, size=PHANTOM_SIDE, seed=number).image
        Image.fromarray(pixels).save(folder / f"{number}.jpg", quality=95)
        label = shown.label.value if shown.label else ""
        text = write_caption(shown, seed=number)
        rows.append({"file_name": f"{number}.jpg", "text": text, "label": label})
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def measure(folder: Path, pairs: Path, steps: int, batch: int, threads: int) -> Result:
    """Both loops by turns, from the same first numbers."""
    start = time.perf_counter()
    work = ready(folder, pairs, steps, batch)
    cache = time.perf_counter() - start
    before = held_out_loss(work)
    plain = PlainTrainer(ready(folder, pairs, steps, batch))
    watch = Stopwatch(torch.device("cpu"))
    spent = {"ours": 0.0, "plain": 0.0}
    turns: dict[str, Callable[[int], object]] = {
        "ours": lambda number: learn(work, number, watch),
        "plain": plain.step,
    }
    for first in range(0, steps, TURN):
        for name, step in turns.items():
            begun = time.perf_counter()
            for number in range(first, min(first + TURN, steps)):
                step(number)
            spent[name] += time.perf_counter() - begun
    images = steps * batch
    return Result(
        steps=steps,
        batch=batch,
        threads=threads,
        ours=images / spent["ours"],
        plain=images / spent["plain"],
        ratio=spent["plain"] / spent["ours"],
        loss_before=before,
        loss_ours=held_out_loss(work),
        loss_plain=held_out_loss(plain.work),
        cache_seconds=cache,
        seconds_ours=watch.read(),
    )


def ready(folder: Path, pairs: Path, steps: int, batch: int) -> Work:
    """The trainer with everything in memory, its captions encoded, and nothing learnt."""
    settings = Settings(workspace=folder / "workspace", device="cpu")
    prepare_workspace(settings)
    config = TrainingConfig.model_validate(
        {
            "base": "starter",
            "data": {"folder": str(pairs)},
            "lora": {"rank": 64, "alpha": 64, "targets": "all linear layers of the blocks"},
            "resolutions": (128,),
            "steps": steps,
            "batch": batch,
            "learning_rate": 5e-4,
            "warmup": 10,
            "precision": "fp32",
            "checkpointing": "off",
            "sample_every": 0,
        }
    )
    run = RunFolder(folder / "run")
    write_config(run, config)
    report = Reporter(run, speaks=False, steps=steps, trackers=Trackers())
    work = prepare(settings, run, config, Accelerator(cpu=True), report)
    work.batches.prepare_texts(work.texts, 0, steps)
    return work


def held_out_loss(work: Work) -> float:
    """The trainer's own validation."""
    if work.held_out is None:
        raise SystemExit("The pairs leave nothing to hold out: give more of them.")
    found = sums_of_losses(
        work.held_out,
        work.objective,
        work.base.denoiser,
        work.latents,
        work.texts,
        batch=work.config.batch,
        device=torch.device("cpu"),
    )
    line = means([found]) or {}
    return float(str(line.get("loss")))


class PlainLoop:
    """The example's step once images and captions are encoded, on a denoiser with a LoRA.

    `autocast` is what the example's Accelerator computes in, None for fp32.
    """

    def __init__(
        self,
        denoiser: Any,
        lora: Lora,
        config: TrainingConfig,
        device: torch.device,
        *,
        autocast: torch.dtype | None = None,
    ) -> None:
        self._denoiser, self._lora, self._config = denoiser, lora, config
        self._device, self._autocast = device, autocast
        self.generator = torch.Generator(device).manual_seed(1)
        foreach = device.type == "cuda"
        self._optimizer = torch.optim.AdamW(
            lora.tensors, lr=config.learning_rate, weight_decay=0.01, foreach=foreach
        )

    def step(
        self, number: int, latents: Tensor, prompts: Tensor, pooled: Tensor, text_ids: Tensor
    ) -> float:
        """One step on scaled latents (B, C, h, w); returns its loss."""
        from diffusers import FluxPipeline

        count, channels, height, width = latents.shape
        device, generator = self._device, self.generator
        noise = torch.randn(latents.shape, generator=generator, device=device)
        sigmas = torch.sigmoid(torch.randn(count, generator=generator, device=device))
        weight = sigmas.view(-1, 1, 1, 1)
        noisy = (1 - weight) * latents + weight * noise
        packed = FluxPipeline._pack_latents(noisy, count, channels, height, width)  # noqa: SLF001
        with torch.autocast(
            device.type, self._autocast or torch.bfloat16, enabled=self._autocast is not None
        ):
            said = self._denoiser(
                hidden_states=packed,
                timestep=sigmas,
                guidance=torch.ones(count, device=device),
                pooled_projections=pooled,
                encoder_hidden_states=prompts,
                txt_ids=text_ids,
                img_ids=image_ids(height // 2, width // 2, device),
                return_dict=False,
            )[0]
        said = FluxPipeline._unpack_latents(said, height * 8, width * 8, 8)  # noqa: SLF001
        target = noise - latents
        loss = ((said.float() - target.float()) ** 2).reshape(count, -1).mean(1).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._lora.tensors, self._config.max_grad_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate_at(self._config, number)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return float(loss.detach())


class PlainTrainer:
    """The loop of the example with its images and captions, on a base and a LoRA of its own."""

    def __init__(self, work: Work) -> None:
        self.work = work
        compute_as_peft(work.base.denoiser)
        self._loop = PlainLoop(work.base.denoiser, work.lora, work.config, torch.device("cpu"))

    def step(self, number: int) -> float:
        """One step; returns its loss."""
        work = self.work
        pipeline: Any = work.base.pipeline
        bucket, pairs = work.batches.pairs_of(number)
        images = torch.stack([pixels(pair.path, bucket) for pair in pairs])
        with torch.no_grad():
            latents = pipeline.vae.encode(images).latent_dist.sample(self._loop.generator)
            prompts, pooled, text_ids = pipeline.encode_prompt(
                prompt=[pair.caption for pair in pairs],
                prompt_2=None,
                max_sequence_length=work.base.entry.max_sequence_length,
            )
        return self._loop.step(number, work.objective.scaled(latents), prompts, pooled, text_ids)


def pixels(path: Path, bucket: Any) -> torch.Tensor:
    """An image (3, H, W) in -1..1, decoded and scaled down now."""
    import numpy as np

    image = np.array(fitted(open_image(path), bucket))
    return torch.from_numpy(image).permute(2, 0, 1).float() / 127.5 - 1


if __name__ == "__main__":
    main()
