"""The form of captioning as one typed value: who describes which images, asked what."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component
from pydantic import ValidationError

from backend.captioning import archive, measured
from backend.captioning.errors import CaptioningError
from backend.captioning.prompts import LABEL_FREE, LEAKS, PAPER, names_label
from backend.captioning.task import OPENAI, TRANSFORMERS, CaptionTask, Decoding, Server
from backend.captioning.vision.folders import list_vision_models
from studio.context import StudioContext
from studio.markup import escape, html_block
from studio.tabs.captions_images import ImageChoice, build_image_choice
from studio.tabs.captions_models import model_choices, models_html

Values = Mapping[Component, Any]
Updates = dict[Component, Any]
CAPTIONERS: Mapping[str, tuple[str, str]] = {
    measured.NAME: (
        "Measured",
        "Says what the meter is sure of, and never the label. It needs no model and no network.",
    ),
    TRANSFORMERS: (
        "A model on this machine",
        "A vision-language model describes each image; none is sent to anybody else.",
    ),
    OPENAI: (
        "A server",
        "Each image is sent to a server that speaks OpenAI's chat completions, as Ollama does.",
    ),
    archive.NAME: (
        "A file of captions",
        "Captions that others have written, as JSON or JSON lines of images and captions.",
    ),
}
OWN = "own"
PROMPTS: Mapping[str, tuple[str, str]] = {
    "paper": ("The paper's", PAPER),
    "label-free": ("Without the label", LABEL_FREE),
    OWN: ("Your own", ""),
}
PRECISIONS = [
    ("As the machine allows", "auto"),
    *((name, name) for name in ("float32", "bfloat16", "float16")),
    ("8 bits", "8bit"),
    ("4 bits", "4bit"),
]
WORDS: Mapping[str, str] = {
    "max_new_tokens": "The longest answer",
    "temperature": "The temperature",
    "seed": "The seed",
    "batch": "The number of images at once",
    "concurrency": "The number of requests at once",
    "base_url": "The base URL",
    "model": "The model",
}
PROMPTED = (TRANSFORMERS, OPENAI)
NO_KEYS = (
    "A server that wants a key is asked from the command line: from here the key would go to "
    "whatever address is written."
)


@dataclass(frozen=True)
class CaptionForm:
    """One control a choice, and the parts of the page that belong to one captioner alone."""

    captioner: gr.Radio
    about: gr.Markdown
    images: ImageChoice
    model: gr.Dropdown
    base_url: gr.Textbox
    server_model: gr.Textbox
    concurrency: gr.Number
    archive: gr.Textbox
    prompt: gr.Radio
    own_prompt: gr.Textbox
    max_new_tokens: gr.Number
    temperature: gr.Number
    seed: gr.Number
    batch: gr.Number
    precision: gr.Dropdown
    again_unsure: gr.Checkbox
    models: gr.Markdown
    asked: gr.Markdown
    model_part: gr.Column
    server_part: gr.Column
    archive_part: gr.Column
    prompt_part: gr.Column
    limits: gr.Accordion
    only_model: gr.Row

    @property
    def components(self) -> set[Component]:
        """What the form is read from."""
        single = {getattr(self, one.name) for one in fields(self)}
        shown = {self.about, self.models, self.asked, self.images}
        return {
            self.images.choice,
            *(one for one in single - shown if isinstance(one, Component)),
        }

    @property
    def of_captioner(self) -> list[Any]:
        """What `show_captioner` changes."""
        parts = [self.model_part, self.server_part, self.archive_part, self.prompt_part]
        return [self.about, *parts, self.limits, self.only_model]

    def show_captioner(self, captioner: str) -> dict[Any, Any]:
        """The parts that belong to a captioner, and no others."""
        prompted = captioner in PROMPTED
        return {
            self.about: CAPTIONERS[captioner][1],
            self.model_part: gr.Column(visible=captioner == TRANSFORMERS),
            self.server_part: gr.Column(visible=captioner == OPENAI),
            self.archive_part: gr.Column(visible=captioner == archive.NAME),
            self.prompt_part: gr.Column(visible=prompted),
            self.limits: gr.Accordion(visible=prompted),
            self.only_model: gr.Row(visible=captioner == TRANSFORMERS),
        }

    def show_prompt(self, prompt: str, own: str | None) -> Updates:
        """The chosen prompt, and what it gives away."""
        return {
            self.own_prompt: gr.Textbox(visible=prompt == OWN),
            self.asked: _asked(prompt, own or ""),
        }

    def offer(self, studio: StudioContext, values: Values) -> Updates:
        """Images and models that there are now; what is chosen stays."""
        models = list_vision_models(studio.settings)
        choices = model_choices(models)
        chosen = values[self.model] or next((name for _, name in choices), None)
        return {
            **self.images.offer(studio, values),
            self.model: gr.Dropdown(choices=choices, value=chosen),
            self.models: models_html(models),
        }

    def read(self, values: Values, *, images_may_leave: bool = False) -> CaptionTask:
        """The task that the form describes.

        Raises:
            CaptioningError: naming the field that is missing or wrong.
        """
        captioner = values[self.captioner]
        given: dict[str, object] = {"captioner": captioner, **self.images.read(values)}
        if captioner == archive.NAME:
            given["archive"] = _file(values[self.archive])
        if captioner in PROMPTED:
            given |= self._asking(values)
        if captioner == TRANSFORMERS:
            given |= {
                "model": _stripped(values[self.model]) or None,
                "batch": values[self.batch],
                "precision": values[self.precision],
            }
        try:
            if captioner == OPENAI:
                given |= self._server(values, images_may_leave)
            return CaptionTask.model_validate(given)
        except ValidationError as error:
            raise CaptioningError(_sentence(error)) from None

    def _asking(self, values: Values) -> dict[str, object]:
        """Prompt and limits. Raises CaptioningError where a number is missing or too large."""
        prompt = values[self.prompt]
        try:
            decoding = Decoding(
                max_new_tokens=values[self.max_new_tokens],
                temperature=values[self.temperature],
                seed=values[self.seed],
            )
        except ValidationError as error:
            raise CaptioningError(_sentence(error)) from None
        return {
            "prompt": (values[self.own_prompt] or "") if prompt == OWN else PROMPTS[prompt][1],
            "decoding": decoding,
            "again_unsure": bool(values[self.again_unsure]),
        }

    def _server(self, values: Values, images_may_leave: bool) -> dict[str, object]:
        address, model = _stripped(values[self.base_url]), _stripped(values[self.server_model])
        if not address:
            raise CaptioningError(
                "No server is given: write its base URL, such as http://127.0.0.1:11434/v1."
            )
        if not model:
            raise CaptioningError("No model is given: write what the server calls it.")
        server = Server(
            base_url=address,
            images_may_leave=images_may_leave,
            concurrency=values[self.concurrency],
        )
        return {"server": server, "model": model}


def build_caption_form(studio: StudioContext) -> CaptionForm:
    """Lay the form out, set for the captioner that works everywhere."""
    captioner = gr.Radio(
        [(words, name) for name, (words, _) in CAPTIONERS.items()],
        value=measured.NAME,
        label="Who describes the images",
        elem_id="caption-captioner",
        elem_classes="df-segmented",
    )
    about = gr.Markdown(
        CAPTIONERS[measured.NAME][1],
        elem_id="caption-about",
        elem_classes="df-note",
        container=False,
    )
    images = build_image_choice(studio, "caption-images", "Images")
    with gr.Column(visible=False) as model_part:
        model = gr.Dropdown(
            [],
            value=None,
            label="Model",
            info="One that is here, or the path of its folder on this machine.",
            allow_custom_value=True,
            elem_id="caption-model",
        )
        models = html_block(elem_id="caption-models")
    with gr.Column(visible=False) as server_part:
        server = _server_fields()
    with gr.Column(visible=False) as archive_part:
        file = gr.Textbox(
            label="File on this machine",
            info="Its path. Images are found by name, with or without folder and ending.",
            max_lines=1,
            elem_id="caption-archive",
        )
    with gr.Column(visible=False) as prompt_part:
        prompt, own_prompt, asked = _prompt_fields()
    with gr.Accordion(
        "Limits of the answers", open=False, visible=False, elem_id="caption-limits"
    ) as limits:
        limiting = _limit_fields()
    form = CaptionForm(
        captioner=captioner,
        about=about,
        images=images,
        model=model,
        archive=file,
        prompt=prompt,
        own_prompt=own_prompt,
        models=models,
        asked=asked,
        model_part=model_part,
        server_part=server_part,
        archive_part=archive_part,
        prompt_part=prompt_part,
        limits=limits,
        **server,
        **limiting,
    )
    _wire(form)
    return form


def _wire(form: CaptionForm) -> None:
    quiet: dict[str, Any] = {"show_progress": "hidden"}
    form.captioner.change(form.show_captioner, form.captioner, form.of_captioner, **quiet)
    chosen = [form.prompt, form.own_prompt]
    form.prompt.change(form.show_prompt, chosen, [form.own_prompt, form.asked], **quiet)

    def own(text: str | None) -> str:
        return _asked(OWN, text or "")

    form.own_prompt.blur(own, form.own_prompt, form.asked, **quiet)


def _server_fields() -> dict[str, Any]:
    with gr.Row():
        base_url = gr.Textbox(
            label="Base URL",
            info="Such as http://127.0.0.1:11434/v1.",
            max_lines=1,
            min_width=220,
            elem_id="caption-base-url",
        )
        server_model = gr.Textbox(
            label="Model",
            info="As the server calls it, such as llama3.2-vision.",
            max_lines=1,
            min_width=200,
            elem_id="caption-server-model",
        )
        concurrency = gr.Number(
            value=Server.model_fields["concurrency"].default,
            label="Requests at once",
            info="1 to 64.",
            precision=0,
            min_width=140,
            elem_id="caption-concurrency",
        )
    gr.Markdown(
        f"A server outside of the local network is asked only after your yes. {NO_KEYS}",
        elem_classes="df-note",
        container=False,
    )
    return {"base_url": base_url, "server_model": server_model, "concurrency": concurrency}


def _prompt_fields() -> tuple[gr.Radio, gr.Textbox, gr.Markdown]:
    prompt = gr.Radio(
        [(words, name) for name, (words, _) in PROMPTS.items()],
        value="paper",
        label="What it is asked",
        elem_id="caption-prompt",
        elem_classes="df-segmented",
    )
    own = gr.Textbox(
        label="Your prompt",
        info="[label] is filled in with the label of each image, where it stands.",
        lines=3,
        visible=False,
        elem_id="caption-own-prompt",
    )
    return prompt, own, html_block(_asked("paper", ""), elem_id="caption-asked")


def _limit_fields() -> dict[str, Any]:
    decoding, task = Decoding(), CaptionTask()

    def number(value: float, label: str, info: str, name: str, **more: Any) -> gr.Number:
        return gr.Number(
            value=value, label=label, info=info, min_width=150, elem_id=f"caption-{name}", **more
        )

    with gr.Row():
        longest = number(
            decoding.max_new_tokens,
            "Longest answer, in tokens",
            "One that it cuts off is flagged.",
            "max-new-tokens",
            precision=0,
        )
        temperature = number(
            decoding.temperature, "Temperature", "0 always says the likeliest.", "temperature"
        )
        seed = number(decoding.seed, "Seed", "Where the temperature is not 0.", "seed", precision=0)
    with gr.Row(visible=False) as only_model:
        batch = number(
            task.batch,
            "Images at once",
            "Halved where memory does not suffice.",
            "batch",
            precision=0,
        )
        precision = gr.Dropdown(
            PRECISIONS,
            value=task.precision,
            label="Precision",
            info="8 and 4 bits need bitsandbytes.",
            filterable=False,
            min_width=200,
            elem_id="caption-precision",
        )
    again = gr.Checkbox(
        value=False,
        label="Ask again about images that it was unsure of",
        elem_id="caption-again-unsure",
    )
    return {
        "max_new_tokens": longest,
        "temperature": temperature,
        "seed": seed,
        "batch": batch,
        "precision": precision,
        "again_unsure": again,
        "only_model": only_model,
    }


def _asked(prompt: str, own: str) -> str:
    """The prompt as it is sent, and the sentence about leakage where it names the label."""
    text = own.strip() if prompt == OWN else PROMPTS[prompt][1]
    said = f'<p class="df-dim">{escape(text)}</p>' if prompt != OWN else ""
    warning = LEAKS.replace("the prompt label-free", "the prompt without the label")
    return said + (f'<p class="df-message">{escape(warning)}</p>' if names_label(text) else "")


def _file(given: str | None) -> Path:
    text = _stripped(given).strip("\"'")
    if not text:
        raise CaptioningError("No caption file is given: write its path on this machine.")
    file = Path(text).expanduser().absolute()
    if not file.is_file():
        raise CaptioningError(f"There is no caption file {file}: check its path.")
    return file


def _stripped(given: object) -> str:
    return str(given or "").strip()


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][-1]) if first["loc"] else ""
    if first["input"] is None:
        return f"{WORDS.get(name, name)} is missing: write a number."
    problem = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{WORDS.get(name, name)} has to be {problem.rstrip('.')}: it is {first['input']}."
