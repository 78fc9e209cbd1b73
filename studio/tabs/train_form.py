"""The form of a training run: a TrainingConfig in and out of Gradio's components."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component
from pydantic import ValidationError

from backend.corpus.subsets import list_subsets
from backend.errors import DermaFluxError
from backend.finetuning.config import TrainingConfig
from backend.finetuning.errors import FinetuningError
from backend.finetuning.presets import PRESETS, configure, find_preset
from backend.finetuning.reviewed import review_state, trainable_sets
from backend.generation.models import ModelEntry, list_models
from backend.review.caption_sets import list_versions
from studio.context import StudioContext
from studio.guard import guarded
from studio.markup import escape, html_block
from studio.tabs.generate_form import model_choices
from studio.tabs.lora_form import with_gone
from studio.tabs.train_knobs import ADVANCED, KNOBS, LABELS, MAIN, TITLE
from studio.tabs.train_view import NO_CAPTIONS, problem_html, review_html

FIRST_PRESET = "starter-cpu"
NEWEST, EVERYTHING = "", ""
Values = Mapping[Component, Any]
Updates = dict[Any, Any]


@dataclass(frozen=True)
class TrainForm:
    """Data, base and preset, and a control for every other setting by its dotted name."""

    caption_set: gr.Dropdown
    version: gr.Dropdown
    subset: gr.Dropdown
    reviewed: gr.Markdown
    base: gr.Dropdown
    preset: gr.Dropdown
    about: gr.Markdown
    knobs: Mapping[str, Component]

    @property
    def data(self) -> list[Component]:
        """What the pairs are chosen by."""
        return [self.caption_set, self.version, self.subset]

    @property
    def components(self) -> set[Component]:
        """What the form is read from."""
        return {*self.data, self.base, *self.knobs.values()}

    @property
    def offered(self) -> list[Component]:
        """What `offer` may change."""
        return [*self.data, self.reviewed, self.base]

    @property
    def of_preset(self) -> list[Component]:
        """What a preset may change."""
        return [self.base, self.about, *self.knobs.values()]

    def read(self, values: Values) -> TrainingConfig:
        """The run that the form describes.

        Raises:
            FinetuningError: naming the setting that is missing or wrong.
        """
        if not values[self.caption_set]:
            raise FinetuningError(
                "No caption set is chosen: choose one, or make one in Review first."
            )
        if not values[self.base]:
            raise FinetuningError("No base model is chosen: choose one, or add one in Models.")
        asked: dict[str, Any] = {"base": values[self.base], "data": {}, "lora": {}}
        asked["data"] = {
            "caption_set": values[self.caption_set],
            "version": int(values[self.version]) if values[self.version] else None,
            "subset": values[self.subset] or None,
        }
        for knob in KNOBS:
            part, _, name = knob.field.rpartition(".")
            (asked[part] if part else asked)[name] = knob.read(values[self.knobs[knob.field]])
        try:
            return TrainingConfig.model_validate(asked)
        except ValidationError as error:
            raise FinetuningError(sentence(error)) from None

    def fill(self, config: TrainingConfig) -> Updates:
        """The settings of a run, but not its data and base."""
        plain = config.model_dump(mode="json")
        return {
            self.knobs[knob.field]: knob.shown(_of(plain, knob.field))
            for knob in KNOBS
            if knob is not TITLE
        }

    def fill_preset(self, studio: StudioContext, values: Values, name: str) -> Updates:
        """The settings of a preset, what it is for, and its base where that is here."""
        preset = find_preset(name)
        config = configure(name, {"data": {"caption_set": values[self.caption_set] or "-"}})
        usable = {entry.name for entry in usable_bases(studio)}
        here = config.base in usable
        missing = (
            ""
            if here
            else f" <strong>{escape(config.base)} is not here</strong>: Models says how to get it; "
            "the base stays as it is."
        )
        about = f"{escape(preset.reason)} Needs: {escape(preset.needs)}{missing}"
        filled = self.fill(config) | {self.about: f'<p class="df-note">{about}</p>'}
        return filled | ({self.base: config.base} if here else {})

    def offer(self, studio: StudioContext, values: Values) -> Updates:
        """Caption sets, versions, subsets and models that there are now; what is chosen stays."""
        sets = trainable_sets(studio.database)
        chosen = values[self.caption_set] or (sets[0] if sets else None)
        bases = model_choices(list_models(studio.settings))
        base = values[self.base] or (bases[0][1] if bases else None)
        offered = with_gone([(name, name) for name in sets], {chosen: chosen} if chosen else {})
        return {
            self.caption_set: gr.Dropdown(choices=offered, value=chosen),
            self.subset: gr.Dropdown(choices=_subsets(studio, values[self.subset])),
            self.base: gr.Dropdown(
                choices=with_gone(bases, {base: base} if base else {}), value=base
            ),
            **self.show_data(studio, {**values, self.caption_set: chosen}),
        }

    def show_data(self, studio: StudioContext, values: Values) -> Updates:
        """The versions of the chosen caption set, and how its captions were reviewed."""
        name = values[self.caption_set]
        if not name:
            return {
                self.version: gr.Dropdown(choices=_versions(studio, None)),
                self.reviewed: NO_CAPTIONS,
            }
        try:
            versions = _versions(studio, name)
            version = values[self.version]
            if version not in [value for _, value in versions]:
                version = NEWEST
            state = review_state(
                studio.database,
                name,
                int(version) if version else None,
                values[self.subset] or None,
            )
        except DermaFluxError as error:
            return {self.reviewed: problem_html(str(error))}
        return {
            self.version: gr.Dropdown(choices=versions, value=version),
            self.reviewed: review_html(state),
        }


def build_train_form(studio: StudioContext) -> TrainForm:
    """Lay the form out, set as the first preset, and wire what is in it alone."""
    first = configure(FIRST_PRESET, {"data": {"caption_set": "-"}}).model_dump(mode="json")
    caption_set = gr.Dropdown(
        [],
        value=None,
        label="Captions",
        info="A caption set of Review: pairs of an image and its approved caption.",
        elem_id="train-caption-set",
    )
    with gr.Row():
        version = gr.Dropdown(
            _versions(studio, None),
            value=NEWEST,
            label="Version",
            filterable=False,
            min_width=140,
            elem_id="train-version",
        )
        subset = gr.Dropdown(
            _subsets(studio, None),
            value=EVERYTHING,
            label="Only of a subset",
            min_width=140,
            elem_id="train-subset",
        )
    reviewed = html_block(NO_CAPTIONS, elem_id="train-reviewed")
    base = gr.Dropdown(
        [],
        value=None,
        label="Base model",
        info="What learns. It stays as it is; the LoRA is a small file beside it.",
        elem_id="train-base",
    )
    preset = gr.Dropdown(
        [(one.title, name) for name, one in PRESETS.items()],
        value=FIRST_PRESET,
        label="Preset",
        filterable=False,
        elem_id="train-preset",
    )
    about = html_block(
        f'<p class="df-note">{escape(PRESETS[FIRST_PRESET].reason)}</p>', elem_id="train-about"
    )
    knobs = {TITLE.field: TITLE.build("")}
    for pair in (MAIN[:1], MAIN[1:3], MAIN[3:5], MAIN[5:]):
        with gr.Row():
            knobs |= {knob.field: knob.build(_of(first, knob.field)) for knob in pair}
    for part, listed in ADVANCED.items():
        slug = part.lower().replace(",", "").replace(" ", "-")
        with gr.Accordion(
            f"Advanced: {part[:1].lower()}{part[1:]}", open=False, elem_id=f"train-{slug}"
        ):
            knobs |= {knob.field: knob.build(_of(first, knob.field)) for knob in listed}
    form = TrainForm(caption_set, version, subset, reviewed, base, preset, about, knobs)
    _wire(form, studio)
    return form


def usable_bases(studio: StudioContext) -> list[ModelEntry]:
    """The models that can be trained here."""
    return [entry for entry in list_models(studio.settings) if entry.problem is None]


def sentence(error: ValidationError) -> str:
    """What is wrong with a setting, by the name that it has on the page."""
    first = error.errors(include_url=False)[0]
    place = [str(part) for part in first["loc"] if not isinstance(part, int)]
    name = LABELS.get(".".join(place)) or LABELS.get(place[0] if place else "", "")
    problem = first["msg"].removeprefix("Value error, ").rstrip(".")
    problem = f"{problem[:1].lower()}{problem[1:]}"
    if first["type"] in ("int_type", "float_type", "missing"):
        problem = "it needs a number"
    if first["type"] == "too_short":
        problem = "choose at least one"
    return f"{name}: {problem}." if name else f"The run cannot be planned: {problem}."


def _wire(form: TrainForm, studio: StudioContext) -> None:
    @guarded
    def show_data(values: Values) -> Updates:
        return form.show_data(studio, values)

    @guarded
    def fill_preset(values: Values) -> Updates:
        return form.fill_preset(studio, values, values[form.preset])

    quiet: dict[str, Any] = {"show_progress": "hidden"}
    gr.on(
        [one.input for one in (form.caption_set, form.version, form.subset)],
        show_data,
        set(form.data),
        [form.version, form.reviewed],
        **quiet,
    )
    form.preset.input(fill_preset, {form.preset, form.caption_set}, form.of_preset, **quiet)


def _of(plain: Mapping[str, Any], field: str) -> Any:
    part, _, name = field.rpartition(".")
    return plain[part][name] if part else plain[name]


def _versions(studio: StudioContext, name: str | None) -> list[tuple[str, str]]:
    listed = list_versions(studio.database, name) if name else []
    return [("The newest", NEWEST)] + [
        (f"{one.version}: {one.captions:,} captions", str(one.version)) for one in listed
    ]


def _subsets(studio: StudioContext, chosen: str | None) -> list[tuple[str, str]]:
    listed = [(f"{one.name} ({one.images:,})", one.name) for one in list_subsets(studio.database)]
    return with_gone([("All images", EVERYTHING), *listed], {chosen: chosen} if chosen else {})
