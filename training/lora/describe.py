"""What every target set of a base model comes to: pairs, parameters and bytes of the file."""

import dataclasses
import json
from collections.abc import Callable

from backend.finetuning.architectures import find_architecture
from backend.finetuning.targets import TargetCount, count_all_targets
from backend.generation.lora.layouts import Family
from backend.settings import Settings


def describe(settings: Settings, base: str, rank: int = 64) -> list[TargetCount]:
    """The target sets of a base model at a rank, split as diffusers has its layers, then fused.

    Raises:
        FinetuningError: the base is not known, or of a family that is not trained here.
    """
    return count_all_targets(find_architecture(settings, base), rank)


def print_description(
    settings: Settings,
    base: str,
    rank: int = 64,
    *,
    as_json: bool = False,
    write: Callable[[str], None] = print,
) -> None:
    """Print the table, or the same as JSON; raises FinetuningError as `describe`."""
    architecture = find_architecture(settings, base)
    counts = count_all_targets(architecture, rank)
    if as_json:
        document = {
            "base": architecture.name,
            "family": architecture.family.value,
            "base_parameters": architecture.parameters,
            "target_sets": [dataclasses.asdict(count) for count in counts],
        }
        write(json.dumps(document, indent=1))
        return
    write(
        f"{architecture.name}: {architecture.parameters:,} parameters in the "
        f"{architecture.family.full_name} denoiser. LoRA of rank {rank}:"
    )
    write(f"{'TARGETS':<32}  {'LAYOUT':<6}  {'PAIRS':>5}  {'PARAMETERS':>12}  BF16 FILE, FP32 FILE")
    for count in counts:
        layout = "fused" if count.fused else "split"
        write(
            f"{count.targets:<32}  {layout:<6}  {count.pairs:>5}  {count.parameters:>12,}  "
            f"{count.bytes_bf16:,} bytes, {count.bytes_fp32:,} bytes"
        )
    if architecture.family is Family.FLUX:
        write(
            "split: queries, keys and values each have a LoRA of their own, as diffusers has its "
            "layers, and attention leaves the MLP alone. fused: they share what goes down, as in "
            "the authors' layout (kohya), where attention takes along linear1 of the single-stream "
            "blocks with the first layer of the MLP in it."
        )
