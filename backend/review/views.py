"""What faces are shown of reviewing; the HTTP API answers with these as they are."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from backend.jobs.states import JobState
from backend.review.states import (
    Action,
    Answer,
    Mark,
    Origin,
    ReviewKind,
    SetState,
    Strategy,
)

Part = Literal["reviewer", "adjudicator", "keeper"]


class View(BaseModel):
    """Base of all views."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AttributeView(View):
    """An attribute that is judged by itself."""

    name: str
    question: str
    marks: tuple[Mark, ...]


class PersonProgress(View):
    """How far one reviewer is; pace in items an hour, over the last items without breaks."""

    reviewer: str
    given: int
    skipped: int
    flagged: int
    pace: float | None
    last_at: datetime | None


class Progress(View):
    """How far a set is. `seconds_left` is None until a pace is known; 0 where all is done.

    `items` done have all their verdicts; `verdicts` of `verdicts_needed` are given. `mine` is
    None for who has done nothing yet.
    """

    items: int
    done: int
    verdicts: int
    verdicts_needed: int
    disputed: int
    adjudicated: int
    seconds_left: float | None
    mine: PersonProgress | None
    reviewers: tuple[PersonProgress, ...]


class SetView(View):
    """A review set in a list. `parts` is what this person may do in it."""

    id: str
    name: str
    kind: ReviewKind
    strategy: Strategy
    state: SetState
    blind: bool
    reviewers_per_item: int
    created_by: str | None
    created_at: datetime
    closed_at: datetime | None
    captioner: str
    prompt: str
    parts: tuple[Part, ...]
    progress: Progress


class MakingView(View):
    """A set that a job makes: `text` is what it does now, `set` the id of the set once it is there.

    `error` says why it ended without one.
    """

    job: str
    name: str
    state: JobState
    text: str
    error: str | None
    set: str | None


class GuidelinesView(View):
    """The guidelines of a set; version 0 is that nothing was written yet."""

    version: int
    text: str
    author: str | None
    at: datetime | None


class SetDetail(SetView):
    """A review set with all that its page needs."""

    recipe: dict[str, object]
    attributes: tuple[AttributeView, ...]
    answers: tuple[Answer, ...]
    reasons: tuple[str, ...]
    reviewers: tuple[str, ...]
    adjudicators: tuple[str, ...]
    guidelines: GuidelinesView


class SpanView(View):
    """Characters `start` to `end` (exclusive) that say `value` of `field`.

    `kind` is A, B, C or frame, for colouring; `negated` marks what the text rules out. Spans do
    not overlap. Places count Unicode code points.
    """

    start: int
    end: int
    kind: Literal["A", "B", "C", "frame"]
    field: str
    value: str
    negated: bool


class FindingView(View):
    """What speaks against a caption; `spans` are pairs of places, empty for the whole."""

    check: str
    words: str
    severity: str
    reason: str
    spans: tuple[tuple[int, int], ...]


class MeasuredView(View):
    """What was measured on the image, and how sure that is (0..1)."""

    field: str
    value: str
    confidence: float | None


class VerdictView(View):
    """A verdict as it is now. `answer` None is one that was taken back."""

    revision: int
    answer: Answer | None
    marks: dict[str, Mark]
    text: str | None
    reason: str
    note: str
    at: datetime


class ItemView(View):
    """One item, on one screen. Only one's own verdict is in it.

    `label` and `label_words`, `dataset`, `source` and everything about the caption are empty in a
    real-or-synthetic set. `position` counts from 1.
    """

    id: int
    position: int
    image_url: str
    thumbnail_url: str
    overlay_url: str | None
    text: str
    spans: tuple[SpanView, ...]
    findings: tuple[FindingView, ...]
    measured: tuple[MeasuredView, ...]
    label: str
    label_words: str
    dataset: str
    source: str
    verdict: VerdictView | None
    lease_until: datetime | None
    adjudicated: bool


class NextView(View):
    """The items to judge next; `finished` where nothing is left for this reviewer."""

    items: tuple[ItemView, ...]
    finished: bool
    waiting: int


class SavedView(View):
    """What became of a verdict. `repeated` says that this key had been saved before."""

    item: int
    verdict: VerdictView
    repeated: bool
    progress: PersonProgress


class UndoneView(View):
    """What was taken back: the item to show again, and its verdict as it is now."""

    item: int
    action: Action
    verdict: VerdictView
    repeated: bool
    progress: PersonProgress


