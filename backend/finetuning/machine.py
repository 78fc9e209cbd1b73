"""What a run will be computed on, asked without torch."""

import os
import shutil
import subprocess
from importlib import metadata

from backend.finetuning.errors import FinetuningError
from backend.finetuning.estimate import Machine, gpu_flops, measure_cpu
from backend.generation.memory import available_host_memory
from backend.settings import Settings

PROGRAM = "nvidia-smi"
ANSWERS_WITHIN_S = 20
MIB = 2**20


def this_machine(settings: Settings) -> Machine:
    """The first GPU where there is one and it is wanted, else the CPU with the memory that is
    free now.

    Raises:
        FinetuningError: the settings ask for a GPU, and there is none.
    """
    gpu = _gpu() if settings.device != "cpu" else None
    if gpu is not None:
        return gpu
    if settings.device == "cuda":
        raise FinetuningError(
            "DERMAFLUX_DEVICE asks for cuda, but there is no GPU: install the driver, or set it to "
            "auto."
        )
    cores = settings.threads or os.cpu_count() or 1
    name = f"the CPU, {cores} cores" if cores > 1 else "the CPU"
    return Machine("cpu", name, available_host_memory(), measure_cpu())


def _gpu() -> Machine | None:
    """The first that the driver names; None without a driver or with a torch for CPUs."""
    program = shutil.which(PROGRAM)
    if program is None or metadata.version("torch").endswith("+cpu"):
        return None
    question = [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            question, capture_output=True, text=True, timeout=ANSWERS_WITHIN_S, check=True
        )
        name, _, memory = done.stdout.splitlines()[0].rpartition(",")
        return Machine("cuda", name.strip(), int(memory) * MIB, gpu_flops(name))
    except (OSError, subprocess.SubprocessError, IndexError, ValueError):
        return None
