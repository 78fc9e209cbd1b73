"""The rectified flow: velocity of phantom latents under caption conditioning.

Path `x_sigma = (1 - sigma) x_0 + sigma noise`, target `noise - x_0`, sigma logit-normal and then
shifted (Esser et al. 2024).
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from diffusers import FluxPipeline, FluxTransformer2DModel
from torch import Tensor, nn
from torch.nn import functional as F

from backend.abc.attributes import LesionAttributes
from backend.generation.attribute_guidance.guide import pack_latents
from training.starter.ahead import made_ahead
from training.starter.captions import caption_generator, training_caption
from training.starter.config import LATENT_CHANNELS, RunFolder, StarterConfig
from training.starter.corpus import (
    BETWEEN,
    SIBLINGS,
    Between,
    load_between,
    load_truths,
    shards,
)
from training.starter.loop import Loop, optimise
from training.starter.precision import CPU, mixed_precision
from training.starter.text import TextEncoders, Tokens

STREAM, VALIDATION_STREAM = 21, 22
VALIDATION_SIGMAS = 8
VALIDATION_BATCH = 96


@dataclass(frozen=True)
class Conditioning:
    """Everything a batch is steered by: T5 states (B, L, D), pooled (B, D), guidance (B,)."""

    states: Tensor
    pooled: Tensor
    guidance: Tensor


@dataclass(frozen=True)
class Families:
    """Which phantoms a step takes, in which of their views, and in which words.

    Siblings follow each other; the caption of a phantom is `caption_of(truth, wording)`.
    """

    picked: Tensor
    views: Tensor
    truths: list[LesionAttributes]
    wordings: list[int | None]

    def captions(self) -> list[str]:
        """What is said of each phantom."""
        return [caption_of(*one) for one in zip(self.truths, self.wordings, strict=True)]


@dataclass(frozen=True)
class FlowDraft:
    """What a step takes before any tensor is on the device: phantoms, views and their captions."""

    picked: Tensor
    views: Tensor
    said: Tokens


@dataclass(frozen=True)
class Batch:
    """Packed clean latents and noise (B, N, 64), sigmas (B,) and what captions say."""

    clean: Tensor
    noise: Tensor
    sigmas: Tensor
    conditioning: Conditioning

    @property
    def noisy(self) -> Tensor:
        """Where each path is at its sigma."""
        return torch.lerp(self.clean, self.noise, self.sigmas[:, None, None])


@dataclass(frozen=True)
class FlowData:
    """Scaled latents (V, N, 16, 16, 16) in every view, and what is true of each phantom.

    The flow never sees those `between` two siblings (M, 16, 16, 16): they are the classifier's.
    """

    training: Tensor
    validation: Tensor
    between: Tensor
    training_truths: Sequence[LesionAttributes]
    validation_truths: Sequence[LesionAttributes]
    between_truths: Sequence[Between]

    @property
    def device(self) -> torch.device:
        return self.training.device


def make_transformer(config: StarterConfig) -> FluxTransformer2DModel:
    """An untrained FLUX transformer; its last projection starts at zero velocity."""
    torch.manual_seed(config.seed + 2)
    head = config.flow_width // config.flow_heads
    rope = (head // 8, head * 7 // 16, head * 7 // 16)
    model = FluxTransformer2DModel(
        in_channels=4 * LATENT_CHANNELS,
        num_layers=config.double_blocks,
        num_single_layers=config.single_blocks,
        attention_head_dim=head,
        num_attention_heads=config.flow_heads,
        joint_attention_dim=config.text_width,
        pooled_projection_dim=config.text_width,
        guidance_embeds=True,
        axes_dims_rope=rope,
    )
    nn.init.zeros_(model.proj_out.weight)
    nn.init.zeros_(model.proj_out.bias)
    return model


def load_data(run: RunFolder, latents: dict[str, Tensor], device: torch.device = CPU) -> FlowData:
    """Latents scaled to unit variance beside the truths of their phantoms."""
    return FlowData(
        training=_scaled(latents, "training", device),
        validation=_scaled(latents, "validation", device)[0],
        between=_scaled(latents, BETWEEN, device)[0],
        training_truths=_truths(run, "training"),
        validation_truths=_truths(run, "validation"),
        between_truths=load_between(run),
    )


def train_flow(
    config: StarterConfig,
    run: RunFolder,
    encoders: TextEncoders,
    data: FlowData,
    *,
    start: FluxTransformer2DModel | None = None,
    compiled: bool = False,
    workers: int = 0,
) -> FluxTransformer2DModel:
    """Train, or take up, the flow; returns its moving average in evaluation mode.

    A new run begins with the weights of `start` where one is given; `compiled` needs a C++
    compiler. The first `config.short_share` of the steps see only the first `config.short_length`
    T5 states, which makes them a third cheaper; the pooled vector always tells the whole caption.
    """
    model = make_transformer(config)
    if start is not None:
        model.load_state_dict(start.state_dict())
    model.to(data.device)
    if compiled:
        model.compile_repeated_blocks(dynamic=False)
    loop = Loop(
        name="flow",
        folder=run.flow,
        log=run.log,
        identity={
            "seed": config.seed,
            "width": config.flow_width,
            "blocks": [config.double_blocks, config.single_blocks],
            "steps": config.flow_steps,
            "batch": config.flow_batch,
            "phantoms": config.phantoms,
            "short": [config.short_length, config.short_share],
            "shift": config.flow_shift,
        },
        steps=config.flow_steps,
        checkpoint_every=config.checkpoint_every,
        ema_decay=config.ema_decay,
        learning_rate=config.flow_learning_rate,
        muon_learning_rate=config.muon_learning_rate,
    )

    def loss_of(step: int, draft: FlowDraft) -> Tensor:
        batch = training_batch(config, encoders, data, draft, STREAM, step)
        conditioning = batch.conditioning
        if step < config.short_share * config.flow_steps:
            conditioning = shortened(conditioning, config.short_length)
        return velocity_loss(model, batch.clean, batch.noise, batch.sigmas, conditioning).mean()

    def drafts(steps: range) -> Iterator[FlowDraft]:
        return made_ahead(flow_drafts(config, encoders, data, STREAM), steps, workers)

    return optimise(
        loop,
        model,
        drafts,
        loss_of,
        lambda average: {"validation_loss": validate(config, average, encoders, data)},
    )


def flow_drafts(
    config: StarterConfig, encoders: TextEncoders, data: FlowData, stream: int
) -> Callable[[int], FlowDraft]:
    """What makes the draft of a step."""

    def make(step: int) -> FlowDraft:
        families = choose_families(config, data, stream, step)
        return FlowDraft(families.picked, families.views, encoders.tokens(families.captions()))

    return make


def choose_families(config: StarterConfig, data: FlowData, stream: int, step: int) -> Families:
    """Whole families with fresh wordings, some left empty; siblings share view and wording."""
    rng = caption_generator(config.seed, stream, step)
    count = config.flow_batch // SIBLINGS
    families = rng.integers(len(data.training_truths) // SIBLINGS, size=count)
    picked = [int(first) * SIBLINGS + place for first in families for place in range(SIBLINGS)]
    words = [int(word) for word in rng.integers(2**31, size=count)]
    drops = rng.random(count) < config.caption_dropout
    each = [None if drop else word for word, drop in zip(words, drops, strict=True)]
    views = torch.from_numpy(rng.integers(len(data.training), size=count))
    return Families(
        picked=torch.tensor(picked),
        views=views.repeat_interleave(SIBLINGS),
        truths=[data.training_truths[index] for index in picked],
        wordings=[word for word in each for _ in range(SIBLINGS)],
    )


def training_batch(
    config: StarterConfig,
    encoders: TextEncoders,
    data: FlowData,
    draft: FlowDraft,
    stream: int,
    step: int,
) -> Batch:
    """The latents and captions of a draft, with noise.

    Siblings share noise and sigma too, so that only what sets them apart is left to explain.
    """
    device = data.device
    generator = seeded(device, config.seed * 1_000_003 + 1_009 * stream + step)
    places = draft.views.to(device, non_blocking=True), draft.picked.to(device, non_blocking=True)
    clean = pack_latents(data.training[places]).float()
    count = len(clean) // SIBLINGS
    noise = torch.randn((count, *clean.shape[1:]), generator=generator, device=device)
    sigmas = sample_sigmas(count, config.flow_shift, generator)
    return Batch(
        clean=clean,
        noise=noise.repeat_interleave(SIBLINGS, dim=0),
        sigmas=sigmas.repeat_interleave(SIBLINGS),
        conditioning=condition(encoders, draft.said, guidance=1.0),
    )


def caption_of(truth: LesionAttributes, wording: int | None) -> str:
    """A caption of a phantom; the same wording says the same things of another one."""
    return "" if wording is None else training_caption(truth, np.random.default_rng(wording))[0]


@torch.no_grad()
def condition(encoders: TextEncoders, said: Tokens, *, guidance: float) -> Conditioning:
    """Captions as `FluxPipeline` hands them to the transformer."""
    with mixed_precision(encoders.device):
        states, pooled = encoders.encode(said)
    guided = torch.full((len(states),), guidance, device=states.device)
    return Conditioning(states.float(), pooled.float(), guided)


def shortened(conditioning: Conditioning, length: int) -> Conditioning:
    """The same conditioning with only the first `length` T5 states."""
    states = conditioning.states[:, :length].contiguous()
    return replace(conditioning, states=states)


def sample_sigmas(count: int, shift: float, generator: torch.Generator) -> Tensor:
    """(count,) sigmas in (0, 1): logit-normal, then shifted.

    Outlines are decided where there is much noise, so that training takes a larger `shift` than
    sampling does.
    """
    sigmas = torch.sigmoid(torch.randn(count, generator=generator, device=generator.device))
    return shift * sigmas / (1 + (shift - 1) * sigmas)


def velocity(
    model: nn.Module, latents: Tensor, sigmas: Tensor, conditioning: Conditioning
) -> Tensor:
    """Velocity (B, N, 64) at noisy packed latents (B, N, 64), in fp32."""
    length, device = conditioning.states.shape[1], latents.device
    text_ids, image_ids = _places(length, math.isqrt(latents.shape[1]), device)
    with mixed_precision(device):
        output: Tensor = model(
            hidden_states=latents,
            timestep=sigmas,
            guidance=conditioning.guidance,
            pooled_projections=conditioning.pooled,
            encoder_hidden_states=conditioning.states,
            txt_ids=text_ids,
            img_ids=image_ids,
            return_dict=False,
        )[0]
    return output.float()


def velocity_loss(
    model: nn.Module, clean: Tensor, noise: Tensor, sigmas: Tensor, conditioning: Conditioning
) -> Tensor:
    """Squared error (B,) of the velocity."""
    weight = sigmas[:, None, None]
    noisy = (1 - weight) * clean + weight * noise
    predicted = velocity(model, noisy, sigmas, conditioning)
    return F.mse_loss(predicted, noise - clean, reduction="none").mean(dim=(1, 2))


@torch.no_grad()
def validate(
    config: StarterConfig, model: nn.Module, encoders: TextEncoders, data: FlowData
) -> float:
    """Mean loss on validation phantoms at 8 equidistant sigmas, noise and captions fixed."""
    count = min(VALIDATION_BATCH, len(data.validation_truths))
    rng = caption_generator(config.seed, VALIDATION_STREAM, 0)
    captions = [training_caption(truth, rng)[0] for truth in data.validation_truths[:count]]
    conditioning = condition(encoders, encoders.tokens(captions), guidance=1.0)
    clean = pack_latents(data.validation[:count]).float()
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(config.seed))
    noise = noise.to(clean.device)
    losses = [
        velocity_loss(model, clean, noise, noise.new_full((count,), sigma), conditioning).mean()
        for sigma in np.linspace(1 / VALIDATION_SIGMAS, 1, VALIDATION_SIGMAS)
        - 0.5 / VALIDATION_SIGMAS
    ]
    return float(torch.stack(losses).mean())


def seeded(device: torch.device, seed: int) -> torch.Generator:
    """Random numbers of a device."""
    return torch.Generator(device).manual_seed(seed)


@functools.cache
def _places(length: int, side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where text and image tokens are, made once: to send them each step would hold up a GPU."""
    image_ids = FluxPipeline._prepare_latent_image_ids(  # noqa: SLF001
        1, side, side, device, torch.float32
    )
    return torch.zeros(length, 3, device=device), image_ids


def _scaled(latents: dict[str, Tensor], split: str, device: torch.device) -> Tensor:
    """On a GPU in bf16, as they are kept: half a million latents would take 8 GB in float32."""
    values = latents[split].to(device)
    scaled = (values.float() - float(latents["shift"])) * float(latents["scale"])
    return scaled if device.type == "cpu" else scaled.bfloat16()


def _truths(run: RunFolder, split: str) -> list[LesionAttributes]:
    return [truth for path in shards(run, split) for truth in load_truths(path)]
