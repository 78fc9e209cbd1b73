"""How an image is made faster or in less memory: the choices that a request can name."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Profile(StrEnum):
    """A way to run a model; a request without one takes what suits the device."""

    EXACT = "exact"
    FAST = "fast"
    DRAFT = "draft"
    CARD_24 = "24gb"
    CARD_12 = "12gb"
    CARD_8 = "8gb"

    @property
    def full_name(self) -> str:
        """For a list to choose from."""
        return _TITLES[self]

    @property
    def description(self) -> str:
        """What is done, in a few words."""
        return _DESCRIPTIONS[self]


_TITLES: Mapping[Profile, str] = MappingProxyType(
    {
        Profile.EXACT: "Exact",
        Profile.FAST: "Fast",
        Profile.DRAFT: "Draft",
        Profile.CARD_24: "24 GB card",
        Profile.CARD_12: "12 GB card",
        Profile.CARD_8: "8 GB card",
    }
)
_DESCRIPTIONS: Mapping[Profile, str] = MappingProxyType(
    {
        Profile.EXACT: "plain and repeatable pixel by pixel",
        Profile.FAST: "blocks compiled on a GPU, LoRAs fused, encoded captions kept",
        Profile.DRAFT: "skips blocks that change little; never exported, not put into sets",
        Profile.CARD_24: "weights in 8 bits, captions encoded first",
        Profile.CARD_12: "weights in 8 bits, one block on the GPU at a time",
        Profile.CARD_8: "weights in 8 bits, one layer on the GPU at a time",
    }
)
