"""What this computer will make images with, told without loading torch."""

import os
import shutil
from importlib import metadata
from pathlib import Path

from backend.settings import Settings

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def device_name(settings: Settings) -> str:
    """The device of the worker in words.

    `auto` means a GPU exactly where torch is built for one and a driver is there.
    """
    gpu = settings.device == "cuda" or (settings.device == "auto" and _has_gpu())
    if gpu:
        return "NVIDIA GPU"
    cores = settings.threads or os.cpu_count() or 1
    return f"CPU, {cores} core" if cores == 1 else f"CPU, {cores} cores"


def _has_gpu() -> bool:
    if metadata.version("torch").endswith("+cpu"):
        return False
    return NVIDIA_DRIVER.exists() or shutil.which("nvidia-smi") is not None
