"""The form of a run: a GenerationRequest in and out of Gradio's components."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr
from gradio.components import Component

from backend.abc.attributes import LesionAttributes
from backend.generation.models import ModelEntry
from backend.generation.profile import Profile
from backend.generation.request import MAX_COUNT, SEEDS, GenerationRequest, make_request
from studio.context import StudioContext
from studio.tabs.lora_form import LoraForm, build_lora_form

FIXED, NEXT, RANDOM = "fixed", "next", "random"
SEED_MODES = [("Fixed", FIXED), ("Next", NEXT), ("Random", RANDOM)]
AUTOMATIC = ""
ATTRIBUTE_GUIDANCE = [
    ("Automatic", AUTOMATIC),
    ("Off", "0"),
    ("Half", "0.5"),
    ("Full", "1"),
    ("Double", "2"),
]
DEFAULT_COUNT = 4
FIRST_SEED = 7
NO_ORIGIN: Mapping[str, Any] = {}
"""Of a caption that was typed: the attributes are read from it."""


@dataclass(frozen=True)
class GenerateForm:
    """The components of a request. `origin` holds where the caption came from (see `origin_of`)."""

    caption: gr.Textbox
    model: gr.Dropdown
    count: gr.Number
    size: gr.Dropdown
    seed: gr.Number
    seed_mode: gr.Radio
    steps: gr.Slider
    guidance_scale: gr.Slider
    attribute_guidance: gr.Dropdown
    negative_caption: gr.Textbox
    max_sequence_length: gr.Number
    profile: gr.Dropdown
    origin: gr.State
    loras: LoraForm

    @property
    def components(self) -> set[Component]:
        """All of them, for the inputs or outputs of a handler."""
        own = {getattr(self, field.name) for field in fields(self) if field.name != "loras"}
        return own | self.loras.components

    def read(self, values: Mapping[Component, Any]) -> GenerationRequest:
        """The request that the form shows.

        Raises RequestError with a sentence for each field that is wrong.
        """
        caption = values[self.caption] or ""
        origin = values[self.origin]
        if origin.get("caption", "").strip() != caption.strip():
            origin = NO_ORIGIN
        seed = secrets.randbelow(SEEDS) if values[self.seed_mode] == RANDOM else values[self.seed]
        stated = {"caption": caption, "count": values[self.count], "seed": seed}
        rest = {name: origin.get(name) for name in ("style", "template", "attributes")}
        return make_request(stated | rest | self.sampling(values))

    def sampling(self, values: Mapping[Component, Any]) -> dict[str, Any]:
        """Which model makes images and how, as fields of a request, whatever they show."""
        width, height = _sides(values[self.size])
        return {
            "negative_caption": values[self.negative_caption] or None,
            "model": values[self.model] or "",
            "steps": values[self.steps],
            "guidance_scale": values[self.guidance_scale],
            "attribute_guidance": _number(values[self.attribute_guidance]),
            "width": width,
            "height": height,
            # Gradio turns an empty number into 0 when the part it is in is unfolded.
            "max_sequence_length": values[self.max_sequence_length] or None,
            "loras": self.loras.read(values),
            "profile": values[self.profile] or None,
        }

    def after(self, request: GenerationRequest, mode: str) -> dict[Component, Any]:
        """What the form shows once the request is submitted: the seed as the mode wants it."""
        moved = (request.seed + request.count) % SEEDS if mode == NEXT else request.seed
        return {self.seed: moved}

    def recall(
        self, studio: StudioContext, request: GenerationRequest, entry: ModelEntry
    ) -> dict[Component, Any]:
        """Everything as in the request, to be made again with the same pixels, so exactly."""
        same = {
            self.count: request.count,
            self.seed: request.seed,
            self.seed_mode: FIXED,
            self.profile: Profile.EXACT.value,
        }
        return self.recall_but_seed(studio, request, entry) | same

    def recall_but_seed(
        self, studio: StudioContext, request: GenerationRequest, entry: ModelEntry
    ) -> dict[Component, Any]:
        """Everything as in the request, for other images of the same kind."""
        size = f"{request.width}x{request.height}"
        offered = size_choices(entry)
        if size not in (value for _, value in offered):
            offered.append((size.replace("x", " × "), size))
        recalled = self.recall_caption(request) | self.loras.recall(studio, request.loras)
        return recalled | {
            self.model: request.model,
            self.size: gr.Dropdown(choices=offered, value=size),
            self.seed_mode: RANDOM,
            self.steps: request.steps,
            self.guidance_scale: request.guidance_scale,
            self.attribute_guidance: _attribute_guidance(entry, request.attribute_guidance),
            self.negative_caption: gr.Textbox(
                value=request.negative_caption or "", visible=entry.kind.negative_caption
            ),
            self.max_sequence_length: request.max_sequence_length,
            self.profile: request.profile.value if request.profile else AUTOMATIC,
        }

    def recall_caption(self, request: GenerationRequest) -> dict[Component, Any]:
        """The caption alone, with what is known of where it came from."""
        origin = origin_of(
            request.caption,
            style=request.style,
            template=request.template,
            attributes=request.attributes,
        )
        return {self.caption: request.caption, self.origin: origin}

    def show_model(self, entry: ModelEntry) -> dict[Component, Any]:
        """What a model was trained for."""
        return {
            self.size: gr.Dropdown(choices=size_choices(entry), value=size_choices(entry)[0][1]),
            self.steps: entry.steps,
            self.guidance_scale: entry.guidance_scale,
            self.attribute_guidance: _attribute_guidance(entry),
            self.negative_caption: _negative_caption(entry),
        }

    @property
    def of_model(self) -> list[Component]:
        """What `show_model` sets."""
        return [
            self.size,
            self.steps,
            self.guidance_scale,
            self.attribute_guidance,
            self.negative_caption,
        ]


def origin_of(
    caption: str,
    *,
    style: str | None,
    template: str | None,
    attributes: LesionAttributes | None,
) -> dict[str, Any]:
    """Where a caption came from; it counts only as long as the caption is not edited."""
    return {
        "caption": caption,
        "style": style,
        "template": template,
        "attributes": attributes.model_dump(mode="json") if attributes else None,
    }


def build_form(studio: StudioContext, models: Sequence[ModelEntry]) -> GenerateForm:
    """Lay the form out; the first model that can be used is chosen."""
    usable = [entry for entry in models if entry.problem is None]
    first = usable[0] if usable else None
    caption = gr.Textbox(
        label="Caption",
        placeholder="Describe the lesion, or write the caption in Compose.",
        lines=5,
        max_lines=12,
        elem_id="generate-caption",
        html_attributes=gr.InputHTMLAttributes(spellcheck=True),
    )
    model = gr.Dropdown(
        model_choices(models),
        value=first.name if first else None,
        label="Model",
        filterable=False,
        elem_id="model",
    )
    with gr.Row(elem_classes="df-pair"):
        size = gr.Dropdown(
            size_choices(first),
            value=size_choices(first)[0][1] if first else None,
            label="Size",
            filterable=False,
            min_width=100,
            elem_id="size",
        )
        count = _whole_number("Images", DEFAULT_COUNT, 1, MAX_COUNT, "count")
    seed = _whole_number("Seed", FIRST_SEED, 0, SEEDS - 1, "seed")
    seed_mode = gr.Radio(
        SEED_MODES,
        value=NEXT,
        label="Seed of the next run",
        info="Fixed repeats the same images, Next and Random make others.",
        elem_id="seed-mode",
        elem_classes="df-segmented",
    )
    with gr.Accordion("Steps and guidance", open=False, elem_id="more-settings"):
        steps = gr.Slider(
            1, 100, value=first.steps if first else 20, step=1, label="Steps", elem_id="steps"
        )
        guidance = gr.Slider(
            0,
            20,
            value=first.guidance_scale if first else 3.5,
            step=0.1,
            label="Guidance",
            info="How closely the image keeps to the caption.",
            elem_id="guidance",
        )
        attribute_guidance = gr.Dropdown(
            ATTRIBUTE_GUIDANCE,
            value=AUTOMATIC,
            label="Attribute guidance",
            info="How strongly a classifier that comes with the model leads the image to the "
            "asymmetry, border, colours and skin tone of the caption. Automatic: fully, and not at "
            "all with LoRAs, which draw other images than it knows.",
            filterable=False,
            visible=bool(first and first.guided_side),
            elem_id="attribute-guidance",
        )
        profile = gr.Dropdown(
            profile_choices(),
            value=AUTOMATIC,
            label="Speed",
            info="Automatic: exact on a CPU; on a GPU the fastest that fits into its memory. Each "
            "image says which it was.",
            filterable=False,
            elem_id="profile",
        )
        negative = gr.Textbox(
            label="Negative caption",
            info="What the images are to keep away from.",
            visible=bool(first and first.kind.negative_caption),
            elem_id="negative-caption",
        )
        length = _whole_number("Text length in tokens", None, 8, 512, "text-length")
    loras = build_lora_form(studio)
    return GenerateForm(
        caption=caption,
        model=model,
        count=count,
        size=size,
        seed=seed,
        seed_mode=seed_mode,
        steps=steps,
        guidance_scale=guidance,
        attribute_guidance=attribute_guidance,
        negative_caption=negative,
        max_sequence_length=length,
        profile=profile,
        origin=gr.State(dict(NO_ORIGIN)),
        loras=loras,
    )


def model_choices(models: Sequence[ModelEntry]) -> list[tuple[str, str]]:
    """The models that can be used, by title; what stands against the rest is in Models."""
    return [(entry.title, entry.name) for entry in models if entry.problem is None]


def profile_choices() -> list[tuple[str, str]]:
    """The speed profiles with what they do, after the one that suits the device."""
    offered = [(f"{profile.full_name}: {profile.description}", profile) for profile in Profile]
    return [("Automatic", AUTOMATIC), *((words, str(profile)) for words, profile in offered)]


def size_choices(entry: ModelEntry | None) -> list[tuple[str, str]]:
    """The sizes that a model was trained for, as WIDTHxHEIGHT."""
    return [(f"{side} × {side}", f"{side}x{side}") for side in entry.sizes] if entry else []


def _negative_caption(entry: ModelEntry) -> Any:
    """Shown for models that have one; for others emptied, so that nothing unseen is asked for."""
    return (
        gr.Textbox(visible=True) if entry.kind.negative_caption else gr.Textbox("", visible=False)
    )


def _attribute_guidance(entry: ModelEntry, asked: float | None = None) -> Any:
    """Shown for models that have a classifier; for others emptied, so that nothing unseen is
    asked."""
    if entry.guided_side is None:
        return gr.Dropdown(value=AUTOMATIC, visible=False)
    value = AUTOMATIC if asked is None else f"{asked:g}"
    offered = list(ATTRIBUTE_GUIDANCE)
    if value not in (known for _, known in offered):
        offered.append((value, value))
    return gr.Dropdown(choices=offered, value=value, visible=True)


def _number(chosen: str | None) -> float | None:
    return float(chosen) if chosen else None


def _sides(size: str | None) -> tuple[int | None, int | None]:
    width, _, height = (size or "").partition("x")
    return (int(width), int(height)) if height else (None, None)


def _whole_number(label: str, value: int | None, low: int, high: int, elem_id: str) -> gr.Number:
    info = "Empty or 0: the model's own." if value is None else None
    return gr.Number(
        value=value,
        label=label,
        info=info,
        precision=0,
        step=1,
        elem_id=elem_id,
        placeholder=f"{low} to {high:,}",
        min_width=100,
    )
