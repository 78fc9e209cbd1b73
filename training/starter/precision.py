"""On what the starter is trained, and in which numbers its layers compute."""

import torch

from training.attention import keep_off_cudnn_attention
from training.native_bf16 import has_native_bf16

CPU = torch.device("cpu")


def training_device() -> torch.device:
    """The first NVIDIA GPU, else the processor."""
    if not torch.cuda.is_available():
        return CPU
    keep_off_cudnn_attention()
    return torch.device("cuda", 0)


def device_name(device: torch.device) -> str:
    """What the maker calls it; "processor" where there is none but that."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"


def mixed_precision(device: torch.device = CPU) -> torch.autocast:
    """bfloat16 where the device has instructions for it, else float32."""
    native = device.type == "cuda" or has_native_bf16()
    return torch.autocast(device.type, torch.bfloat16, enabled=native)
