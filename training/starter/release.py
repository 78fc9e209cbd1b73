"""The finished pipeline in the hub's own folder layout, with its card and its log."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
)
from safetensors.torch import save_file
from torch import Tensor, nn

from backend.generation.attribute_guidance.classifier import NoisyClassifier
from backend.generation.attribute_guidance.files import CONFIG, WEIGHTS, ClassifierConfig
from backend.generation.families import ATTRIBUTE_CLASSIFIER
from training.starter.config import IMAGE_SIZE, RunFolder, StarterConfig
from training.starter.text import TextEncoders

STEPS = 20
GUIDANCE_SCALE = 3.5
TITLE = "DermaFlux starter"
GUIDANCE = {
    "strengths": {"asymmetry": 30.0, "border": 48.0, "edge": 5.0, "skin_tone": 5.0, "colours": 5.0},
    "temperature": 3.0,
    "highest_sigma": 0.95,
}
"""How the classifier leads: stronger, and with flatter logits, where values lie close together."""
_PARTS = ("transformer", "vae", "text_encoder", "text_encoder_2")


def assemble(
    encoders: TextEncoders,
    autoencoder: AutoencoderKL,
    latents: dict[str, Tensor],
    transformer: FluxTransformer2DModel,
) -> FluxPipeline:
    """A FLUX pipeline in bf16, ready to be saved or called."""
    autoencoder.register_to_config(
        scaling_factor=round(float(latents["scale"]), 5),
        shift_factor=round(float(latents["shift"]), 5),
    )
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15,
            base_image_seq_len=256, max_image_seq_len=4096,
        ),
        vae=autoencoder.to(torch.bfloat16),
        text_encoder=encoders.clip.to(torch.bfloat16),
        tokenizer=encoders.clip_tokenizer,
        text_encoder_2=encoders.t5.to(torch.bfloat16),
        tokenizer_2=encoders.t5_tokenizer,
        transformer=transformer.to(torch.bfloat16),
    )  # fmt: skip


def read_release(
    folder: Path, config: StarterConfig
) -> tuple[TextEncoders, AutoencoderKL, FluxTransformer2DModel]:
    """The parts of a released pipeline in fp32, encoders and autoencoder frozen, to go on from."""
    pipeline = FluxPipeline.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    for module in (pipeline.text_encoder, pipeline.text_encoder_2, pipeline.vae):
        module.requires_grad_(requires_grad=False).eval()
    encoders = TextEncoders(
        pipeline.tokenizer,
        pipeline.text_encoder,
        pipeline.tokenizer_2,
        pipeline.text_encoder_2,
        config.t5_length,
    )
    return encoders, pipeline.vae, pipeline.transformer


def write_release(
    config: StarterConfig,
    run: RunFolder,
    pipeline: FluxPipeline,
    classifier: NoisyClassifier,
    destination: Path,
) -> None:
    """Write the folder aside and put it in the place of the old one, whose LoRAs it keeps."""
    aside = destination.with_name(destination.name + ".aside")
    old = destination.with_name(destination.name + ".old")
    shutil.rmtree(aside, ignore_errors=True)
    pipeline.save_pretrained(aside, safe_serialization=True)
    save_classifier(config, classifier, aside)
    (aside / "dermaflux.json").write_text(json.dumps(_card_facts(config), indent=2) + "\n")
    (aside / "README.md").write_text(_card(config, run, pipeline, classifier))
    shutil.copyfile(run.log, aside / "training_log.jsonl")
    if (destination / "loras").exists():
        shutil.copytree(destination / "loras", aside / "loras")
    shutil.rmtree(old, ignore_errors=True)
    if destination.exists():
        destination.replace(old)
    aside.replace(destination)
    shutil.rmtree(old, ignore_errors=True)


def save_classifier(config: StarterConfig, classifier: NoisyClassifier, model: Path) -> None:
    """Write the classifier in bf16 into the folder of a model."""
    folder = model / ATTRIBUTE_CLASSIFIER
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: tensor.to("cpu", torch.bfloat16).contiguous()
        for name, tensor in classifier.state_dict().items()
    }
    save_file(state, folder / WEIGHTS)
    made = ClassifierConfig.model_validate(
        {"width": config.classifier_width, "image_size": IMAGE_SIZE, **GUIDANCE}
    )
    (folder / CONFIG).write_text(made.model_dump_json(indent=2) + "\n")


def _card_facts(config: StarterConfig) -> dict[str, object]:
    return {
        "title": TITLE,
        "sizes": [IMAGE_SIZE],
        "steps": STEPS,
        "guidance_scale": GUIDANCE_SCALE,
        "max_sequence_length": config.t5_length,
        "licence": "Apache-2.0",
        "description": "A small FLUX trained on drawn phantoms only. It shows how the studio "
        "works; its images are not realistic enough for research and never for diagnosis.",
    }


def _card(
    config: StarterConfig, run: RunFolder, pipeline: FluxPipeline, classifier: NoisyClassifier
) -> str:
    parts = {name: getattr(pipeline, name) for name in _PARTS} | {ATTRIBUTE_CLASSIFIER: classifier}
    rows = "\n".join(
        f"| `{name}` | {type(part).__name__} | {_millions(part):.2f} M |"
        for name, part in parts.items()
    )
    return f"""---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-image
