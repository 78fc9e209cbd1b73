"""Images for the experiments with a LoRA: generated from captions, reconstructed, on one sheet."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.generation.lora.choice import choose_loras
from backend.generation.models import usable_model
from backend.generation.pipelines import (
    choose_device,
    encode_caption,
    load_model,
    render,
    set_loras,
)
from backend.generation.provenance import write_figure, write_png
from backend.generation.request import GenerationRequest, LoraUse
from backend.generation.running import prepare_request, provenance_of
from backend.images import Pixels, open_image, write_image
from backend.settings import Settings
from backend.store.database import open_database

TOLD_EVERY = 20
COLUMNS = 10


def generate(
    settings: Settings,
    folder: Path,
    captions: Sequence[str],
    *,
    model: str,
    lora: LoraUse | None,
    first_seed: int,
) -> list[Path]:
    """One image a caption, with seeds that count up; those that are in the folder stay."""
    files = [folder / f"{place:05d}.png" for place in range(len(captions))]
    missing = [place for place, file in enumerate(files) if not file.is_file()]
    if not missing:
        return files
    folder.mkdir(parents=True, exist_ok=True)
    maker = _Maker(settings, model, lora)
    for done, place in enumerate(missing):
        maker.make(captions[place], first_seed + place, files[place])
        if done % TOLD_EVERY == 0:
            print(f"{folder.name}: image {place + 1} of {len(files)}", flush=True)
    return files


def reconstruct(
    settings: Settings, folder: Path, images: Sequence[Path], *, model: str
) -> list[Path]:
    """What the autoencoder of the model makes of real images at the side of the model."""
    files = [folder / f"{place:05d}.png" for place in range(len(images))]
    if all(file.is_file() for file in files):
        return files
    folder.mkdir(parents=True, exist_ok=True)
    entry = usable_model(settings, model)
    loaded = load_model(settings, entry, choose_device(settings))
    for source, file in zip(images, files, strict=True):
        if not file.is_file():
            write_image(file, _through(loaded.pipeline.vae, square(source, entry.sizes[0])))
    return files


def square(file: Path, side: int) -> Pixels:
    """The middle square of an image at `side` pixels."""
    image = open_image(file)
    edge = min(image.size)
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    cut = image.crop((left, top, left + edge, top + edge))
    return np.asarray(cut.resize((side, side), Image.Resampling.LANCZOS))


def write_sheet(file: Path, rows: dict[str, Sequence[Path]], *, side: int) -> None:
    """The first images of each set in a row, in columns of one caption."""
    lines = [
        np.concatenate([square(image, side) for image in images[:COLUMNS]], axis=1)
        for images in rows.values()
    ]
    write_figure(file, np.concatenate(lines), {"synthetic": True, "rows": list(rows)})


class _Maker:
    """Guards a model in memory, with one LoRA or none."""

    def __init__(self, settings: Settings, model: str, lora: LoraUse | None) -> None:
        self._entry = usable_model(settings, model)
        side = self._entry.sizes[0]
        asked = GenerationRequest(
            caption="A lesion.",
            model=model,
            seed=0,
            steps=self._entry.steps,
            guidance_scale=self._entry.guidance_scale,
            attribute_guidance=0.0,
            width=side,
            height=side,
            loras=(lora,) if lora else (),
        )
        database = open_database(settings)
        try:
            prepared = prepare_request(database, settings, asked)
            chosen = choose_loras(database, settings, prepared, self._entry)
        finally:
            database.close()
        self._values = {
            "loras": prepared.loras,
            "max_sequence_length": prepared.max_sequence_length,
        }
        self._asked = asked
        self._model = load_model(settings, self._entry, choose_device(settings))
        set_loras(self._model, chosen)

    def make(self, caption: str, seed: int, file: Path) -> None:
        """Make one image."""
        request = self._asked.model_copy(update={**self._values, "caption": caption, "seed": seed})
        texts = encode_caption(self._model, request)
        pixels = render(self._model, request, texts, lambda _index, _latents, _sigmas: None)
        write_png(file, pixels, provenance_of(self._model, request))


def _through(vae: Any, pixels: Pixels) -> Pixels:
    """Pixels (H, W, 3), coded by the mean of the posterior and decoded."""
    import torch

    with torch.inference_mode():
        batch = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        batch = batch.to(vae.device, vae.dtype)
        decoded: torch.Tensor = vae.decode(vae.encode(batch).latent_dist.mode()).sample
    values: NDArray[np.float32] = decoded[0].permute(1, 2, 0).float().cpu().numpy()
    return ((values + 1) * 127.5).clip(0, 255).round().astype(np.uint8)
