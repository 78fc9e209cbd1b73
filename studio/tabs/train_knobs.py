"""The settings of a training run as controls: a name, a help, and a reason to turn it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.finetuning.config import Checkpointing, Precision, Targets

SIDES = (128, 256, 384, 512, 768, 1024)


class Kind(StrEnum):
    """What a control holds."""

    WHOLE = "whole"
    NUMBER = "number"
    CHOICE = "choice"
    SIDES = "sides"
    YES_NO = "yes or no"
    LINES = "lines"
    TEXT = "text"


@dataclass(frozen=True)
class Knob:
    """One setting: `field` is its dotted name in TrainingConfig, `optional` whether it may be
    empty, `step` how far an arrow key moves a number that is not whole."""

    field: str
    label: str
    info: str
    kind: Kind
    choices: Sequence[tuple[str, str]] = ()
    optional: bool = False
    step: float = 0.01

    @property
    def elem_id(self) -> str:
        """The name of its control on the page."""
        return "train-" + self.field.rpartition(".")[2].replace("_", "-")

    def build(self, value: object) -> Component:
        """Its control."""
        common: dict[str, Any] = {"label": self.label, "info": self.info, "elem_id": self.elem_id}
        if self.kind is Kind.CHOICE:
            return gr.Dropdown(list(self.choices), value=value, filterable=False, **common)
        if self.kind is Kind.SIDES:
            return gr.CheckboxGroup(
                [(f"{side} px", side) for side in SIDES],
                value=value,
                elem_classes="df-segmented",
                **common,
            )
        if self.kind is Kind.YES_NO:
            return gr.Checkbox(value=value, **common)
        if self.kind is Kind.LINES:
            return gr.Textbox(value=self.shown(value), lines=3, max_lines=8, **common)
        if self.kind is Kind.TEXT:
            return gr.Textbox(value=value, max_lines=1, **common)
        whole = self.kind is Kind.WHOLE
        return gr.Number(
            value=self.shown(value),
            precision=0 if whole else None,
            step=1 if whole else self.step,
            min_width=140,
            **common,
        )

    def shown(self, value: object) -> Any:
        """A value of the configuration as the control shows it."""
        if self.kind is Kind.LINES:
            return "\n".join(value if isinstance(value, list | tuple) else ())
        if self.kind is Kind.SIDES:
            return (
                [side for side in value if side in SIDES] if isinstance(value, list | tuple) else []
            )
        return value

    def read(self, shown: Any) -> Any:
        """What the control holds as a value of the configuration.

        Gradio turns an empty number into 0 when the part it is in is unfolded: where a setting may
        be empty, 0 means so.
        """
        if self.kind is Kind.LINES:
            return tuple(line.strip() for line in (shown or "").splitlines() if line.strip())
        if self.kind is Kind.SIDES:
            return tuple(sorted(shown or ()))
        if self.optional and not shown:
            return None
        return shown


def _choices(values: type[StrEnum], words: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(words.get(value.value, value.value), value.value) for value in values]


TITLE = Knob(
    "title",
    "Title",
    "What the run and its LoRA are called.",
    Kind.TEXT,
)
MAIN = (
    Knob(
        "resolutions",
        "Resolutions",
        "The sides that are learnt; an image goes into the largest it fills, none is enlarged.",
        Kind.SIDES,
    ),
    Knob("epochs", "Epochs", "How often each image is seen; the paper takes 5.", Kind.WHOLE),
    Knob(
        "steps",
        "Steps (optional)",
        "A number of optimiser steps in place of epochs.",
        Kind.WHOLE,
        optional=True,
    ),
    Knob("batch", "Batch", "Images a step. More is steadier and takes more memory.", Kind.WHOLE),
    Knob(
        "learning_rate",
        "Learning rate",
        "How far each step goes. Too high shows as a loss that jumps.",
        Kind.NUMBER,
        step=1e-5,
    ),
    Knob(
        "lora.rank",
        "Rank",
        "How much the LoRA can hold; file and memory grow with it. The paper takes 64.",
        Kind.WHOLE,
    ),
    Knob(
        "lora.targets",
        "Layers",
        "Which layers of the model learn.",
        Kind.CHOICE,
        _choices(
            Targets,
            {
                Targets.ATTENTION: "Attention",
                Targets.ATTENTION_AND_FEED_FORWARD: "Attention and feed-forward",
                Targets.ALL_LINEAR_LAYERS: "All linear layers of the blocks",
            },
        ),
    ),
)
"""The handful that matters."""
ADVANCED: Mapping[str, Sequence[Knob]] = {
    "How it learns": (
        Knob(
            "lora.alpha",
            "Alpha",
            "The LoRA acts with alpha / rank: equal to the rank, it acts as it was learnt.",
            Kind.NUMBER,
        ),
        Knob(
            "lora.fused",
            "Share what goes down",
            "As the authors' file: queries, keys and values share one matrix. Only to match it.",
            Kind.YES_NO,
        ),
        Knob(
            "accumulate",
            "Batches a step",
            "A larger batch without its memory: the step waits for so many.",
            Kind.WHOLE,
        ),
        Knob(
            "warmup",
            "Warm-up steps",
            "The rate rises slowly, or Adam's first steps jump.",
            Kind.WHOLE,
        ),
        Knob(
            "weight_decay",
            "Weight decay",
            "Pulls the LoRA towards nothing; keeps it small.",
            Kind.NUMBER,
        ),
        Knob(
            "max_grad_norm",
            "Longest gradient",
            "Longer ones are cut, so that one odd image cannot throw the run.",
            Kind.NUMBER,
        ),
        Knob(
            "ema_decay",
            "Moving average",
            "0: none. 0.99 keeps a steadier LoRA beside the last one, for runs that jitter.",
            Kind.NUMBER,
        ),
        Knob(
            "guidance",
            "Guidance while it learns",
            "1 for FLUX: 3.5 is for sampling only.",
            Kind.NUMBER,
        ),
        Knob("seed", "Seed", "Order, noise and first weights follow from it.", Kind.WHOLE),
    ),
    "Captions and images": (
        Knob(
            "caption_dropout",
            "Captions left out",
            "This share is trained without words, which guidance needs. 0 to 1.",
            Kind.NUMBER,
        ),
        Knob(
            "flip",
            "Mirror images",
            "More variety; refused where captions speak of left and right.",
            Kind.YES_NO,
        ),
        Knob(
            "t5_length",
            "Text length (optional)",
            "Tokens that T5 reads. Shorter is faster; samples must then use the same.",
            Kind.WHOLE,
            optional=True,
        ),
        Knob(
            "data.validation_share",
            "Held out",
            "Share of the patients that is never trained on, 0 to 0.5.",
            Kind.NUMBER,
        ),
    ),
    "Memory and speed": (
        Knob(
            "precision",
            "The base is held in",
            "bf16 where the GPU can; fp32 on a CPU; nf4 (4 bits) where memory is short.",
            Kind.CHOICE,
            _choices(Precision, {}),
        ),
        Knob(
            "checkpointing",
            "Compute activations twice",
            "Saves memory and costs a third of the speed; auto does it only where it must.",
            Kind.CHOICE,
            _choices(Checkpointing, {}),
        ),
        Knob(
            "compile",
            "Compile",
            "Minutes at the start, then faster: for long runs on a GPU.",
            Kind.YES_NO,
        ),
        Knob("processes", "Processes", "One for each GPU of this machine.", Kind.WHOLE),
    ),
    "Checkpoints, validation, samples": (
        Knob(
            "checkpoint_every",
            "Steps between checkpoints",
            "What a crash can cost at the most.",
            Kind.WHOLE,
        ),
        Knob("keep_checkpoints", "Checkpoints kept", "Older ones make room.", Kind.WHOLE),
        Knob(
            "validate_every",
            "Steps between validations",
            "Each takes time from training.",
            Kind.WHOLE,
        ),
        Knob(
            "validation_images",
            "Validation images",
            "More is less noisy and slower; 0 validates never.",
            Kind.WHOLE,
        ),
        Knob("sample_every", "Steps between samples", "0 makes none.", Kind.WHOLE),
        Knob(
            "sample_captions",
            "Captions of the samples (optional)",
            "One a line; empty takes some from the data and one ABC extreme.",
            Kind.LINES,
        ),
        Knob("sample_steps", "Steps of a sample", "As in Generate.", Kind.WHOLE),
        Knob(
            "sample_guidance",
            "Guidance of a sample (optional)",
            "Empty: that of the model.",
            Kind.NUMBER,
            optional=True,
        ),
        Knob(
            "tensorboard",
            "Also write for TensorBoard",
            "Needs the package tensorboard; the files are in the folder of the run.",
            Kind.YES_NO,
        ),
        Knob(
            "trackio",
            "Also write to trackio",
            "Needs the package trackio; stays on this machine.",
            Kind.YES_NO,
        ),
    ),
}
"""The rest, each with the reason to turn it."""
KNOBS = (TITLE, *MAIN, *(knob for part in ADVANCED.values() for knob in part))
LABELS: Mapping[str, str] = {knob.field: knob.label for knob in KNOBS} | {
    "base": "Base model",
    "data": "Captions",
    "data.caption_set": "Caption set",
    "data.version": "Version",
    "data.subset": "Subset",
    "data.folder": "Folder",
}
