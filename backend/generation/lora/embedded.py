"""The LoRAs that come with the studio: on the shelf by themselves, read where they lie."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from backend.generation.errors import LoraError
from backend.generation.lora.facts import LoraFacts, find_facts
from backend.generation.lora.reading import read_lora
from backend.settings import Settings

FILE = "lora.safetensors"


@dataclass(frozen=True)
class EmbeddedLora:
    """One of them: the folder's name is that of the LoRA."""

    name: str
    path: Path
    facts: LoraFacts
    added_at: datetime


def embedded_loras(settings: Settings) -> list[EmbeddedLora]:
    """All of them by name; a file that is damaged is left out, as if it were not there."""
    found = []
    for path in sorted(settings.embedded_loras_dir.glob(f"*/{FILE}")):
        state = path.stat()
        facts = _facts(path, state.st_size, state.st_mtime_ns)
        if facts is not None:
            added_at = datetime.fromtimestamp(state.st_mtime, UTC)
            found.append(EmbeddedLora(path.parent.name, path, facts, added_at))
    return found


@lru_cache(maxsize=32)
def _facts(path: Path, _size: int, _changed: int) -> LoraFacts | None:
    """Remembered while the file stays as it is: its hash takes a reading of all of it."""
    try:
        return find_facts(read_lora(path))
    except LoraError:
        return None
