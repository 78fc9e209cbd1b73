"""What to say and to change where memory is used up."""

import torch

from backend.finetuning.buckets import Bucket
from backend.finetuning.config import TrainingConfig

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


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
