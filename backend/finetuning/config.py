"""What a training run is asked to do: one object for page, commands and program."""

from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from backend.generation.request import SIZE_MULTIPLE

LONGEST_TEXT = 512


class Targets(StrEnum):
    """Which layers of the transformer blocks, or of the U-Net's attention blocks, get a LoRA."""

    ATTENTION = "attention"
    ATTENTION_AND_FEED_FORWARD = "attention and feed-forward"
    ALL_LINEAR_LAYERS = "all linear layers of the blocks"


class Precision(StrEnum):
    """What the frozen base is held in; LoRA, Adam and moving average are always fp32.

    fp16 is missing on purpose: FLUX overflows in it.
    """

    FP32 = "fp32"
    BF16 = "bf16"
    NF4 = "nf4"


class Checkpointing(StrEnum):
    """Whether activations are computed twice to save memory; `auto` only where it must be."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainingData(_Part):
    """The pairs: a version of a caption set, or a folder with `metadata.jsonl`; never both.

    `subset` keeps those of a corpus subset alone. `validation_share` of the patients are held out,
    with their lesions and near-duplicates. `version` None is the newest, until the run is planned.
    """

    caption_set: str | None = None
    version: int | None = Field(None, ge=1)
    subset: str | None = None
    folder: Path | None = None
    validation_share: float = Field(0.1, ge=0, le=0.5)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.caption_set is None) == (self.folder is None):
            raise ValueError("choose a caption set or a folder with metadata.jsonl, one of the two")
        return self


class LoraShape(_Part):
    """Rank, alpha and targets; `fused` shares what goes down between queries, keys and values, as
    the authors' layout has it."""

    rank: int = Field(64, ge=1, le=512)
    alpha: float = Field(64, gt=0)
    targets: Targets = Targets.ATTENTION
    fused: bool = False


class TrainingConfig(_Part):
    """A whole run.

    Sides are in pixels, `t5_length` in tokens, `sample_every` and the like in optimiser steps.
    `steps` counts optimiser steps and wins over `epochs` where it is given. `batch` is images a
    step and process; `accumulate` batches make one step. `flip` mirrors images, and is refused
    where captions speak of left and right. `guidance` is what the base's guidance embedding is
    given while it learns: 1.0, not the 3.5 of sampling.
    """

    title: str = Field("", max_length=200)
    base: str = "starter"
    data: TrainingData
    lora: LoraShape = LoraShape()
    resolutions: tuple[int, ...] = Field((512,), min_length=1)
    epochs: int = Field(5, ge=1, le=10_000)
    steps: int | None = Field(None, ge=1)
    batch: int = Field(4, ge=1, le=4096)
    accumulate: int = Field(1, ge=1, le=1024)
    learning_rate: float = Field(1e-4, gt=0, le=1)
    warmup: int = Field(100, ge=0)
    weight_decay: float = Field(0.01, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    ema_decay: float = Field(0.0, ge=0, lt=1)
    caption_dropout: float = Field(0.1, ge=0, le=1)
    flip: bool = False
    guidance: float = Field(1.0, ge=0)
    t5_length: int | None = Field(None, ge=8, le=LONGEST_TEXT)
    precision: Precision = Precision.BF16
    checkpointing: Checkpointing = Checkpointing.AUTO
    compile: bool = False
    seed: int = Field(0, ge=0)
    checkpoint_every: int = Field(500, ge=1)
    keep_checkpoints: int = Field(2, ge=1)
    validate_every: int = Field(250, ge=1)
    validation_images: int = Field(256, ge=0)
    sample_every: int = Field(500, ge=0)
    sample_captions: tuple[str, ...] = ()
    sample_steps: int = Field(20, ge=1, le=100)
    sample_guidance: float | None = Field(None, ge=0)
    processes: int = Field(1, ge=1, le=1024)
    tensorboard: bool = False
    trackio: bool = False

    @model_validator(mode="after")
    def _usable_sides(self) -> Self:
        bad = next((side for side in self.resolutions if side % SIZE_MULTIPLE or side <= 0), None)
        if bad is not None:
            raise ValueError(f"the side {bad} is not a multiple of {SIZE_MULTIPLE}")
        return self
