"""Versioned sets of approved captions: made from verdicts, never changed, read by training."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.jobs.queue import new_id
from backend.review.errors import ReviewError, ReviewMissingError, ReviewTakenError
from backend.review.people import Actor, keep, seat_of
from backend.review.recipe import NewVersion
from backend.review.states import Action, Answer, Origin, ReviewKind
from backend.review.trail import record
from backend.review.views import CaptionSetView, EntryView, VersionView
from backend.store.columns import now
from backend.store.database import Database
from backend.store.review_tables import (
    ADJUDICATION,
    CaptionSet,
    CaptionSetEntry,
    CaptionSetVersion,
    ReviewItem,
    ReviewSet,
    ReviewVerdict,
)
from backend.store.tables import NAME_LENGTH

AT_ONCE = 2_000
NOT_CHANGED = "Nothing differs from version {version} of '{name}': there is nothing to keep anew."


@dataclass(frozen=True, slots=True)
class Entry:
    """The caption of one image, and where it comes from."""

    image_id: str
    dataset: str
    source: str
    text: str
    origin: Origin
    captioner: str = ""
    prompt: str = ""

    @property
    def place(self) -> tuple[str, str]:
        """What entries are ordered by, the same on every database."""
        return (self.dataset, self.source)


def make_version(db: Database, actor: Actor, new: NewVersion) -> VersionView:
    """A version from the verdicts of a review set as they are now.

    Raises:
        ReviewError: nothing is approved, or the set reviews no captions.
        ReviewTakenError: nothing differs from the newest version.
        AccountError: the role does not allow it.
    """
    keep(db, actor)
    with db.session() as session:
        reviewed = seat_of(session, actor, new.review_set).row
        if reviewed.kind is not ReviewKind.CAPTIONS:
            raise ReviewError(f"The set '{reviewed.name}' reviews no captions: choose another.")
        approved, refused = _decided(session, reviewed)
        entries = {one.image_id: one for one in approved}
        if new.keep:
            kept = _newest_entries(session, new.name)
            entries = {key: one for key, one in kept.items() if key not in refused} | entries
    if not entries:
        raise ReviewError(
            f"Nothing of the set '{reviewed.name}' is approved yet: review first, and settle what "
            "is disputed."
        )
    return add_version(
        db,
        actor,
        new.name,
        entries.values(),
        note=new.note,
        review_set=reviewed,
        action=Action.VERSION,
    )


def add_version(
    db: Database,
    actor: Actor,
    name: str,
    entries: Iterable[Entry],
    *,
    note: str = "",
    review_set: ReviewSet | None = None,
    action: Action,
) -> VersionView:
    """Keep entries as the next version of a caption set, which is made with its first.

    Raises:
        ReviewTakenError: nothing differs from the newest version, or another was made meanwhile.
        ReviewError: the name cannot be used.
    """
    name = checked_name(name)
    ordered = sorted(entries, key=lambda one: one.place)
    digest = content_hash(ordered)
    try:
        with db.session() as session:
            found = session.scalar(select(CaptionSet).where(CaptionSet.name == name))
            last = _newest(session, name)
            if last is not None and last.content_hash == digest:
                raise ReviewTakenError(NOT_CHANGED.format(version=last.version, name=name))
            before = _entries(session, last.id) if last else {}
            if found is None:
                found = CaptionSet(id=new_id(), name=name)
                session.add(found)
                session.flush()
            added, removed, edited = _compared(before, ordered)
            version = CaptionSetVersion(
                id=new_id(),
                set_id=found.id,
                version=(last.version if last else 0) + 1,
                content_hash=digest,
                captions=len(ordered),
                added=added,
                removed=removed,
                edited=edited,
                review_set=review_set.name if review_set else None,
                author=actor.name,
                note=note.strip(),
                created_at=now(),
            )
            session.add(version)
            session.flush()
            _insert(session, version.id, ordered)
            record(
                session,
                review_set.id if review_set else None,
                actor.name,
                action,
                after={"name": name, "version": version.version, "content_hash": digest},
            )
            return _version_view(name, version)
    except IntegrityError as error:
        raise ReviewTakenError(
            f"Another version of '{name}' was made at the same moment: look at it, then try again."
        ) from error


def list_caption_sets(db: Database) -> list[CaptionSetView]:
    """All caption sets by name, with their newest version."""
    newest = (
        select(CaptionSetVersion.set_id, func.max(CaptionSetVersion.version).label("version"))
        .group_by(CaptionSetVersion.set_id)
        .subquery()
    )
    statement = (
        select(CaptionSet.name, CaptionSetVersion)
        .join(CaptionSetVersion, CaptionSetVersion.set_id == CaptionSet.id)
        .join(
            newest,
            (newest.c.set_id == CaptionSet.id) & (newest.c.version == CaptionSetVersion.version),
        )
        .order_by(CaptionSet.name)
    )
    with db.session() as session:
        return [
            CaptionSetView(
                name=name,
                versions=row.version,
                captions=row.captions,
                content_hash=row.content_hash,
                updated_at=row.created_at,
            )
            for name, row in session.execute(statement)
        ]


def list_versions(db: Database, name: str) -> list[VersionView]:
    """The versions of a caption set, the newest first; raises ReviewMissingError for no set."""
    with db.session() as session:
        rows = session.scalars(
            select(CaptionSetVersion)
            .join(CaptionSet, CaptionSet.id == CaptionSetVersion.set_id)
            .where(CaptionSet.name == name)
            .order_by(CaptionSetVersion.version.desc())
        ).all()
    if not rows:
        raise ReviewMissingError(
            f"There is no caption set '{name}': `caption-sets list` shows them."
        )
    return [_version_view(name, row) for row in rows]


def get_version(db: Database, name: str, version: int | None = None) -> VersionView:
    """One version, the newest unless a number is given; raises ReviewMissingError for none."""
    views = list_versions(db, name)
    if version is None:
        return views[0]
    for view in views:
        if view.version == version:
            return view
    raise ReviewMissingError(f"The caption set '{name}' has no version {version}.")


def read_version(db: Database, name: str, version: int | None = None) -> list[Entry]:
    """All captions of a version, by dataset and name: what training reads.

    Raises:
        ReviewMissingError: there is no such caption set or version.
    """
    wanted = get_version(db, name, version).version
    with db.session() as session:
        row = session.scalars(
            select(CaptionSetVersion)
            .join(CaptionSet, CaptionSet.id == CaptionSetVersion.set_id)
            .where(CaptionSet.name == name, CaptionSetVersion.version == wanted)
        ).one()
        return sorted(_entries(session, row.id).values(), key=lambda one: one.place)


def entries_page(
    db: Database, name: str, version: int, *, after: str | None = None, limit: int = 100
) -> list[EntryView]:
    """Captions of a version after the image `after`, in their order."""
    entries = read_version(db, name, version)
    first = next((n + 1 for n, one in enumerate(entries) if one.image_id == after), 0)
    return [
        EntryView(
            dataset=one.dataset,
            source=one.source,
            image_id=one.image_id,
            text=one.text,
            origin=one.origin,
        )
        for one in entries[first : first + limit]
    ]


def content_hash(entries: Sequence[Entry]) -> str:
    """SHA-256 over all entries in their order; images by dataset and name, which a fresh
    workspace shares."""
    digest = hashlib.sha256(b"dermaflux caption set 1\n")
    for one in entries:
        values = (one.dataset, one.source, one.text, one.origin.value, one.captioner, one.prompt)
        digest.update(json.dumps(values, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


def checked_name(name: str) -> str:
    """The name without outer blanks; raises ReviewError for one that no address can hold."""
    name = " ".join(name.split())
    if not 0 < len(name) <= NAME_LENGTH or not name.isprintable() or "/" in name:
        raise ReviewError(
            f"The name of a caption set has 1 to {NAME_LENGTH} signs and no /: choose another."
        )
    return name


def _decided(session: Session, found: ReviewSet) -> tuple[list[Entry], set[str]]:
    """What is approved with its final text, and the images whose caption is refused.

    An adjudication wins; otherwise the item needs all its verdicts, and no dispute.
    """
    rows = session.execute(
        select(ReviewItem, ReviewVerdict.round, ReviewVerdict.answer, ReviewVerdict.text)
        .join(ReviewVerdict, ReviewVerdict.item_id == ReviewItem.id)
        .where(
            ReviewItem.set_id == found.id,
            ReviewItem.disputed.is_(False),
            ReviewItem.given >= found.reviewers_per_item,
            ReviewVerdict.answer.in_((Answer.APPROVE, Answer.EDIT, Answer.REJECT)),
        )
        .order_by(ReviewItem.id, ReviewVerdict.round, ReviewVerdict.id)
    )
    approved: dict[str, Entry] = {}
    refused: set[str] = set()
    # The last row of an item is its adjudication where it has one.
    for item, round_, answer, text in rows:
        approved.pop(item.image_id, None)
        refused.discard(item.image_id)
        if answer is Answer.REJECT:
            refused.add(item.image_id)
            continue
        origin = Origin.EDITED if answer is Answer.EDIT else Origin.APPROVED
        approved[item.image_id] = Entry(
            image_id=item.image_id,
            dataset=item.dataset,
            source=item.source,
            text=text if answer is Answer.EDIT and text else item.text,
            origin=Origin.ADJUDICATED if round_ == ADJUDICATION else origin,
            captioner=found.captioner,
            prompt=found.prompt,
        )
    return list(approved.values()), refused


def _newest(session: Session, name: str) -> CaptionSetVersion | None:
    return session.scalar(
        select(CaptionSetVersion)
        .join(CaptionSet, CaptionSet.id == CaptionSetVersion.set_id)
        .where(CaptionSet.name == name)
        .order_by(CaptionSetVersion.version.desc())
        .limit(1)
    )


def _newest_entries(session: Session, name: str) -> dict[str, Entry]:
    last = _newest(session, checked_name(name))
    return _entries(session, last.id) if last else {}


def _entries(session: Session, version_id: str) -> dict[str, Entry]:
    table = CaptionSetEntry
    rows = session.execute(
        select(
            table.image_id,
            table.dataset,
            table.source,
            table.text,
            table.origin,
            table.captioner,
            table.prompt,
        ).where(table.version_id == version_id)
    )
    return {row[0]: Entry(*row) for row in rows}


def _insert(session: Session, version_id: str, entries: Sequence[Entry]) -> None:
    for first in range(0, len(entries), AT_ONCE):
        session.execute(
            insert(CaptionSetEntry), list(_rows(version_id, entries[first : first + AT_ONCE]))
        )


def _rows(version_id: str, entries: Iterable[Entry]) -> Iterator[dict[str, object]]:
    for one in entries:
        yield {
            "version_id": version_id,
            "image_id": one.image_id,
            "dataset": one.dataset,
            "source": one.source,
            "text": one.text,
            "origin": one.origin,
            "captioner": one.captioner,
            "prompt": one.prompt,
        }


def _compared(before: Mapping[str, Entry], after: Sequence[Entry]) -> tuple[int, int, int]:
    """How many captions were added, removed and edited."""
    new = {one.image_id: one.text for one in after}
    added = sum(key not in before for key in new)
    removed = sum(key not in new for key in before)
    edited = sum(key in new and new[key] != one.text for key, one in before.items())
    return added, removed, edited


def _version_view(name: str, row: CaptionSetVersion) -> VersionView:
    return VersionView(
        name=name,
        version=row.version,
        captions=row.captions,
        content_hash=row.content_hash,
        review_set=row.review_set,
        author=row.author,
        note=row.note,
        created_at=row.created_at,
        added=row.added,
        removed=row.removed,
        edited=row.edited,
    )
