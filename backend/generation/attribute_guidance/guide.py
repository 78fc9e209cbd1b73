"""What leads the latents of an image, step by step, to what its caption states."""

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import FluxPipeline
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from backend.abc.attributes import LesionAttributes
from backend.generation.attribute_guidance.classifier import (
    NoisyClassifier,
    Stated,
    stated_of,
    surprises,
)
from backend.generation.attribute_guidance.files import (
    WEIGHTS,
    ClassifierConfig,
    classifier_config,
)
from backend.generation.errors import ModelError
from backend.generation.families import ATTRIBUTE_CLASSIFIER
from backend.generation.preview import unpack_latents

TRAINED_SIGMA = 0.97
"""The most noise that classifiers are trained with."""


class AttributeClassifier:
    """The classifier of a model in memory, in fp32 on the device where images are made."""

    def __init__(self, network: NoisyClassifier, config: ClassifierConfig) -> None:
        self.network = network
        self.config = config

    @classmethod
    def load(cls, model: Path, device: str) -> "AttributeClassifier":
        """From the folder of a model.

        Raises:
            ModelError: files are missing or damaged, or do not fit together.
        """
        config = classifier_config(model)
        network = NoisyClassifier(config.width, config.image_size)
        try:
            state = load_file(model / ATTRIBUTE_CLASSIFIER / WEIGHTS)
            network.load_state_dict({name: tensor.float() for name, tensor in state.items()})
        except (OSError, SafetensorError, RuntimeError) as error:
            raise ModelError(
                f"The {ATTRIBUTE_CLASSIFIER} of the model {model.name} cannot be loaded, its files "
                "do not fit together: copy or download the folder again."
            ) from error
        network.eval().requires_grad_(requires_grad=False).to(device)
        return cls(network.to(memory_format=torch.channels_last), config)

    def slope(self, latents: Tensor, sigma: float, stated: Stated) -> Tensor:
        """Gradient (1, 16, S, S) of how much the classifier misses, attributes weighted."""
        config = self.config
        told = latents.new_full((len(latents),), sigma)
        with torch.enable_grad():
            seen = latents.contiguous(memory_format=torch.channels_last).requires_grad_()
            logits = self.network(seen, told)
            cooled = {name: values / config.temperature for name, values in logits.items()}
            missed = [
                config.strengths[name] * one.sum()
                for name, one in surprises(cooled, stated).items()
            ]
            (slope,) = torch.autograd.grad(torch.stack(missed).sum(), seen)
        return slope


@dataclass(frozen=True)
class AttributeGuide:
    """The classifier set on what one caption states, with a strength of `scale`."""

    classifier: AttributeClassifier
    stated: Stated
    scale: float

    @classmethod
    def of(
        cls, classifier: AttributeClassifier, lesion: LesionAttributes, scale: float, device: str
    ) -> "AttributeGuide | None":
        """The guide for what a caption states; None where it leaves everything open."""
        stated = stated_of([lesion]).to(torch.device(device))
        open_ = not any(bool(share.any()) for share in stated.shares.values())
        return None if open_ and not bool(stated.coloured) else cls(classifier, stated, scale)

    def led(self, packed: Tensor, sigma: float, next_sigma: float) -> Tensor:
        """Packed latents (1, N, 64) at `sigma`, moved by what this adds to the velocity of the
        step to `next_sigma`."""
        if sigma >= 1:  # pure noise shows nothing
            return packed
        side = self.classifier.config.image_size
        latents = unpack_latents(packed.float(), side, side)[None]
        slope = self.classifier.slope(latents, min(sigma, TRAINED_SIGMA), self.stated)
        bounded = min(sigma, self.classifier.config.highest_sigma)
        moved = latents + self.scale * (next_sigma - sigma) * sigma / (1 - bounded) * slope
        return pack_latents(moved).to(packed.dtype)


def pack_latents(latents: Tensor) -> Tensor:
    """(B, 16, H, W) to (B, H/2 * W/2, 64)."""
    packed: Tensor = FluxPipeline._pack_latents(  # noqa: SLF001 - the layout must be diffusers' own
        latents, *latents.shape
    )
    return packed
