"""What a person asks for: the recipe of a set, a verdict, guidelines."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from backend.captioning.findings import Check
from backend.review.states import Answer, Mark, ReviewKind, Strategy, Stratum

MAX_TEXT = 10_000
MAX_ITEMS = 1_000_000


def _storable(text: str) -> str:
    """Without what no database keeps: NUL, and halves of a character."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode()


Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_storable),
]
Name = Annotated[str, StringConstraints(max_length=200), AfterValidator(_storable)]
Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
Words = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(_storable)]
Page = Annotated[str, StringConstraints(max_length=100_000), AfterValidator(_storable)]


class ReviewRecipe(BaseModel):
    """How a review set is made.

    Captions are those of `captioner` by `prompt` (its newest version if unset) for images of the
    corpus, narrowed to a subset and a dataset. Images are those of the gallery: of a named set of
    images or of a build's job, or all. `real_or_synthetic` mixes `size` images, half of them from
    each. `size` None takes all that match. `checks` narrows `flagged` to these; empty means all.
    `reviewers` and `adjudicators` empty mean everybody whose role allows it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Line
    kind: ReviewKind = ReviewKind.CAPTIONS
    captioner: Name = "measured"
    prompt: Name | None = None
    subset: Name | None = None
    dataset: Name | None = None
    image_set: Name | None = None
    job_id: Name | None = None
    strategy: Strategy = Strategy.STRATIFIED
    size: int | None = Field(100, ge=1, le=MAX_ITEMS)
    strata: tuple[Stratum, ...] = (Stratum.LABEL, Stratum.DATASET, Stratum.SKIN_TONE)
    balanced: bool = True
    checks: tuple[Check, ...] = ()
    seed: int = Field(0, ge=0, lt=2**31)
    reviewers_per_item: int = Field(1, ge=1, le=20)
    blind: bool = True
    reviewers: tuple[Line, ...] = Field((), max_length=200)
    adjudicators: tuple[Line, ...] = Field((), max_length=200)
    guidelines: Page = ""


class NewVerdict(BaseModel):
    """What a reviewer says of an item.

    `key` is made by the client, once for each press: the same key twice is one verdict.
    `revision` is that of the verdict it saw, 0 where there was none. `text` is the edited caption
    and needed for `edit`; `reason` is needed for `reject`; `note` is for the discussion.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Key
    revision: int = Field(ge=0)
    answer: Answer
    marks: dict[str, Mark] = Field(default_factory=dict, max_length=10)
    text: Words | None = None
    reason: Words = ""
    note: Words = ""
    seconds: float | None = Field(None, ge=0, le=86_400)


class Undo(BaseModel):
    """Take back my last action in a set; the same key twice takes back once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Key


class NewGuidelines(BaseModel):
    """Guidelines for reviewers; `version` is the one that was edited."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(ge=0)
    text: Page


class NewVersion(BaseModel):
    """A version of a caption set from the verdicts of a review set, as they are now.

    `keep` starts from the newest version of the caption set instead of from nothing: what was
    reviewed replaces or removes entries, the rest stays.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Line
    review_set: str = Field(max_length=40)
    note: Words = ""
    keep: bool = True