class LetteredVerdict(View):
    """A verdict without its reviewer: letters are dealt anew for each item."""

    letter: str
    answer: Answer
    marks: dict[str, Mark]
    text: str | None
    reason: str
    note: str


class DisputeView(View):
    """An item that waits for, or has, an adjudication.

    `why` is "flagged", "answers" or "texts". `may_adjudicate` is false for who reviewed it, whose
    own letter is `mine`. `adjudication` is what was decided.
    """

    item: ItemView
    why: tuple[str, ...]
    verdicts: tuple[LetteredVerdict, ...]
    may_adjudicate: bool
    mine: str | None
    adjudication: VerdictView | None


class DiscussionView(View):
    """A page of disputes by position."""

    disputes: tuple[DisputeView, ...]
    total: int
    open: int


class Coefficient(View):
    """A coefficient of agreement with its bootstrap interval; None with the reason why not."""

    value: float | None
    low: float | None
    high: float | None
    reason: str


class AgreementView(View):
    """Agreement on one question over one group of items. `pairs` are comparable verdicts."""

    question: str
    group: str
    items: int
    raters: int
    raw: Coefficient
    cohen: Coefficient
    fleiss: Coefficient
    krippendorff: Coefficient


class ShareView(View):
    """A share with its exact (Clopper-Pearson) 95 % interval."""

    count: int
    total: int
    value: float | None
    low: float | None
    high: float | None


class RealOrSyntheticView(View):
    """Result of the blinded test, of one reviewer or (reviewer "all") of all.

    Sensitivity is the share of synthetic images that were called synthetic, specificity that of
    real images called real.
    """

    reviewer: str
    accuracy: ShareView
    sensitivity: ShareView
    specificity: ShareView


class AgreementReport(View):
    """Agreement of a set; the coefficients an attribute and overall, by label and for all.

    `tests` are filled for a closed real-or-synthetic set only.
    """

    confidence: float
    bootstraps: int
    seed: int
    rows: tuple[AgreementView, ...]
    tests: tuple[RealOrSyntheticView, ...]


class EventView(View):
    """One line of the audit trail."""

    id: int
    at: datetime
    actor: str | None
    action: Action
    item: int | None
    position: int | None
    before: dict[str, object] | None
    after: dict[str, object] | None


class AuditView(View):
    """A page of the trail, the newest first; `next` is the `before` of the following page."""

    events: tuple[EventView, ...]
    next: int | None


class CaptionSetView(View):
    """A caption set by name and its newest version."""

    name: str
    versions: int
    captions: int
    content_hash: str
    updated_at: datetime


class VersionView(View):
    """A version: it never changes. The hash is over all its entries."""

    name: str
    version: int
    captions: int
    content_hash: str
    review_set: str | None
    author: str | None
    note: str
    created_at: datetime
    added: int
    removed: int
    edited: int


class WordDiff(View):
    """A run of words that is the same, was added or was removed."""

    kind: Literal["same", "added", "removed"]
    text: str


class ChangeView(View):
    """What a version changed for one image."""

    change: Literal["added", "removed", "edited"]
    dataset: str
    source: str
    before: str | None
    after: str | None
    words: tuple[WordDiff, ...]


class ChangesView(View):
    """Changes from one version to another: counts, and a page of them by image."""

    name: str
    old: int
    new: int
    added: int
    removed: int
    edited: int
    changes: tuple[ChangeView, ...]
    next: str | None


class EntryView(View):
    """A caption of a version."""

    dataset: str
    source: str
    image_id: str
    text: str
    origin: Origin


class ImportView(View):
    """What an import made; images that are not in the corpus are named, the rest is kept."""

    version: VersionView
    kept: int
    unknown: tuple[str, ...]
    unknown_count: int
    problems: tuple[str, ...]
    problem_count: int


class CaptionerView(View):
    """A version of a captioner, its captions, and those with more than a note."""

    captioner: str
    prompt: str
    captions: int
    flagged: int


class CheckView(View):
    """A check of captions, with its name in words."""

    name: str
    words: str


class SourcesView(View):
    """What a review set can be made of; `gallery` counts generated images without drafts."""

    captioners: tuple[CaptionerView, ...]
    subsets: tuple[str, ...]
    datasets: tuple[str, ...]
    image_sets: tuple[str, ...]
    gallery: int
    checks: tuple[CheckView, ...]


class MeView(View):
    """Who acts; `role` is None where nobody signs in, `known` are names to choose from."""

    name: str | None
    signed_in: bool
    role: str | None
    may: tuple[str, ...]
    known: tuple[str, ...]
