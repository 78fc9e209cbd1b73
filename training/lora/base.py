"""The frozen base model, loaded in the precision that the device computes in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from backend.finetuning.config import Precision, TrainingConfig
from backend.finetuning.errors import FinetuningError
from backend.generation.layout import check_model_folder, weight_files
from backend.generation.lora.layouts import Family
from backend.generation.models import ModelEntry
from backend.generation.pipelines import open_pipeline
from backend.generation.weights import read_tensors
from training.attention import keep_off_cudnn_attention
from training.native_bf16 import has_native_bf16


@dataclass(frozen=True)
class Compute:
    """Where the layers compute, and in what: the precision of the frozen weights and of all that
    goes between them. Autocast would compute norms in fp32 and keep them so for the gradient, at
    twice the memory, while samples and finished LoRAs are computed without it."""

    device: torch.device
    weights: torch.dtype


@dataclass
class Base:
    """A pipeline's parts in memory; `denoiser` is the transformer or the U-Net."""

    entry: ModelEntry
    pipeline: Any
    compute: Compute

    @property
    def denoiser(self) -> Any:
        """What the LoRA changes."""
        return getattr(self.pipeline, self.entry.kind.denoiser)

    @property
    def vae(self) -> Any:
        """The autoencoder, in fp32 and, but while it is used, in main memory."""
        return self.pipeline.vae

    @property
    def text_encoders(self) -> list[nn.Module]:
        """What reads captions, in main memory but while it is used."""
        return [getattr(self.pipeline, name) for name in self.entry.kind.text_encoders]


def choose_compute(device: torch.device, precision: Precision) -> Compute:
    """bf16 where the device has it as such, else fp32: elsewhere it is emulated, and slow. On a GPU
    cuDNN's attention is switched off.

    Raises:
        FinetuningError: NF4 is asked for without a GPU.
    """
    if device.type == "cuda":
        keep_off_cudnn_attention()
        if precision is Precision.FP32:
            return Compute(device, torch.float32)
        if not torch.cuda.is_bf16_supported(including_emulation=False):
            if precision is Precision.NF4:
                raise FinetuningError(
                    "This GPU has no bfloat16, which a base in 4 bits computes in: choose the "
                    "precision fp32."
                )
            return Compute(device, torch.float32)
        return Compute(device, torch.bfloat16)
    if precision is Precision.NF4:
        raise FinetuningError(
            "A base in 4 bits needs a GPU, and there is none: choose the precision fp32."
        )
    if precision is Precision.BF16 and has_native_bf16():
        return Compute(device, torch.bfloat16)
    return Compute(device, torch.float32)


def load_base(entry: ModelEntry, config: TrainingConfig, compute: Compute) -> Base:
    """The pipeline from its folder, frozen and in evaluation mode, still in main memory.

    Raises:
        FinetuningError: it is saved in fp16, or 4 bits are asked for and cannot be had.
        ModelError: the folder is incomplete, damaged, or does not fit together.
    """
    family = check_model_folder(entry.folder)
    refuse_half(entry)
    quantised = config.precision is Precision.NF4
    parts = {family.denoiser: _quantised(entry)} if quantised else {}
    pipeline = open_pipeline(entry, family, compute.weights, parts)
    for name in family.weighted:
        getattr(pipeline, name).requires_grad_(requires_grad=False).eval()
    pipeline.vae.to(torch.float32)
    return Base(entry, pipeline, compute)


def refuse_half(entry: ModelEntry) -> None:
    """Raises FinetuningError for a FLUX denoiser saved in fp16, whose numbers overflow there."""
    if entry.family is not Family.FLUX:
        return
    for file in weight_files(entry.folder / entry.kind.denoiser):
        if any(tensor.dtype == "F16" for tensor in read_tensors(file)):
            raise FinetuningError(
                f"The base {entry.name} is saved in fp16, in which FLUX overflows: use the "
                "original in bf16."
            )


def shifts_of(pipeline: Any) -> Mapping[str, float]:
    """The numbers of the dynamic shift in the scheduler's own configuration."""
    names = ("base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len", "shift")
    config = pipeline.scheduler.config
    found = {name: float(config.get(name, 0.0)) for name in names}
    found["dynamic"] = float(bool(config.get("use_dynamic_shifting", False)))
    return found


def _quantised(entry: ModelEntry) -> Any:
    from diffusers import BitsAndBytesConfig, FluxTransformer2DModel, UNet2DConditionModel

    kind = FluxTransformer2DModel if entry.family is Family.FLUX else UNet2DConditionModel
    try:
        return kind.from_pretrained(
            entry.folder / entry.kind.denoiser,
            quantization_config=BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=torch.bfloat16,
            ),
            dtype=torch.bfloat16,
            local_files_only=True,
            use_safetensors=True,
        )
    except ImportError as error:
        raise FinetuningError(
            "A base in 4 bits needs bitsandbytes: install it with `pip install bitsandbytes`, or "
            "choose the precision bf16."
        ) from error
