"""Which kernels of attention may compute gradients."""

import torch


def keep_off_cudnn_attention() -> None:
    """Switch off cuDNN's attention, in this process and for good.

    With torch 2.11 on an H100 and an H200 its gradients of short sequences were not finite, and
    kernels that ran after it failed with illegal memory accesses.
    """
    torch.backends.cuda.enable_cudnn_sdp(enabled=False)
