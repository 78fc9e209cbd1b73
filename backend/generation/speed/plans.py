"""What a profile does on a device, what memory that takes, and which profile suits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from backend.generation.errors import GenerationError
from backend.generation.layout import weight_files
from backend.generation.lora.layouts import Family
from backend.generation.memory import activation_bytes
from backend.generation.models import ModelEntry
from backend.generation.profile import Profile
from backend.generation.request import GenerationRequest
from backend.generation.weights import StoredTensor, read_tensors

Offload = Literal["none", "blocks", "leaves"]
CACHE_THRESHOLD = 0.1
"""First-block cache: relative change of the first block's residual below which the rest is taken
from the step before; between the 0.08 and 0.12 that its authors give for FLUX."""
STREAMED = 3
"""Groups of weights on the GPU at once: one computes, one comes, one is not yet given back."""
RESERVE_BYTES = 2_000_000_000
"""For the CUDA context, the kernels' workspaces and what the allocator cannot give out."""
NATIVE = "native"
GPU_PROFILES = (Profile.CARD_24, Profile.CARD_12, Profile.CARD_8)
_BLOCKS = ("transformer_blocks", "single_transformer_blocks")
_HOPPER = (9, 0)


@dataclass(frozen=True)
class Plan:
    """Exact unless said otherwise.

    attention: a backend of diffusers; cache_threshold: of the first-block cache; float8: weights
    of the transformer are stored in 8 bits and computed with in the device's precision, by
    compiled blocks in 8 bits too; lean:
    LoRAs are fused into the weights, and text encoders are there only for captions that are new.
    """

    profile: Profile = Profile.EXACT
    compiled: bool = False
    attention: str = NATIVE
    cache_threshold: float | None = None
    float8: bool = False
    offload: Offload = "none"
    lean: bool = False

    @property
    def accelerations(self) -> tuple[str, ...]:
        """What may change the last bits of any image, for its provenance."""
        named = {
            "regional compile": self.compiled,
            "joined projections": self.compiled,
            f"attention {self.attention}": self.attention != NATIVE,
            f"first-block cache {self.cache_threshold}": self.cache_threshold is not None,
            "float8 weights": self.float8 and not self.compiled,
            "float8 weights and products": self.float8 and self.compiled,
            f"offloaded {self.offload}": self.offload != "none",
        }
        return tuple(name for name, used in named.items() if used)


EXACT = Plan()


@dataclass(frozen=True)
class Choice:
    """A plan, and why it is this one, in a sentence for a person."""

    plan: Plan
    sentence: str


def make_plan(profile: Profile, *, cuda: bool, attention: str = NATIVE) -> Plan:
    """What a profile does with or without a GPU.

    Raises:
        GenerationError: the profile is for GPUs, and there is none.
    """
    if profile in GPU_PROFILES and not cuda:
        raise GenerationError(
            f"The profile {profile} is for graphics cards, and images are made on the CPU here: "
            "choose exact, fast or draft."
        )
    match profile:
        case Profile.EXACT:
            return EXACT
        case Profile.FAST:
            return Plan(profile, compiled=cuda, attention=attention, lean=True)
        case Profile.DRAFT:
            return Plan(profile, attention=attention, cache_threshold=CACHE_THRESHOLD, lean=True)
        case Profile.CARD_24:
            return Plan(profile, attention=attention, float8=True, lean=True)
        case Profile.CARD_12:
            return Plan(profile, attention=attention, float8=True, offload="blocks", lean=True)
        case Profile.CARD_8:
            return Plan(profile, attention=attention, float8=True, offload="leaves", lean=True)


def choose_plan(
    entry: ModelEntry,
    wanted: Profile | None,
    *,
    cuda: bool,
    device: str,
    total: int,
    attention: str = NATIVE,
) -> Choice:
    """The plan of the profile that is wanted; with none, what suits `total` bytes of `device`.

    On the CPU that is exact; on a GPU the fastest whose weights fit beside the largest image that
    the model was trained for. Models of other kinds than FLUX are always exact.

    Raises:
        GenerationError: the profile is for GPUs, and there is none, or not for this model.
    """
    family = Family(entry.family)
    if family is not Family.FLUX and wanted not in (None, Profile.EXACT):
        raise GenerationError(
            f"The profile {wanted} is for FLUX models, and {entry.title} is a {family.full_name}: "
            "choose exact."
        )
    if wanted is not None:
        plan = make_plan(wanted, cuda=cuda, attention=attention)
        return Choice(plan, f"Profile {wanted}, as asked for: {wanted.description}.")
    if family is not Family.FLUX:
        return Choice(EXACT, f"Profile exact, the one for a {family.full_name}.")
    if not cuda:
        return Choice(
            EXACT, f"Profile exact, as images are made on the CPU: {Profile.EXACT.description}."
        )
    plans = [
        make_plan(profile, cuda=True, attention=attention)
        for profile in (Profile.FAST, *GPU_PROFILES)
    ]
    plan = next((plan for plan in plans if needed_bytes(entry, plan, 2) <= total), plans[-1])
    return Choice(
        plan,
        f"Profile {plan.profile}, as {device} has {total / 1e9:.0f} GB and {entry.title} needs "
        f"{needed_bytes(entry, plan, 2) / 1e9:.0f} GB this way: {plan.profile.description}.",
    )


