"""What is worth knowing of a LoRA before it is used, all of it read from its file."""

from dataclasses import dataclass
from pathlib import Path

from backend.generation.lora.flux_modules import DOUBLE, LINEAR1, SINGLE, leaf_of, model_layers
from backend.generation.lora.layouts import Family, Layout
from backend.generation.lora.reading import LoraFile
from backend.generation.weights import hash_tensors

ATTENTION = "attention"
ATTENTION_AND_FEED_FORWARD = "attention and feed-forward"
ALL_LINEAR_LAYERS = "all linear layers of the blocks"
_TITLE_KEYS = ("modelspec.title", "ss_output_name")
_BASE_KEYS = (
    "base_model",
    "modelspec.architecture",
    "ss_base_model_version",
    "ss_sd_model_name",
)
_T5_LENGTH_KEYS = ("t5_length", "ss_t5xxl_max_token_length", "max_sequence_length")
_LONGEST_TEXT = 512


@dataclass(frozen=True)
class LoraFacts:
    """`parameters` counts the numbers of all pairs, `hash` is SHA-256 over the tensors.

    `base` and `t5_length` (in tokens) are what the file says of itself, None where it does not.
    """

    title: str
    layout: Layout
    family: Family
    ranks: tuple[int, ...]
    targets: str
    parameters: int
    bytes: int
    hash: str
    base: str | None
    t5_length: int | None


def find_facts(lora: LoraFile) -> LoraFacts:
    """The facts of a LoRA; reads the whole file once, for its hash."""
    notes = lora.metadata
    title = next((notes[key] for key in _TITLE_KEYS if notes.get(key)), lora.path.stem)
    return LoraFacts(
        title=" ".join(title.split())[:200],
        layout=lora.layout,
        family=lora.family,
        ranks=tuple(sorted({pair.rank for pair in lora.pairs})),
        targets=describe_targets(lora),
        parameters=sum(pair.down.elements + pair.up.elements for pair in lora.pairs),
        bytes=lora.path.stat().st_size,
        hash=lora_hash(lora.path),
        base=next((notes[key][:200] for key in _BASE_KEYS if notes.get(key)), None),
        t5_length=_t5_length(lora),
    )


def lora_hash(path: Path) -> str:
    """SHA-256 over the tensors of a LoRA file: its identity, whatever its name and metadata."""
    return hash_tensors([("lora", [path])])


def describe_targets(lora: LoraFile) -> str:
    """Which layers are changed: by name where it is one of the usual sets, else listed.

    Attention is what the fused layout calls so: linear1 of a single-stream block, with the first
    layer of its MLP in it, counts as attention.
    """
    if lora.family is not Family.FLUX:
        return f"{len(lora.pairs):,} layers"
    layers = {layer for pair in lora.pairs for layer in model_layers(lora.layout, pair.module)}
    found = {layer: leaf_of(layer) for layer in layers}
    changed = frozenset(f"{leaf[0]}.{leaf[1]}" for leaf in found.values() if leaf)
    outer = sorted(layer for layer, leaf in found.items() if leaf is None)
    named = _NAMED.get(changed)
    if named is None:
        return ", ".join([*sorted(changed), *outer])
    return ", ".join([named, *outer])


def _t5_length(lora: LoraFile) -> int | None:
    for key in _T5_LENGTH_KEYS:
        text = lora.metadata.get(key, "")
        if text.isdecimal() and 8 <= int(text) <= _LONGEST_TEXT:
            return int(text)
    return None


def _leaves(double: tuple[str, ...], single: tuple[str, ...]) -> frozenset[str]:
    return frozenset(
        [f"transformer_blocks.{leaf}" for name in double for leaf in DOUBLE[name]]
        + [f"single_transformer_blocks.{leaf}" for name in single for leaf in SINGLE[name]]
    )


_ATTENTION = ("img_attn_qkv", "img_attn_proj", "txt_attn_qkv", "txt_attn_proj")
_FEED_FORWARD = ("img_mlp_0", "img_mlp_2", "txt_mlp_0", "txt_mlp_2")
_FUSED_ATTENTION = _leaves(_ATTENTION, ("linear1",))
_NAMED = {
    _FUSED_ATTENTION: ATTENTION,
    _FUSED_ATTENTION - {f"single_transformer_blocks.{LINEAR1[-1]}"}: ATTENTION,
    _leaves(_ATTENTION + _FEED_FORWARD, ("linear1", "linear2")): ATTENTION_AND_FEED_FORWARD,
    _leaves(tuple(DOUBLE), tuple(SINGLE)): ALL_LINEAR_LAYERS,
}
