"""The tables of reviewing: sets, items, leases, verdicts, the audit trail, and caption sets."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.abc.attributes import Label
from backend.review.states import (
    Action,
    Answer,
    Mark,
    Origin,
    ReviewKind,
    SetState,
    Strategy,
)
from backend.store.columns import UtcDateTime, now, words
from backend.store.tables import KEY_LENGTH, NAME_LENGTH, Table

MARKED = (
    *("asymmetry", "border", "colours"),
    *("realistic", "label_consistent", "caption_consistent", "artefact_free"),
)
"""The columns of ReviewVerdict that hold a Mark."""
REVIEW = 1
ADJUDICATION = 2
"""The rounds of a verdict."""
OPEN, DISPUTED, SETTLED = (
    text(f"review_item.{name}") for name in ("open", "disputed", "adjudicated")
)
"""The conditions of the partial indexes, word for word: SQLite uses them for no other."""

_Number = BigInteger().with_variant(Integer, "sqlite")


class ReviewSet(Table):
    """Items that people judge, and how; `recipe` is how they were chosen."""

    __tablename__ = "review_set"

    id: Mapped[str] = mapped_column(String(KEY_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), unique=True)
    kind: Mapped[ReviewKind] = mapped_column(words(ReviewKind))
    strategy: Mapped[Strategy] = mapped_column(words(Strategy))
    state: Mapped[SetState] = mapped_column(words(SetState), default=SetState.OPEN)
    blind: Mapped[bool]
    reviewers_per_item: Mapped[int]
    captioner: Mapped[str] = mapped_column(String(NAME_LENGTH))
    prompt: Mapped[str] = mapped_column(String(64))
    recipe: Mapped[dict[str, Any]] = mapped_column(JSON)
    items: Mapped[int]
    created_by: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ReviewMember(Table):
    """Who is named as a reviewer or an adjudicator of a set; nobody named means everybody."""

    __tablename__ = "review_member"

    set_id: Mapped[str] = mapped_column(ForeignKey("review_set.id"), primary_key=True)
    part: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)


class ReviewItem(Table):
    """What is judged: an image, and the caption as it was when the set was made.

    `given` counts its opinions, `taken` those and the leases beside them; it is `open` while
    that is fewer than the set asks for. Partial indexes find what is open, disputed or
    adjudicated among any number of items.
    """

    __tablename__ = "review_item"
    __table_args__ = (
        Index("uq_review_item_set_id", "set_id", "position", unique=True),
        *(
            Index(
                f"ix_review_item_{name}",
                "set_id",
                "position",
                postgresql_where=text(name),
                sqlite_where=text(name),
            )
            for name in ("open", "disputed", "adjudicated")
        ),
    )

    id: Mapped[int] = mapped_column(_Number, primary_key=True)
    set_id: Mapped[str] = mapped_column(ForeignKey("review_set.id"))
    position: Mapped[int]
    image_id: Mapped[str] = mapped_column(String(KEY_LENGTH))
    caption_id: Mapped[str | None] = mapped_column(String(KEY_LENGTH))
    synthetic: Mapped[bool]
    text: Mapped[str] = mapped_column(Text)
    label: Mapped[Label | None] = mapped_column(words(Label))
    dataset: Mapped[str] = mapped_column(String(64))
    source: Mapped[str] = mapped_column(String(NAME_LENGTH))
    taken: Mapped[int] = mapped_column(default=0)
    given: Mapped[int] = mapped_column(default=0)
    open: Mapped[bool] = mapped_column(default=True)
    disputed: Mapped[bool] = mapped_column(default=False)
    adjudicated: Mapped[bool] = mapped_column(default=False)


class ReviewLease(Table):
    """An item that a reviewer holds until it is judged or `expires_at`.

    A `released` lease has expired and counts no more, but says that the item was theirs.
    """

    __tablename__ = "review_lease"
    __table_args__ = (
        Index("ix_review_lease_due", "set_id", "released", "expires_at"),
        Index("ix_review_lease_holder", "set_id", "reviewer", "released"),
    )

    item_id: Mapped[int] = mapped_column(
        _Number, ForeignKey("review_item.id"), primary_key=True, autoincrement=False
    )
    reviewer: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    set_id: Mapped[str] = mapped_column(ForeignKey("review_set.id"))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    released: Mapped[bool] = mapped_column(default=False)


class ReviewVerdict(Table):
    """The verdict of a person on an item as it is now; `answer` None was taken back.

    `revision` grows with every change and never falls, so that no window overwrites another's.
    """

    __tablename__ = "review_verdict"
    __table_args__ = (
        Index("uq_review_verdict_item_id", "item_id", "round", "reviewer", unique=True),
        Index("ix_review_verdict_reviewer", "set_id", "reviewer", "updated_at"),
    )

    id: Mapped[int] = mapped_column(_Number, primary_key=True)
    set_id: Mapped[str] = mapped_column(ForeignKey("review_set.id"))
    item_id: Mapped[int] = mapped_column(_Number, ForeignKey("review_item.id"))
    reviewer: Mapped[str] = mapped_column(String(NAME_LENGTH))
    round: Mapped[int]
    revision: Mapped[int]
    answer: Mapped[Answer | None] = mapped_column(words(Answer))
    asymmetry: Mapped[Mark | None] = mapped_column(words(Mark))
    border: Mapped[Mark | None] = mapped_column(words(Mark))
    colours: Mapped[Mark | None] = mapped_column(words(Mark))
    realistic: Mapped[Mark | None] = mapped_column(words(Mark))
    label_consistent: Mapped[Mark | None] = mapped_column(words(Mark))
    caption_consistent: Mapped[Mark | None] = mapped_column(words(Mark))
    artefact_free: Mapped[Mark | None] = mapped_column(words(Mark))
    text: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, default="")
    note: Mapped[str] = mapped_column(Text, default="")
    seconds: Mapped[float | None]
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ReviewWork(Table):
    """How far a reviewer is in a set; touched by nobody else, so that nobody waits for it.

    `completed` counts the items whose last missing opinion was theirs. `cursor` is the position
    before which nothing was left for them, `pace_s` the seconds an item takes.
    """

    __tablename__ = "review_work"

    set_id: Mapped[str] = mapped_column(ForeignKey("review_set.id"), primary_key=True)
    reviewer: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    given: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[int] = mapped_column(default=0)
    flagged: Mapped[int] = mapped_column(default=0)
    completed: Mapped[int] = mapped_column(default=0)
    cursor: Mapped[int] = mapped_column(default=0)
    pace_s: Mapped[float | None]
    last_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ReviewEvent(Table):
    """One action, as it was and as it became; triggers let the table only grow.

    `key` is the client's, once an actor; `undoes` the event that was taken back.
    """

    __tablename__ = "review_event"
    __table_args__ = (
        Index("ix_review_event_set_id", "set_id", "id"),
        Index("ix_review_event_actor", "set_id", "actor", "id"),
        Index("uq_review_event_key", "actor", "key", unique=True),
        Index("ix_review_event_undoes", "undoes"),
    )

    id: Mapped[int] = mapped_column(_Number, primary_key=True)
    set_id: Mapped[str | None] = mapped_column(ForeignKey("review_set.id"))
    item_id: Mapped[int | None] = mapped_column(_Number)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    action: Mapped[Action] = mapped_column(words(Action))
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    key: Mapped[str | None] = mapped_column(String(64))
    undoes: Mapped[int | None] = mapped_column(_Number)


class ReviewGuidelines(Table):
    """A version of what reviewers are told; the highest counts."""

    __tablename__ = "review_guidelines"

    set_id: Mapped[str] = mapped_column(ForeignKey("review_set.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    text: Mapped[str] = mapped_column(Text)
    author: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class CaptionSet(Table):
    """A named set of approved captions, whose versions training refers to."""

    __tablename__ = "caption_set"

    id: Mapped[str] = mapped_column(String(KEY_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class CaptionSetVersion(Table):
    """A version of a caption set; triggers keep it, and its entries, as they are.

    `content_hash` is over all its entries; the counts compare it with the version before.
    """

    __tablename__ = "caption_set_version"
    __table_args__ = (Index("uq_caption_set_version_set_id", "set_id", "version", unique=True),)

    id: Mapped[str] = mapped_column(String(KEY_LENGTH), primary_key=True)
    set_id: Mapped[str] = mapped_column(ForeignKey("caption_set.id"))
    version: Mapped[int]
    content_hash: Mapped[str] = mapped_column(String(64))
    captions: Mapped[int]
    added: Mapped[int]
    removed: Mapped[int]
    edited: Mapped[int]
    review_set: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    author: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    note: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class CaptionSetEntry(Table):
    """The caption of one image in one version."""

    __tablename__ = "caption_set_entry"
    __table_args__ = (Index("ix_caption_set_entry_order", "version_id", "dataset", "source"),)

    version_id: Mapped[str] = mapped_column(ForeignKey("caption_set_version.id"), primary_key=True)
    image_id: Mapped[str] = mapped_column(String(KEY_LENGTH), primary_key=True)
    dataset: Mapped[str] = mapped_column(String(64))
    source: Mapped[str] = mapped_column(String(NAME_LENGTH))
    text: Mapped[str] = mapped_column(Text)
    origin: Mapped[Origin] = mapped_column(words(Origin))
    captioner: Mapped[str] = mapped_column(String(NAME_LENGTH))
    prompt: Mapped[str] = mapped_column(String(64))
