"""The kinds of model that are loaded here, and what a folder of each holds in diffusers layout."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from backend.generation.lora.layouts import Family

CLIP_LENGTH = 77
ATTRIBUTE_CLASSIFIER = "attribute_classifier"
"""A part of our own beside those of the pipeline: `backend.generation.attribute_guidance`."""
_TRANSFORMERS_CLIP: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"text_encoder": ("CLIPTextModel",), "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast")}
)
_CLIP_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))


@dataclass(frozen=True)
class ModelFamily:
    """One kind of model: its pipeline in diffusers, its parts, and how its first release samples.

    components: the classes that may stand for each part; weighted: the parts that hold weights;
    denoiser: the part that LoRAs change; tokenizers: for each, the sets of files of which one must
    be there; optional: parts of the pipeline that are left out. `max_sequence_length` in tokens.
    """

    family: Family
    pipeline: str
    components: Mapping[str, tuple[str, ...]]
    weighted: tuple[str, ...]
    denoiser: str
    tokenizers: Mapping[str, tuple[tuple[str, ...], ...]]
    optional: tuple[str, ...]
    sizes: tuple[int, ...]
    steps: int
    guidance_scale: float
    max_sequence_length: int
    fixed_length: bool
    negative_caption: bool

    @property
    def full_name(self) -> str:
        """As its makers call it."""
        return self.family.full_name

    @property
    def text_encoders(self) -> tuple[str, ...]:
        """The parts that read captions."""
        return tuple(name for name in self.weighted if name.startswith("text_encoder"))

    @property
    def files(self) -> tuple[str, ...]:
        """Patterns of the files of a hub repository that the pipeline needs, weights as
        safetensors."""
        inside = [
            f"{component}/*{suffix}"
            for component in self.components
            for suffix in (".json", ".txt", ".model", ".safetensors")
        ]
        return ("model_index.json", *inside)


FLUX = ModelFamily(
    family=Family.FLUX,
    pipeline="FluxPipeline",
    components=MappingProxyType(
        {
            "transformer": ("FluxTransformer2DModel",),
            "vae": ("AutoencoderKL",),
            **_TRANSFORMERS_CLIP,
            "text_encoder_2": ("T5EncoderModel",),
            "tokenizer_2": ("T5Tokenizer", "T5TokenizerFast"),
            "scheduler": ("FlowMatchEulerDiscreteScheduler",),
        }
    ),
    weighted=("transformer", "vae", "text_encoder", "text_encoder_2"),
    denoiser="transformer",
    tokenizers=MappingProxyType(
        {"tokenizer": _CLIP_FILES, "tokenizer_2": (("tokenizer.json",),)},
    ),
    optional=(),
    sizes=(512, 768, 1024),
    steps=20,
    guidance_scale=3.5,
    max_sequence_length=512,
    fixed_length=False,
    negative_caption=False,
)
STABLE_DIFFUSION = ModelFamily(
    family=Family.SD1,
    pipeline="StableDiffusionPipeline",
    components=MappingProxyType(
        {
            "unet": ("UNet2DConditionModel",),
            "vae": ("AutoencoderKL",),
            **_TRANSFORMERS_CLIP,
            "scheduler": (
                "PNDMScheduler",
                "DDIMScheduler",
                "LMSDiscreteScheduler",
                "EulerDiscreteScheduler",
                "DPMSolverMultistepScheduler",
            ),
        }
    ),
    weighted=("unet", "vae", "text_encoder"),
    denoiser="unet",
    tokenizers=MappingProxyType({"tokenizer": _CLIP_FILES}),
    optional=("safety_checker", "feature_extractor", "image_encoder"),
    sizes=(512,),
    steps=50,
    guidance_scale=7.5,
    max_sequence_length=CLIP_LENGTH,
    fixed_length=True,
    negative_caption=True,
)
FAMILIES = (FLUX, STABLE_DIFFUSION)


def family_named(family: Family) -> ModelFamily | None:
    """The kind of model; None for one that nothing here loads."""
    return next((known for known in FAMILIES if known.family is family), None)


def family_of_pipeline(pipeline: object) -> ModelFamily | None:
    """The kind of model that a `model_index.json` names as `_class_name`; None for any other."""
    return next((known for known in FAMILIES if known.pipeline == pipeline), None)
