"""Scores of images between two ensembles of sentences."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from backend.evaluation.prompts import PromptSet
from backend.images import open_image
from training.zero_shot.loading import ZeroShotModel

TEXTS_AT_ONCE = 64


@dataclass(frozen=True)
class Ensembles:
    """Unit vectors (2, width): the mean caption of benign and of malignant."""

    classes: Tensor


@torch.inference_mode()
def encode_prompts(loaded: ZeroShotModel, prompts: PromptSet, device: str = "cpu") -> Ensembles:
    """Each class as the normalised mean of its normalised sentences (Radford et al., 2021)."""
    classes = []
    for malignant in (False, True):
        sentences = prompts.sentences(malignant)
        parts = [
            loaded.model.encode_text(  # type: ignore[operator]
                loaded.tokenizer(sentences[first : first + TEXTS_AT_ONCE]).to(device),
                normalize=True,
            )
            for first in range(0, len(sentences), TEXTS_AT_ONCE)
        ]
        classes.append(F.normalize(torch.cat(parts).mean(dim=0), dim=0))
    return Ensembles(torch.stack(classes))


@torch.inference_mode()
def score_batch(loaded: ZeroShotModel, ensembles: Ensembles, images: Tensor) -> NDArray[np.float64]:
    """The softmax probability of malignant of images (B, 3, H, W): (B,)."""
    embeddings: Tensor = loaded.model.encode_image(images, normalize=True)  # type: ignore[operator]
    scale: Tensor = loaded.model.logit_scale.exp()  # type: ignore[operator]
    logits = scale * embeddings @ ensembles.classes.T
    return logits.double().softmax(dim=1)[:, 1].cpu().numpy()


def score_files(
    loaded: ZeroShotModel,
    ensembles: Ensembles,
    paths: Sequence[Path],
    *,
    batch: int = 16,
    device: str = "cpu",
    step: Callable[[int], None] | None = None,
) -> NDArray[np.float64]:
    """Scores of image files in their order.

    Raises:
        ImageError: a file cannot be read.
        Whatever `step` raises; it gets the number of scored images.
    """
    scores = [np.empty(0)]
    done = 0
    for chunk in _chunks(paths, batch):
        images = torch.stack([loaded.preprocess(open_image(path)) for path in chunk])
        scores.append(score_batch(loaded, ensembles, images.to(device)))
        done += len(chunk)
        if step:
            step(done)
    return np.concatenate(scores)


def _chunks(paths: Sequence[Path], size: int) -> Iterator[list[Path]]:
    waiting = iter(paths)
    while chunk := list(islice(waiting, size)):
        yield chunk
