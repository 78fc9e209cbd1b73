"""What a captioning job is asked to do, as it is stored with the job."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from backend.captioning import measured
from backend.captioning.prompts import PAPER

TRANSFORMERS = "transformers"
OPENAI = "openai"
PAPERS_MODEL = "Llama-3.2-11B-Vision-Instruct"
Precision = Literal["auto", "float32", "bfloat16", "float16", "8bit", "4bit"]


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Decoding(_Options):
    """How answers are written: greedily at temperature 0, else drawn with the seed."""

    max_new_tokens: int = Field(300, ge=1, le=4_096)
    temperature: float = Field(0.0, ge=0, le=2)
    seed: int = Field(0, ge=0, lt=2**31)


def _variable(name: str) -> str:
    if not name.replace("_", "").isalnum() or not name.endswith(("_KEY", "_TOKEN")):
        raise ValueError("name an environment variable that ends in _KEY or _TOKEN")
    return name


class Server(_Options):
    """The server that is asked, and how patiently; the key itself is never part of a task.

    images_may_leave: the yes of a person to a server outside of the local network; key_variable,
    key_file: where the key is, if the server wants one; requests_per_minute: all together;
    timeout_s: for one answer; backoff_s: the wait after the first failure, doubled each time.
    """

    base_url: str = Field(max_length=500)
    images_may_leave: bool = False
    key_variable: Annotated[str, AfterValidator(_variable)] | None = None
    key_file: Path | None = None
    concurrency: int = Field(4, ge=1, le=64)
    requests_per_minute: float | None = Field(None, gt=0)
    timeout_s: float = Field(120.0, gt=0, le=3_600)
    attempts: int = Field(5, ge=1, le=20)
    backoff_s: float = Field(1.0, gt=0, le=60)


class CaptionTask(_Options):
    """Which images are captioned, and by whom: of a subset, of a dataset, or all.

    The captioner `archive` takes the captions from the file `archive`, for images of `dataset`.
    `transformers` runs `model`, a name or a folder; `openai` asks the `server` for it. Both follow
    `prompt` and `decoding`. `batch` images are put to a model at once. `again_unsure` asks again
    about images that the same captioner was unsure of before the job.
    """

    captioner: str = measured.NAME
    subset: str | None = None
    dataset: str | None = None
    archive: Path | None = None
    processes: int | None = Field(None, ge=1, le=256)
    model: str | None = Field(None, max_length=500)
    prompt: str = PAPER
    decoding: Decoding = Decoding()
    batch: int = Field(8, ge=1, le=256)
    precision: Precision = "auto"
    server: Server | None = None
    again_unsure: bool = False


def images_words(subset: str | None, dataset: str | None) -> str:
    """Which images a job is for, in the words of its title."""
    return f"subset {subset}" if subset else dataset or "the whole corpus"
