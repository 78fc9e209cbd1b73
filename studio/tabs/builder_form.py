"""What a synthetic set is to be: its captions by design, its size, its rules."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.abc.attributes import Label
from backend.abc.grammar import CaptionStyle
from backend.generation.building.task import MAX_BEST_OF, Rules
from backend.generation.design.design import Design, DesignError, Plan, make_design
from backend.generation.design.levels import ATTRIBUTES, all_levels, read_level, said
from studio.wording import multiple_choices

VARIED = [name for name in ATTRIBUTES if name not in ("label", "diameter_mm")]
FIRST_VARIED = ["asymmetry", "border", "colours"]
PLANS = [("Latin hypercube", Plan.HYPERCUBE.value), ("All combinations", Plan.FACTORIAL.value)]
RULES = Rules()
Values = Mapping[Component, Any]


@dataclass(frozen=True)
class BuilderForm:
    """One control a field of Design or BuildTask."""

    name: gr.Textbox
    classes: gr.CheckboxGroup
    per_class: gr.Number
    varied: gr.CheckboxGroup
    levels: gr.Textbox
    plan: gr.Radio
    captions: gr.Number
    style: gr.Radio
    template: gr.Textbox
    best_of: gr.Slider
    attempts: gr.Number
    lesion: gr.Checkbox
    min_confidence: gr.Slider
    max_correlation: gr.Slider
    seed: gr.Number

    @property
    def components(self) -> set[Component]:
        """All of them, for the inputs of a handler."""
        return {getattr(self, field.name) for field in fields(self)}

    @property
    def designing(self) -> list[Component]:
        """Those that decide the captions."""
        choices = [self.classes, self.varied, self.plan, self.style]
        return [*choices, self.levels, self.template, self.captions, self.per_class, self.seed]

    def design(self, values: Values) -> Design:
        """The design of the captions.

        Raises DesignError with a sentence for each thing that is wrong.
        """
        classes = values[self.classes] or []
        if not classes:
            raise DesignError("A set needs a class: choose benign, malignant, or both.")
        plan = Plan(values[self.plan])
        captions = int(values[self.captions] or self.images_per_class(values) * len(classes))
        vary: dict[str, Any] = {name: all_levels(name) for name in values[self.varied] or []}
        return make_design(
            {
                "vary": vary | _levels(values[self.levels] or "") | {"label": classes},
                "plan": plan,
                "count": captions if plan is Plan.HYPERCUBE else None,
                "template": (values[self.template] or "").strip() or None,
                "style": values[self.style],
                "seed": values[self.seed] or 0,
            }
        )

    def images_per_class(self, values: Values) -> int:
        """How many images each class gets.

        Raises DesignError where that is none.
        """
        number = int(values[self.per_class] or 0)
        if number < 1:
            raise DesignError("A class needs at least one image: set Images of each class.")
        return number

    def task(self, values: Values) -> dict[str, Any]:
        """The fields of a BuildTask that are not about captions or the model."""
        return {
            "name": values[self.name] or "",
            "per_class": self.images_per_class(values),
            "best_of": values[self.best_of],
            "attempts": values[self.attempts],
            "rules": {
                "lesion": values[self.lesion],
                "min_confidence": values[self.min_confidence],
                "max_correlation": values[self.max_correlation],
            },
            "seed": values[self.seed] or 0,
        }


def build_builder_form() -> BuilderForm:
    """Lay the form out: the set, its captions, and, folded away, words and rules."""
    with gr.Row():
        name = gr.Textbox(
            label="Name of the set", placeholder="First set", max_lines=1, elem_id="set-name"
        )
        per_class = _number("Images of each class", 10, "set-per-class")
    classes = gr.CheckboxGroup(
        multiple_choices(Label),
        value=[label.value for label in Label],
        label="Classes",
        elem_id="set-classes",
        elem_classes="df-segmented",
    )
    varied = gr.CheckboxGroup(
        [(said(name).capitalize(), name) for name in VARIED],
        value=FIRST_VARIED,
        label="Attributes that the captions vary",
        info="Over all their values; the rest is left unsaid.",
        elem_id="set-varied",
        elem_classes="df-segmented",
    )
    with gr.Row():
        plan = gr.Radio(
            PLANS,
            value=Plan.HYPERCUBE.value,
            label="Design",
            info="A Latin hypercube uses every value equally often in as many captions as you "
            "like; all combinations grow fast.",
            elem_id="set-plan",
            elem_classes="df-segmented",
        )
        captions = _number("Captions", 0, "set-captions", "Of a hypercube; 0: one an image.")
    words = _words()
    rules = _rules()
    return BuilderForm(
        name=name,
        classes=classes,
        per_class=per_class,
        varied=varied,
        plan=plan,
        captions=captions,
        **words,
        **rules,
    )


def _words() -> dict[str, Any]:
    with gr.Accordion("Words and values", open=False, elem_id="set-words"):
        style = gr.Radio(
            [
                ("As in training (names the label)", CaptionStyle.AUTHORS.value),
                ("ABC only, no diagnosis", CaptionStyle.PLAIN.value),
            ],
            value=CaptionStyle.AUTHORS.value,
            label="Wording",
            elem_id="set-style",
            elem_classes="df-segmented",
        )
        template = gr.Textbox(
            label="Template (optional)",
            info="Words of your own with wildcards, in place of the wording above.",
            placeholder="A {label} lesion with {asymmetry} and a {border} border.",
            max_lines=4,
            elem_id="set-template",
        )
        levels = gr.Textbox(
            label="Only these values (optional)",
            info="One attribute a line; it then takes these values only.",
            placeholder="border=regular, irregular\ncolours=light brown, dark brown + black",
            lines=2,
            max_lines=8,
            elem_id="set-levels",
        )
    return {"style": style, "template": template, "levels": levels}


def _rules() -> dict[str, Any]:
    with gr.Row():
        best_of = gr.Slider(
            1,
            MAX_BEST_OF,
            value=1,
            step=1,
            label="Best of",
            info="Candidates for each image; the one that measures closest to its caption stays.",
            elem_id="set-best-of",
        )
        seed = _number("Seed of the set", 0, "set-seed", "All captions and noise follow from it.")
    with gr.Accordion("Reject rules", open=False, elem_id="set-rules"):
        lesion = gr.Checkbox(
            label="Reject pictures without a lesion", value=RULES.lesion, elem_id="set-lesion"
        )
        min_confidence = gr.Slider(
            0,
            1,
            value=RULES.min_confidence,
            step=0.05,
            label="Reject masks less sure than",
            info="Quality of the measured outline, 0 to 1; 0 takes any.",
            elem_id="set-min-confidence",
        )
        max_correlation = gr.Slider(
            0,
            1,
            value=RULES.max_correlation,
            step=0.005,
            label="Reject near-duplicates above",
            info="Correlation of small thumbnails with another image of the set; 1 takes any.",
            elem_id="set-max-correlation",
        )
        attempts = _number("Attempts an image, at the most", 20, "set-attempts")
    return {
        "best_of": best_of,
        "seed": seed,
        "lesion": lesion,
        "min_confidence": min_confidence,
        "max_correlation": max_correlation,
        "attempts": attempts,
    }


def _number(label: str, value: int, elem_id: str, info: str | None = None) -> gr.Number:
    return gr.Number(
        value=value,
        label=label,
        info=info,
        precision=0,
        step=1,
        elem_id=elem_id,
        min_width=140,
    )


def _levels(text: str) -> dict[str, list[object]]:
    """The lines "NAME=VALUE, VALUE"; raises DesignError for one that is none."""
    levels: dict[str, list[object]] = {}
    for line in filter(str.strip, text.splitlines()):
        name, equals, listed = line.partition("=")
        name = name.strip().lower().replace(" ", "_")
        values = [read_level(name, part) for part in listed.split(",") if part.strip()]
        if name not in VARIED and name != "diameter_mm":
            raise DesignError(
                f"The line {line.strip()!r} names no attribute: begin with one of "
                f"{', '.join([*VARIED, 'diameter_mm'])}."
            )
        if not equals or not values:
            raise DesignError(
                f"The line {line.strip()!r} has no value: write {name}=FIRST, SECOND."
            )
        levels[name] = values
    return levels
