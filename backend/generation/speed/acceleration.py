"""A plan put into effect on a loaded pipeline."""

from typing import Any

from backend.generation.speed.plans import NATIVE, Plan


def accelerate(pipeline: Any, plan: Plan, *, device: str) -> None:
    """Bring the pipeline onto `device` (torch's name) as the plan wants it; once, after loading.

    Weights are shrunk before they move, and streamed ones never move as a whole. Pipelines other
    than FLUX's, which have no transformer, only move.
    """
    import torch

    from backend.generation.speed.float8 import round_blocks
    from backend.generation.speed.projections import join_projections

    transformer = getattr(pipeline, "transformer", None)
    if transformer is None:
        pipeline.to(device)
        return
    if plan.float8 and plan.compiled:
        round_blocks(transformer, device)
    elif plan.float8:
        transformer.enable_layerwise_casting(
            storage_dtype=torch.float8_e4m3fn, compute_dtype=transformer.dtype
        )
    if plan.offload == "none":
        pipeline.to(device)
    else:
        _stream(transformer, plan, device)
        pipeline.vae.to(device)
    if device != "cpu" or plan.attention != NATIVE:
        transformer.set_attention_backend(plan.attention)
    if plan.compiled:
        join_projections(transformer)
        _compile_blocks(transformer)
        pipeline.vae.to(memory_format=torch.channels_last)
    if plan.cache_threshold is not None:
        from diffusers import FirstBlockCacheConfig

        transformer.enable_cache(FirstBlockCacheConfig(threshold=plan.cache_threshold))


def forget_last_image(pipeline: Any) -> None:
    """Empty the caches of a plan: an image that was cancelled leaves its last step in them."""
    from diffusers.hooks import HookRegistry

    HookRegistry.check_if_exists_or_initialize(pipeline.transformer).reset_stateful_hooks()


def _compile_blocks(transformer: Any) -> None:
    """As `compile_repeated_blocks` of diffusers, but within the hooks that a cache adds later.

    Compiled from outside, every block's own hook would be another program to compile.
    """
    import torch

    for module in transformer.modules():
        if type(module).__name__ in transformer._repeated_blocks:  # noqa: SLF001
            module.forward = torch.compile(module.forward, fullgraph=True)


def _stream(transformer: Any, plan: Plan, device: str) -> None:
    """Keep the weights in main memory; on a GPU the next group comes while one computes."""
    import torch

    blocks = plan.offload == "blocks"
    transformer.enable_group_offload(
        onload_device=torch.device(device),
        offload_device=torch.device("cpu"),
        offload_type="block_level" if blocks else "leaf_level",
        num_blocks_per_group=1 if blocks else None,
        use_stream=device != "cpu",
    )
