"""Configurations to start from: what each is for, what it needs, and what it sets."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from backend.finetuning.config import Targets, TrainingConfig
from backend.finetuning.errors import FinetuningError
from backend.generation.lora.layouts import Family

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Preset:
    """A partial TrainingConfig with a reason; `family` is the kind of base that it is for."""

    name: str
    title: str
    reason: str
    needs: str
    family: Family
    values: Values


_FLUX_DEV: Values = {"base": "FLUX.1-dev", "resolutions": (128, 256, 512), "epochs": 5}
_PAPER: Values = {
    **_FLUX_DEV,
    "lora": {"rank": 64, "alpha": 64, "targets": Targets.ATTENTION},
    "batch": 4,
    "compile": True,
}
_SD_SAMPLING: Values = {"sample_steps": 50, "sample_guidance": 7.5, "guidance": 0.0}
_LISTED = (
    Preset(
        name="paper",
        title="As in the paper",
        reason="Rank 64 on attention, 128, 256 and 512 px, five epochs: what the paper states.",
        needs="FLUX.1-dev and a GPU of 48 GB, better 80 GB.",
        family=Family.FLUX,
        values=_PAPER,
    ),
    Preset(
        name="authors-layout",
        title="The authors' layout",
        reason="Every linear layer of the blocks, fused as in the authors' own file of 612 MB.",
        needs="FLUX.1-dev and a GPU of 80 GB.",
        family=Family.FLUX,
        values={
            **_PAPER,
            "lora": {
                "rank": 64,
                "alpha": 64,
                "targets": Targets.ALL_LINEAR_LAYERS,
                "fused": True,
            },
        },
    ),
    Preset(
        name="24gb",
        title="A GPU of 24 GB",
        reason="The base in 4 bits and checkpointing, since 12 billion weights in bf16 are 24 GB "
        "by themselves; T5 at 128 tokens, which is then also used for sampling.",
        needs="FLUX.1-dev and a GPU of 24 GB.",
        family=Family.FLUX,
        values={
            **_FLUX_DEV,
            "lora": {"rank": 32, "alpha": 32},
            "batch": 2,
            "accumulate": 2,
            "precision": "nf4",
            "checkpointing": "on",
            "t5_length": 128,
        },
    ),
    Preset(
        name="12gb",
        title="A GPU of 12 GB",
        reason="The base in 4 bits, one image at a time up to 256 px and a small rank: the least "
        "memory that FLUX.1-dev learns in.",
        needs="FLUX.1-dev and a GPU of 12 GB.",
        family=Family.FLUX,
        values={
            **_FLUX_DEV,
            "resolutions": (128, 256),
            "lora": {"rank": 16, "alpha": 16},
            "batch": 1,
            "accumulate": 4,
            "precision": "nf4",
            "checkpointing": "on",
            "t5_length": 128,
            "sample_every": 0,
        },
    ),
    Preset(
        name="starter-cpu",
        title="The starter on a CPU",
        reason="Learns from real images at 128 px on the model that comes with the studio, in an "
        "hour or two on two cores.",
        needs="No GPU and no download; about 2 GB of memory.",
        family=Family.FLUX,
        values={
            "base": "starter",
            "resolutions": (128,),
            "lora": {"rank": 64, "alpha": 64, "targets": Targets.ALL_LINEAR_LAYERS},
            "steps": 1_200,
            "batch": 20,
            "learning_rate": 5e-4,
            "warmup": 50,
            "ema_decay": 0.99,
            "caption_dropout": 0.1,
            "precision": "fp32",
            "checkpointing": "off",
            "checkpoint_every": 150,
            "validate_every": 150,
            "validation_images": 64,
            "sample_every": 300,
            "sample_steps": 20,
        },
    ),
    Preset(
        name="lesiongen",
        title="LesionGen",
        reason="The baseline of LesionGen: Stable Diffusion 1.4 at rank 64, 256 px, a constant "
        "learning rate of 1e-5 and 15,000 steps of 1 x 4 images.",
        needs="Stable Diffusion 1.4 and a GPU of 8 GB.",
        family=Family.SD1,
        values={
            "base": "stable-diffusion-v1-4",
            "resolutions": (256,),
            "lora": {"rank": 64, "alpha": 64},
            "steps": 15_000,
            "batch": 1,
            "accumulate": 4,
            "learning_rate": 1e-5,
            "warmup": 0,
            **_SD_SAMPLING,
        },
    ),
    Preset(
        name="derm-t2im",
        title="Derm-T2IM",
        reason="The baseline of Derm-T2IM: Stable Diffusion 1.x by LoRA on 512 px images of both "
        "classes; its learning rate is not published, so this one is ours.",
        needs="Stable Diffusion 1.4 and a GPU of 12 GB.",
        family=Family.SD1,
        values={
            "base": "stable-diffusion-v1-4",
            "resolutions": (512,),
            "lora": {"rank": 64, "alpha": 64},
            "epochs": 10,
            "batch": 4,
            "learning_rate": 1e-4,
            **_SD_SAMPLING,
        },
    ),
)
PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in _LISTED})


def find_preset(name: str) -> Preset:
    """The preset of this name; raises FinetuningError for none."""
    if name not in PRESETS:
        raise FinetuningError(
            f"There is no preset {name}: choose one of these: {', '.join(PRESETS)}."
        )
    return PRESETS[name]


def configure(preset: str | None, overrides: Values) -> TrainingConfig:
    """A configuration from a preset and what was chosen explicitly, which wins field by field.

    `overrides` may hold parts of `data` and `lora`, whose other fields stay those of the preset.

    Raises:
        FinetuningError: no such preset, an unknown field, or a value that cannot be used.
    """
    values = find_preset(preset).values if preset else {}
    try:
        return TrainingConfig.model_validate(_merged(values, overrides))
    except ValidationError as error:
        raise FinetuningError(_sentence(error)) from error


def _merged(below: Values, above: Values) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        before = merged.get(name)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[name] = _merged(before, value)
        else:
            merged[name] = value
    return merged


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    problem = first["msg"].removeprefix("Value error, ").rstrip(".")
    return (
        f"The setting {field or 'of the run'} cannot be used: {problem[:1].lower()}{problem[1:]}."
    )
