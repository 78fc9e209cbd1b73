"""In which numbers the layers compute while the starter is trained."""

import torch


def mixed_precision() -> torch.autocast:
    """bfloat16 where the processor has instructions for it, else float32.

    Processors without them emulate bfloat16, many times slower than they compute in float32.
    """
    native = torch.backends.mkldnn.is_available() and bool(
        torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001 - there is no public question
    )
    return torch.autocast("cpu", torch.bfloat16, enabled=native)
