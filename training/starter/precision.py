"""On what the starter is trained, and in which numbers its layers compute."""

import torch

from training.native_bf16 import has_native_bf16

CPU = torch.device("cpu")


def training_device() -> torch.device:
    """The first NVIDIA GPU, else the processor.

    cuDNN's attention is switched off: on an H200 with torch 2.11 its gradients of these short
    sequences were not finite, and other kernels ran into memory errors after them.
    """
    if not torch.cuda.is_available():
        return CPU
    torch.backends.cuda.enable_cudnn_sdp(enabled=False)
    return torch.device("cuda", 0)


def device_name(device: torch.device) -> str:
    """What the maker calls it; "processor" where there is none but that."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"


def mixed_precision(device: torch.device = CPU) -> torch.autocast:
    """bfloat16 where the device has instructions for it, else float32."""
    native = device.type == "cuda" or has_native_bf16()
    return torch.autocast(device.type, torch.bfloat16, enabled=native)
