"""Samples in between, by the code that generates images, and how far they show what they should."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from backend.abc.adherence import score_attributes
from backend.abc.attributes import Asymmetry, Border, Colour, Label, LesionAttributes
from backend.abc.grammar import write_caption
from backend.abc.measure import MeasureError, measure
from backend.abc.parser import parse
from backend.files import explained_files
from backend.finetuning.config import TrainingConfig
from backend.finetuning.run_folder import STEP_FOLDER, RunFolder
from backend.generation.denoising import TextEmbeddings
from backend.generation.lora.layouts import Family
from backend.generation.pipelines import LIBRARIES, Device, LoadedModel, render
from backend.generation.preview import LatentPreview, fit_preview
from backend.generation.provenance import build_provenance, write_png
from backend.generation.request import GenerationRequest, LoraUse
from backend.images import Pixels
from training.lora.base import Base
from training.lora.texts import EMPTY, TextSource

ATTRIBUTES = ("asymmetry", "border", "colours")
_EXTREMES = (
    LesionAttributes(
        asymmetry=Asymmetry.SYMMETRIC,
        border=Border.REGULAR,
        colours=(Colour.LIGHT_BROWN,),
        label=Label.BENIGN,
    ),
    LesionAttributes(
        asymmetry=Asymmetry.TWO_AXES,
        border=Border.REGULAR,
        colours=(Colour.DARK_BROWN,),
        label=Label.BENIGN,
    ),
    LesionAttributes(
        asymmetry=Asymmetry.SYMMETRIC,
        border=Border.IRREGULAR,
        colours=(Colour.DARK_BROWN,),
        label=Label.BENIGN,
    ),
    LesionAttributes(
        asymmetry=Asymmetry.TWO_AXES,
        border=Border.IRREGULAR,
        colours=(Colour.DARK_BROWN, Colour.BLUE_GRAY, Colour.BLACK),
        label=Label.MALIGNANT,
    ),
)
"""Nothing, one of A and B alone, and all of A, B and C."""


@dataclass(frozen=True)
class Sampled:
    """One image as the metrics tell of it, and what was asked and measured."""

    place: int
    file: str
    caption: str
    asked: LesionAttributes
    measured: LesionAttributes

    @property
    def line(self) -> dict[str, object]:
        """Its entry in the metrics."""
        found = agreements([self])
        return {"file": self.file, "caption": self.caption, "agreement": found}


def sample_captions(config: TrainingConfig) -> tuple[str, ...]:
    """Those of the configuration, else four in the authors' wording with A, B, C at an extreme."""
    if config.sample_captions:
        return config.sample_captions
    return tuple(write_caption(one, seed=place) for place, one in enumerate(_EXTREMES))


def agreements(sampled: Sequence[Sampled]) -> dict[str, float]:
    """How far the images show the attributes of their captions, in 0..1 by attribute."""
    scores = score_attributes([(one.asked, one.measured) for one in sampled])
    return {name: round(scores[name], 4) for name in ATTRIBUTES if name in scores}


class Sampler:
    """The base's pipeline with the LoRA as it is, dressed as the model that generation loads."""

    def __init__(
        self, base: Base, config: TrainingConfig, run: RunFolder, base_hash: str, length: int
    ) -> None:
        self._base = base
        self._config = config
        self._run = run
        self._base_hash = base_hash
        self._length = length
        self._side = max(config.resolutions)
        device = base.compute.device
        on_gpu = device.type == "cuda"
        name = (
            torch.cuda.get_device_name(device)
            if on_gpu
            else torch.backends.cpu.get_cpu_capability()
        )
        self._device = Device(
            "cuda" if on_gpu else "cpu",
            name if on_gpu else f"cpu {name}",
            "bfloat16" if base.compute.weights is torch.bfloat16 else "float32",
            torch.get_num_threads(),
        )

    def sample(
        self, step: int, lora_hash: str, texts: TextSource, *, share: tuple[int, int] = (0, 1)
    ) -> list[Sampled]:
        """The images of a step as PNG files with their provenance; `share` takes some of them.

        Raises:
            GenerationError: the model gave numbers that are no colours.
            FileError: they cannot be written.
        """
        captions = sample_captions(self._config)
        mine = [place for place in range(len(captions)) if place % share[1] == share[0]]
        compute, vae = self._base.compute, self._base.vae
        model = self._model()
        texts.prepare(captions[place] for place in mine)
        vae.to(compute.device, compute.weights)
        try:
            return [
                self._one(model, step, place, captions[place], lora_hash, texts) for place in mine
            ]
        finally:
            vae.to("cpu", torch.float32)

    def begin(self, step: int) -> None:
        """Make way for the images of a step; raises FileError."""
        folder = self._folder(step)
        with explained_files(folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)

    @torch.no_grad()
    def _one(
        self,
        model: LoadedModel,
        step: int,
        place: int,
        caption: str,
        lora_hash: str,
        texts: TextSource,
    ) -> Sampled:
        request = self._request(place, caption, lora_hash)
        pixels = render(model, request, self._embeddings(caption, texts), _nothing)
        file = self._folder(step) / f"{place:02d}.png"
        provenance = build_provenance(
            request,
            family=self._base.entry.family,
            model_hash=self._base_hash,
            scheduler=model.scheduler,
            precision=self._device.precision,
            device=self._device.name,
            threads=self._device.threads,
            libraries=model.libraries,
            accelerations=(f"LoRA in training, step {step}",),
        )
        write_png(file, pixels, provenance)
        return Sampled(
            place=place,
            file=file.relative_to(self._run.path).as_posix(),
            caption=caption,
            asked=parse(caption).attributes,
            measured=_measured(pixels),
        )

    def _request(self, place: int, caption: str, lora_hash: str) -> GenerationRequest:
        config, entry = self._config, self._base.entry
        guidance = config.sample_guidance
        return GenerationRequest(
            caption=caption,
            model=entry.name,
            seed=config.seed + place,
            steps=config.sample_steps,
            guidance_scale=entry.guidance_scale if guidance is None else guidance,
            attribute_guidance=0.0,
            width=self._side,
            height=self._side,
            max_sequence_length=self._length,
            loras=(LoraUse(name=self._run.path.name, hash=lora_hash),),
        )

    @cached_property
    def _preview(self) -> LatentPreview:
        return fit_preview(self._base.vae)

    def _model(self) -> LoadedModel:
        return LoadedModel(
            entry=self._base.entry,
            pipeline=self._base.pipeline,
            device=self._device,
            hash=self._base_hash,
            preview=self._preview,
            libraries={name: version(name) for name in LIBRARIES},
        )

    def _embeddings(self, caption: str, texts: TextSource) -> TextEmbeddings:
        device = str(self._base.compute.device)
        text = texts.batch([caption])
        negative = None
        if self._base.entry.family is Family.SD1:
            negative = texts.batch([EMPTY]).states
        return TextEmbeddings(text.states, text.pooled, self._length, negative).to(device)

    def _folder(self, step: int) -> Path:
        return self._run.samples / STEP_FOLDER.format(step=step)


def _measured(pixels: Pixels) -> LesionAttributes:
    try:
        return measure(pixels).attributes
    except MeasureError:
        return LesionAttributes()


def _nothing(_index: int, _latents: Any, _sigmas: Any) -> None:
    """Called after each step of an image."""


def merged(parts: Sequence[Sequence[Sampled]]) -> Mapping[str, object]:
    """A line of the metrics from what all processes made."""
    every = sorted((one for part in parts for one in part), key=lambda one: one.place)
    return {"images": [one.line for one in every], "agreement": agreements(every)}
