"""What jobs count their progress in."""

from collections.abc import Mapping
from types import MappingProxyType

_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "download": "MB",
        "check_model": "files",
        "import": "images",
        "corpus_export": "images",
        "relabel": "images",
        "caption": "images",
        "compare_captions": "images",
        "duplicates": "images",
        "leakage": "images",
    }
)


def unit_of(kind: str) -> str:
    """What jobs of a kind count, in a word: steps, unless it is something else."""
    return _UNITS.get(kind, "steps")
