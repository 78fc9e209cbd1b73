"""Captions encoded ahead of the images, with text encoders that are there only while needed."""

import gc
from collections.abc import Callable, Sequence
from typing import Any

from backend.generation.denoising import TextEmbeddings
from backend.generation.errors import ModelError
from backend.generation.models import ModelEntry
from backend.generation.speed.embeddings import EmbeddingStore

AHEAD = 32
"""Captions encoded at one loading of the text encoders; at T5 length 512 each takes 4 MB."""
MARGIN = 1.1


class CaptionEncoder:
    """Guards the text encoders of a model, and the captions encoded last.

    text_bytes: memory that the encoders take; free: says how many bytes the device has left;
    spare: how many of those the images need, so that encoders stay only where there are more.
    """

    def __init__(
        self,
        entry: ModelEntry,
        *,
        device: str,
        precision: str,
        store: EmbeddingStore | None,
        text_bytes: int,
        spare: int,
        free: Callable[[], int],
    ) -> None:
        self._entry = entry
        self._device = device
        self._precision = precision
        self._store = store
        self._text_bytes = text_bytes
        self._spare = spare
        self._free = free
        self._held: dict[tuple[str, int], TextEmbeddings] = {}
        self._text: Any = None

    @property
    def loaded(self) -> bool:
        """Whether the text encoders are in memory."""
        return self._text is not None

    def release(self) -> None:
        """Give the memory of the text encoders back."""
        import torch

        self._text = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def encode(self, caption: str, length: int, upcoming: Sequence[str] = ()) -> TextEmbeddings:
        """The caption, on the device; where it is new, some of the upcoming ones are made ready.

        Raises:
            FileError: the cache cannot be written.
            ModelError: the text encoders cannot be loaded.
        """
        key = (caption, length)
        if key not in self._held:
            self._prepare(_window(caption, upcoming), length)
        return self._held[key].to(self._device)

    def _prepare(self, captions: Sequence[str], length: int) -> None:
        """Hold these captions and no others; the first of them decides whether to encode."""
        self._held = {
            (caption, length): found
            for caption in captions
            if (found := self._held.get((caption, length)) or self._read(caption, length))
        }
        if (captions[0], length) in self._held:
            return
        if self._text is None:
            stays = self._free() >= MARGIN * self._text_bytes + self._spare
            self._text = self._load()
        else:
            stays = True
        for caption in captions[: 1 if stays else None]:
            if (caption, length) not in self._held:
                self._held[caption, length] = self._encode(caption, length)
        if not stays:
            self.release()

    def _read(self, caption: str, length: int) -> TextEmbeddings | None:
        return self._store.read(caption, length) if self._store else None

    def _encode(self, caption: str, length: int) -> TextEmbeddings:
        """One caption by itself, so that its numbers do not depend on what it is encoded with."""
        import torch

        with torch.no_grad():
            prompt, pooled, _ = self._text.encode_prompt(
                prompt=caption, prompt_2=None, device=self._device, max_sequence_length=length
            )
        embeddings = TextEmbeddings(prompt, pooled, length).to("cpu")
        if self._store:
            self._store.write(caption, embeddings)
        return embeddings

    def _load(self) -> Any:
        """The pipeline without what makes pixels; streamed where the device has no room for it."""
        import torch
        from diffusers import FluxPipeline
        from diffusers.hooks import apply_group_offloading

        try:
            text = FluxPipeline.from_pretrained(
                self._entry.folder,
                transformer=None,
                vae=None,
                dtype=getattr(torch, self._precision),
                local_files_only=True,
                use_safetensors=True,
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"The text encoders of the model {self._entry.name} cannot be loaded, their files "
                "do not fit together: copy or download the folder again."
            ) from error
        if self._device == "cpu" or self._free() >= MARGIN * self._text_bytes:
            return text.to(self._device)
        for encoder in (text.text_encoder, text.text_encoder_2):
            apply_group_offloading(
                encoder, onload_device=torch.device(self._device), offload_type="leaf_level"
            )
        return text


def _window(caption: str, upcoming: Sequence[str]) -> list[str]:
    """The caption and those after it in the list, each once, as many as are encoded at a time."""
    place = upcoming.index(caption) if caption in upcoming else len(upcoming)
    return list(dict.fromkeys([caption, *upcoming[place : place + AHEAD]]))[:AHEAD]
