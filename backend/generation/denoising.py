"""What differs between families once a model is loaded: its text, its call, its latents in between.

Everything else of the way from a request to pixels is the same code for all.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from backend.generation.lora.layouts import Family
from backend.generation.request import GenerationRequest

if TYPE_CHECKING:
    import torch

VARIANCE_EXPLODING = ("EulerDiscreteScheduler", "LMSDiscreteScheduler")
"""Samplers whose latents are x_0 + sigma noise already; the others keep their variance at one."""


@dataclass(frozen=True)
class TextEmbeddings:
    """A caption encoded once for all images of a job.

    FLUX: T5 (1, T, D) and pooled CLIP (1, P). Stable Diffusion: CLIP (1, 77, D) of the caption,
    and of the negative caption where guidance needs it.
    """

    prompt: "torch.Tensor"
    pooled: "torch.Tensor | None"
    max_sequence_length: int
    negative: "torch.Tensor | None" = None

    def to(self, device: str) -> "TextEmbeddings":
        """The same on a device by torch's name."""
        return replace(
            self,
            prompt=self.prompt.to(device),
            pooled=None if self.pooled is None else self.pooled.to(device),
            negative=None if self.negative is None else self.negative.to(device),
        )


class Denoising(Protocol):
    """How the pipelines of one family are spoken to."""

    def texts(self, request: GenerationRequest) -> tuple[object, ...]:
        """What of a request the encoded texts depend on."""

    def encode(self, pipeline: Any, request: GenerationRequest, length: int) -> TextEmbeddings:
        """The texts of a request; `length` in tokens."""

    def arguments(self, embeddings: TextEmbeddings) -> dict[str, object]:
        """What the pipeline's call takes beyond what all take."""

    def latents(self, pipeline: Any, latents: "torch.Tensor", index: int) -> "torch.Tensor":
        """The latents after call `index` on a path that is straight in sigma; packed for FLUX."""

    def sigmas(self, pipeline: Any) -> "torch.Tensor":
        """Where that path is before each step, and after the last."""


class FluxDenoising:
    """Rectified flow: x_sigma = (1 - sigma) x_0 + sigma noise; guidance is an input."""

    def texts(self, request: GenerationRequest) -> tuple[object, ...]:
        """The caption alone."""
        return (request.caption,)

    def encode(self, pipeline: Any, request: GenerationRequest, length: int) -> TextEmbeddings:
        """CLIP reads the first 77 tokens of the caption, T5 the first `length`."""
        prompt, pooled, _ = pipeline.encode_prompt(
            prompt=request.caption, prompt_2=None, max_sequence_length=length
        )
        return TextEmbeddings(prompt, pooled, length)

    def arguments(self, embeddings: TextEmbeddings) -> dict[str, object]:
        """Both encodings of the caption and the length of the longer."""
        return {
            "prompt_embeds": embeddings.prompt,
            "pooled_prompt_embeds": embeddings.pooled,
            "max_sequence_length": embeddings.max_sequence_length,
        }

    def latents(self, pipeline: Any, latents: "torch.Tensor", index: int) -> "torch.Tensor":  # noqa: ARG002
        """As they are: the path is straight."""
        return latents

    def sigmas(self, pipeline: Any) -> "torch.Tensor":
        """Those of the flow, 1 to 0."""
        sigmas: torch.Tensor = pipeline.scheduler.sigmas
        return sigmas


class StableDiffusionDenoising:
    """Diffusion with classifier-free guidance: x = sqrt(a) x_0 + sqrt(1 - a) noise, and so
    x / sqrt(a) = x_0 + sigma noise with sigma = sqrt((1 - a) / a), straight in sigma again."""

    def texts(self, request: GenerationRequest) -> tuple[object, ...]:
        """Both captions, whether guidance acts, and the LoRAs: they may change the encoder."""
        guided = request.guidance_scale > 1
        return request.caption, request.negative_caption, guided, request.loras

    def encode(self, pipeline: Any, request: GenerationRequest, length: int) -> TextEmbeddings:
        """CLIP reads the first `length` tokens, of the negative caption where guidance acts."""
        prompt, negative = pipeline.encode_prompt(
            request.caption,
            pipeline.device,
            1,
            request.guidance_scale > 1,
            negative_prompt=request.negative_caption or "",
        )
        return TextEmbeddings(prompt, None, length, negative)

    def arguments(self, embeddings: TextEmbeddings) -> dict[str, object]:
        """The encodings of the caption and of the negative caption."""
        return {
            "prompt_embeds": embeddings.prompt,
            "negative_prompt_embeds": embeddings.negative,
        }

    def latents(self, pipeline: Any, latents: "torch.Tensor", index: int) -> "torch.Tensor":
        """Divided by sqrt(a), which is 1 / sqrt(1 + sigma^2), where the sampler has not."""
        if type(pipeline.scheduler).__name__ in VARIANCE_EXPLODING:
            return latents
        sigma = float(_levels(pipeline.scheduler)[index + 1])
        return latents * (1 + sigma**2) ** 0.5

    def sigmas(self, pipeline: Any) -> "torch.Tensor":
        """One a step: PNDM visits its second level twice, which counts once here."""
        import torch

        return torch.unique_consecutive(_levels(pipeline.scheduler))


def denoising_of(family: Family) -> Denoising:
    """The way of a family that is loaded here."""
    return StableDiffusionDenoising() if family is Family.SD1 else FluxDenoising()


def _levels(scheduler: Any) -> "torch.Tensor":
    """Sigma before each call of the denoiser, and after the last."""
    import torch

    if hasattr(scheduler, "sigmas"):
        levels: torch.Tensor = scheduler.sigmas
        return levels
    visible = scheduler.alphas_cumprod[scheduler.timesteps.long().cpu()]
    return torch.cat([((1 - visible) / visible).sqrt(), torch.zeros(1)])
