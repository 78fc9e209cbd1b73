"""The calibrated meter as a file: palette, decisions and where they come from."""

from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.abc.measurement.colour import Palette
from backend.abc.measurement.decision import Decision
from backend.abc.measurement.frame import MeasureError

METER_FILE = Path(__file__).resolve().parents[3] / "assets" / "meter.json"


class Provenance(BaseModel):
    """How the meter was made and how well it reads phantoms that it never saw."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str
    phantoms: int
    first_seed: int
    palette_phantoms: int
    palette_first_seed: int
    held_out_phantoms: int
    held_out_first_seed: int
    size: int
    versions: dict[str, str]
    scores: dict[str, float]


class Meter(BaseModel):
    """Everything that `measure` needs beside the image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    palette: Palette
    decisions: dict[str, Decision]
    provenance: Provenance


@lru_cache(maxsize=4)
def load_meter(path: Path = METER_FILE) -> Meter:
    """Read a meter; raises MeasureError where the file is missing or not one of ours."""
    try:
        return Meter.model_validate_json(path.read_bytes())
    except OSError as error:
        raise MeasureError(
            f"The calibration of the meter could not be read from {path.name} ({error.strerror}): "
            "make it with `python -m backend calibrate`."
        ) from error
    except ValidationError as error:
        raise MeasureError(
            f"The calibration of the meter in {path.name} is damaged: "
            "make it again with `python -m backend calibrate`."
        ) from error