---

# {TITLE}

A small FLUX pipeline that makes {IMAGE_SIZE} x {IMAGE_SIZE} pictures of skin lesions from captions
that state asymmetry, border and colours. It was trained from nothing on {config.phantoms:,} drawn
phantoms (`backend/phantom`) and captions of our grammar (`backend/abc`); it has never seen a
photograph of a person. **Every picture is synthetic. Not for diagnosis.**

| part | class | parameters |
|---|---|---|
{rows}

- Load: `FluxPipeline.from_pretrained("assets/starter")`; call with `max_sequence_length=\
{config.t5_length}`, {STEPS} steps, guidance {GUIDANCE_SCALE}.
- Method: rectified flow, shifted logit-normal sigmas, velocity target, moving average of the
  weights, {config.caption_dropout:.0%} caption dropout; batches of siblings, which differ in
  asymmetry or border alone and share their noise; Muon for the matrices of the blocks, AdamW for
  the rest. Then guidance distillation, so that the guidance scale works as in FLUX.1-dev; its
  teacher is guided away from the empty caption and from the other asymmetries and borders.
- Attribute guidance: `attribute_classifier` tells asymmetry, border, edge, skin tone and colours
  from noisy latents. In the studio its gradient leads every step to what the caption states
  (Dhariwal and Nichol 2021); `FluxPipeline` alone does not use it. It was trained on phantoms, also
  on such as lie between two values. The meter that scores adherence has no part in its training;
  its strengths were chosen by that meter, on captions of `adherence --seed 0`.
- Held out: {_held_out()} of the combinations of asymmetry, border, colours and skin tone never
  occur in training; `python -m backend adherence --model starter` measures on them.
- The autoencoder saw its phantoms in other hues, with finer structure and with grain laid over
  them too, so that photographs keep theirs. Its first three latent channels are held near the mean
  colours of their blocks, and at the end its decoder alone learns the energies of fine structure.
  The flow saw every phantom and its three mirror images.
- Again: `python -m training.starter` repeats every stage on a CPU or a GPU and takes up where it
  stopped. Its numbers for a CPU are in `training/starter/config.py`; those of this model are in the
  log, and `--set` takes them.

## What the log says

{_log_table(run)}

`training_log.jsonl` beside this card holds every line.
"""


def _held_out() -> str:
    from backend.abc.sampling import HELD_OUT_SHARE

    return f"{HELD_OUT_SHARE:.0%}"


def _log_table(run: RunFolder) -> str:
    events = [json.loads(line) for line in run.log.read_text().splitlines()]
    last = {event["stage"]: event for event in events}
    rows = ["| stage | last line of the log |", "|---|---|"]
    for stage, event in last.items():
        shown = ", ".join(
            f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in event.items()
            if key not in ("time", "stage")
        )
        rows.append(f"| {stage} | {shown} |")
    return "\n".join(rows)


def _millions(module: nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6
