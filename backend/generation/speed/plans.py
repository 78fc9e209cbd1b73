"""What a profile does on a device, what memory that takes, and which profile suits."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from backend.generation.errors import GenerationError
from backend.generation.layout import weight_files
from backend.generation.memory import activation_bytes
from backend.generation.models import ModelEntry
from backend.generation.profile import Profile
from backend.generation.weights import StoredTensor, read_tensors

Offload = Literal["none", "blocks", "leaves"]
CACHE_THRESHOLD = 0.1
"""First-block cache: relative change of the first block's residual below which the rest is taken
from the step before; between the 0.08 and 0.12 that its authors give for FLUX."""
BLOCKS_AT_ONCE = 4
RESERVE_BYTES = 2_000_000_000
"""For the CUDA context, the kernels' workspaces and what the allocator cannot give out."""
NATIVE = "native"
GPU_PROFILES = (Profile.CARD_24, Profile.CARD_12, Profile.CARD_8)
_BLOCKS = ("transformer_blocks", "single_transformer_blocks")
_TEXT = ("text_encoder", "text_encoder_2")
_HOPPER = (9, 0)


@dataclass(frozen=True)
class Plan:
    """Exact unless said otherwise.

    attention: a backend of diffusers; cache_threshold: of the first-block cache; float8: weights
    of the transformer are stored in 8 bits and computed with in the device's precision; lean:
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
        """Whatever may change the last bits of an image, for its provenance."""
        named = {
            "regional compile": self.compiled,
            f"attention {self.attention}": self.attention != NATIVE,
            f"first-block cache {self.cache_threshold}": self.cache_threshold is not None,
            "float8 weights": self.float8,
            f"offloaded {self.offload}": self.offload != "none",
            "fused LoRAs": self.lean,
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
    the model was trained for.

    Raises:
        GenerationError: the profile is for GPUs, and there is none.
    """
    if wanted is not None:
        plan = make_plan(wanted, cuda=cuda, attention=attention)
        return Choice(plan, f"Profile {wanted}, as asked for: {wanted.description}.")
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


def needed_bytes(entry: ModelEntry, plan: Plan, bytes_per_weight: int) -> int:
    """Memory on the device for the largest image that the model was trained for."""
    side = max(entry.sizes)
    activations = activation_bytes(entry, side, side, entry.max_sequence_length, bytes_per_weight)
    return resident_bytes(entry, plan, bytes_per_weight) + activations + RESERVE_BYTES


def resident_bytes(entry: ModelEntry, plan: Plan, bytes_per_weight: int) -> int:
    """Weights on the device while an image is made; streamed ones count as many as are there."""
    transformer = list(_tensors(entry, "transformer"))
    width = 1 if plan.float8 else bytes_per_weight
    numbers = {
        "none": sum(tensor.elements for tensor in transformer),
        "blocks": 2 * BLOCKS_AT_ONCE * _largest_block(transformer) + _outside_blocks(transformer),
        "leaves": 2 * max(tensor.elements for tensor in transformer),
    }
    beside = sum(tensor.elements for tensor in _tensors(entry, "vae"))
    if not plan.lean:
        beside += text_elements(entry)
    return numbers[plan.offload] * width + beside * bytes_per_weight


def text_elements(entry: ModelEntry) -> int:
    """How many numbers the text encoders hold together."""
    return sum(tensor.elements for name in _TEXT for tensor in _tensors(entry, name))


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


def _largest_block(tensors: list[StoredTensor]) -> int:
    sizes: dict[str, int] = {}
    for tensor in tensors:
        kind, _, rest = tensor.name.partition(".")
        if kind in _BLOCKS:
            block = f"{kind}.{rest.partition('.')[0]}"
            sizes[block] = sizes.get(block, 0) + tensor.elements
    return max(sizes.values(), default=0)


def _outside_blocks(tensors: list[StoredTensor]) -> int:
    return sum(t.elements for t in tensors if t.name.partition(".")[0] not in _BLOCKS)
