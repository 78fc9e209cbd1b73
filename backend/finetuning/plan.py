"""`plan.json`: what a run is made of and what it will cost, fixed before it starts."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from backend.files import write_file
from backend.finetuning.run_folder import RunFolder, read_part
from backend.generation.lora.layouts import Family


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class BaseFacts(_Part):
    """The model that learns; `hash` is SHA-256 over its tensors, the identity of the run's base."""

    name: str
    title: str
    family: Family
    hash: str
    licence: str


class DatasetFacts(_Part):
    """One dataset behind the pairs, with the terms under which it may be used."""

    name: str
    title: str
    images: int
    licence: str
    citation: str


class DataFacts(_Part):
    """The pairs: where they are from, how many of what, and what was left out with the reason.

    `hash` is that of the version's content. Origins are words of review, such as approved.
    `long_captions` have more tokens than the text length, which cuts them. `for_layout` of the
    training pairs are learnt at much noise alone.
    """

    name: str
    version: int | None
    hash: str
    pairs: int
    training: int
    validation: int
    labels: Mapping[str, int] = {}
    origins: Mapping[str, int] = {}
    buckets: Mapping[str, int] = {}
    left_out: Mapping[str, int] = {}
    distinct_captions: int = 0
    long_captions: int | None = None
    for_layout: int = 0
    datasets: tuple[DatasetFacts, ...] = ()


class TargetFacts(_Part):
    """The LoRA's size, exactly."""

    targets: str
    fused: bool
    rank: int
    alpha: float
    pairs: int
    parameters: int
    bytes_bf16: int
    bytes_fp32: int


class Item(_Part):
    """One line of an estimate."""

    what: str
    bytes: int


class Estimate(_Part):
    """What a run will take; `memory` adds up to the peak of `device`, `host` to that of the
    process beside a GPU (empty on a CPU, where the two are one)."""

    device: str
    memory: tuple[Item, ...]
    host: tuple[Item, ...] = ()
    disk: tuple[Item, ...]
    steps: int
    images: int
    seconds_a_step: float
    seconds: float
    checkpointing: bool
    assumptions: tuple[str, ...]

    @property
    def memory_bytes(self) -> int:
        """Peak of the device."""
        return sum(item.bytes for item in self.memory)

    @property
    def host_bytes(self) -> int:
        """Peak of the process in the machine's own memory."""
        return sum(item.bytes for item in self.host) or self.memory_bytes

    @property
    def disk_bytes(self) -> int:
        """All files of the run together."""
        return sum(item.bytes for item in self.disk)


class Plan(_Part):
    """All of it."""

    created_at: datetime
    base: BaseFacts
    data: DataFacts
    targets: TargetFacts
    t5_length: int
    steps: int
    estimate: Estimate
    libraries: Mapping[str, str] = {}
    warnings: tuple[str, ...] = ()


def pairs_words(data: DataFacts) -> str:
    """How many pairs are learnt from, and how many are not."""
    layout = f" ({data.for_layout:,} for their layout alone)" if data.for_layout else ""
    return f"{data.training:,} to learn from{layout}, {data.validation:,} held out"


def read_plan(run: RunFolder) -> Plan:
    """The plan of a run.

    Raises:
        FinetuningError: the file is missing or not one of ours.
    """
    return read_part(run, run.plan, Plan, "plan")


def write_plan(run: RunFolder, plan: Plan) -> None:
    """Keep the plan of a run; raises FileError."""
    write_file(run.plan, plan.model_dump_json(indent=1).encode())
