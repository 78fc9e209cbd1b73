"""How much memory is free, and what to say and to change where it is used up."""

import gc

import torch

from backend.finetuning.buckets import Bucket
from backend.finetuning.config import TrainingConfig

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def free_memory(device: torch.device) -> int:
    """Bytes of a GPU that can still be had, those that torch holds in reserve among them."""
    free, _ = torch.cuda.mem_get_info(device)
    return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))


def never_used(device: torch.device) -> int:
    """Bytes of a GPU that were free even at the peak so far; a tenth of the peak is kept as what
    torch's allocator cannot use."""
    _, total = torch.cuda.mem_get_info(device)
    return int(total - 1.1 * torch.cuda.max_memory_allocated(device))


def release(device: torch.device) -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        words in str(error) for words in OUT_OF_MEMORY
    )


def memory_sentence(
    config: TrainingConfig, error: BaseException, bucket: Bucket | None = None
) -> str | None:
    """What to change; None where memory is not what was missing."""
    if not is_out_of_memory(error):
        return None
    where = f"at {bucket} px" if bucket else f"at up to {max(config.resolutions)} px"
    smaller = f"a batch smaller than {config.batch}, " if config.batch > 1 else ""
    return (
        f"Memory is used up {where} with {config.batch} images at once: choose {smaller}a smaller "
        "resolution, gradient checkpointing or a base in 4 bits."
    )