def profile_that_fits(
    entry: ModelEntry, request: GenerationRequest, plan: Plan, total: int
) -> Profile | None:
    """The first profile leaner than the plan whose image fits into `total` bytes of a GPU."""
    tokens = request.max_sequence_length or entry.max_sequence_length
    image = activation_bytes(entry, request.width, request.height, tokens, 2)
    room = total - image - RESERVE_BYTES
    begun = resident_bytes(entry, plan, 2)
    for profile in (Profile.FAST, *GPU_PROFILES):
        needed = resident_bytes(entry, make_plan(profile, cuda=True), 2)
        if needed <= room and needed < begun:
            return profile
    return None


def needed_bytes(entry: ModelEntry, plan: Plan, bytes_per_weight: int) -> int:
    """Memory on the device for the largest image that the model was trained for."""
    side = max(entry.sizes)
    activations = activation_bytes(entry, side, side, entry.max_sequence_length, bytes_per_weight)
    return resident_bytes(entry, plan, bytes_per_weight) + activations + RESERVE_BYTES


def resident_bytes(entry: ModelEntry, plan: Plan, bytes_per_weight: int) -> int:
    """Weights on the device while an image is made; streamed ones count as many as are there."""
    sizes = {
        tensor.name: tensor.elements * _stored_width(tensor.name, plan, bytes_per_weight)
        for tensor in _tensors(entry, entry.kind.denoiser)
    }
    there = {
        "none": sum(sizes.values()),
        "blocks": STREAMED * max(_block_bytes(sizes).values()) + _outside_blocks(sizes),
        "leaves": STREAMED * max(sizes.values()),
    }
    beside = sum(
        tensor.elements
        for name in entry.kind.weighted
        if name not in (entry.kind.denoiser, *entry.kind.text_encoders)
        for tensor in _tensors(entry, name)
    )
    if not plan.lean:
        beside += text_elements(entry)
    return there[plan.offload] + beside * bytes_per_weight


def text_elements(entry: ModelEntry) -> int:
    """How many numbers the text encoders hold together."""
    return sum(
        tensor.elements for name in entry.kind.text_encoders for tensor in _tensors(entry, name)
    )


def best_attention(capability: tuple[int, int]) -> str:
    """The fastest attention of diffusers for a CUDA device that is installed here and in 16 bits.

    Nothing is fetched: the backends that come from the hub are left out, and those that quantise
    queries and keys as well.
    """
    if capability >= _HOPPER and find_spec("flash_attn_interface") is not None:
        return "_flash_3"
    if find_spec("flash_attn") is not None:
        return "flash"
    return "_native_cudnn" if capability >= _HOPPER else NATIVE


def _tensors(entry: ModelEntry, component: str) -> Iterator[StoredTensor]:
    for file in weight_files(entry.folder / component):
        yield from read_tensors(file)


def _stored_width(name: str, plan: Plan, bytes_per_weight: int) -> int:
    """diffusers leaves norms and the layers that modulate them in full precision."""
    return 1 if plan.float8 and "norm" not in name else bytes_per_weight


def _block_bytes(sizes: Mapping[str, int]) -> Mapping[str, int]:
    blocks: dict[str, int] = {"": 0}
    for name, size in sizes.items():
        kind, _, rest = name.partition(".")
        if kind in _BLOCKS:
            block = f"{kind}.{rest.partition('.')[0]}"
            blocks[block] = blocks.get(block, 0) + size
    return blocks


def _outside_blocks(sizes: Mapping[str, int]) -> int:
    return sum(size for name, size in sizes.items() if name.partition(".")[0] not in _BLOCKS)
