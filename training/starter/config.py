"""What the starter model is made of and how long each stage trains."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

IMAGE_SIZE = 128
LATENT_CHANNELS = 16
CLIP_LENGTH = 77


@dataclass(frozen=True)
class StarterConfig:
    """Every number that decides the weights; stored beside them."""

    seed: int = 20260317
    phantoms: int = 32_640
    validation_phantoms: int = 384
    between_phantoms: int = 7_680
    vocabulary: int = 2_048
    text_width: int = 128
    text_layers: int = 2
    text_steps: int = 900
    text_batch: int = 64
    t5_length: int = 96
    vae_channels: tuple[int, ...] = (32, 64, 96, 128)
    vae_steps: int = 1_600
    vae_batch: int = 16
    vae_crop: int = 64
    vae_whole_share: float = 0.2
    vae_learning_rate: float = 1.5e-3
    kl_weight: float = 2e-4
    grain_weight: float = 0.15
    hint_weight: float = 0.5
    decoder_steps: int = 600
    decoder_learning_rate: float = 4e-4
    decoder_grain_weight: float = 0.5
    flow_width: int = 256
    flow_heads: int = 4
    double_blocks: int = 1
    single_blocks: int = 4
    flow_steps: int = 9_000
    flow_batch: int = 48
    flow_learning_rate: float = 8e-4
    muon_learning_rate: float = 1e-3
    flow_shift: float = 2.2
    short_length: int = 32
    short_share: float = 0.9
    caption_dropout: float = 0.1
    ema_decay: float = 0.999
    guidance_steps: int = 240
    guidance_batch: int = 24
    guidance_learning_rate: float = 3e-4
    guidance_range: tuple[float, float] = (1.0, 5.0)
    guidance_strength: float = 0.6
    asymmetry_strength: float = 0.8
    border_strength: float = 1.6
    classifier_width: int = 64
    classifier_steps: int = 9_000
    classifier_batch: int = 144
    classifier_learning_rate: float = 1e-3
    checkpoint_every: int = 250

    def as_json(self) -> dict[str, object]:
        """The configuration as plain values."""
        return asdict(self)


def configured(settings: Sequence[str]) -> StarterConfig:
    """The released configuration with single numbers changed, each as `name=value`.

    Raises ValueError naming what is no number of it.
    """
    config = StarterConfig()
    numbers = {
        field.name: type(getattr(config, field.name))
        for field in fields(config)
        if isinstance(getattr(config, field.name), int | float)
    }
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in numbers:
            raise ValueError(f"There is no number {name!r}; there are {', '.join(numbers)}.")
        try:
            config = replace(config, **{name: numbers[name](value)})
        except ValueError:
            kind = "whole number" if numbers[name] is int else "number"
            raise ValueError(f"{name} takes a {kind}, not {value!r}.") from None
    return config


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps its phantoms, checkpoints and log."""

    root: Path

    @property
    def phantoms(self) -> Path:
        return self.root / "phantoms"

    @property
    def clip_tokenizer(self) -> Path:
        return self.root / "tokenizer"

    @property
    def t5_tokenizer(self) -> Path:
        return self.root / "tokenizer_2"

    @property
    def text(self) -> Path:
        return self.root / "text"

    @property
    def autoencoder(self) -> Path:
        return self.root / "autoencoder"

    @property
    def decoder(self) -> Path:
        return self.root / "decoder"

    @property
    def latents(self) -> Path:
        return self.root / "latents.safetensors"

    @property
    def flow(self) -> Path:
        return self.root / "flow"

    @property
    def guidance(self) -> Path:
        return self.root / "guidance"

    @property
    def classifier(self) -> Path:
        return self.root / "classifier"

    @property
    def samples(self) -> Path:
        return self.root / "samples"

    @property
    def log(self) -> Path:
        return self.root / "training_log.jsonl"
