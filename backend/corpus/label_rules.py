"""The label rule of each dataset in its versions: 0 is that of its record, the newest counts."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.corpus.errors import CorpusError
from backend.corpus.labels import LabelRule, stored_rule
from backend.corpus.sources import SOURCES
from backend.store.columns import now
from backend.store.database import Database
from backend.store.tables import LabelRuleRow

RECORD = "as the record of the dataset has it"
MAX_NOTE = 1000


@dataclass(frozen=True)
class RuleVersion:
    """A version of a rule; `author` None where nobody signs in, or where it is the record's."""

    dataset: str
    version: int
    rule: LabelRule
    hash: str
    author: str | None
    note: str
    created_at: datetime


def list_versions(db: Database, dataset: str) -> list[RuleVersion]:
    """All versions of a dataset's rule, oldest first; there is at least that of its record.

    Raises:
        CorpusError: no dataset of this name was imported.
    """
    statement = select(LabelRuleRow).where(LabelRuleRow.dataset == dataset)
    with db.session() as session:
        rows = session.scalars(statement.order_by(LabelRuleRow.version)).all()
        return [_view(row) for row in rows] or [_of_record(dataset)]


def newest_version(db: Database, dataset: str) -> RuleVersion:
    """The version that counts.

    Raises:
        CorpusError: no dataset of this name was imported.
    """
    return list_versions(db, dataset)[-1]


def find_version(db: Database, dataset: str, version: int) -> RuleVersion:
    """A version by its number.

    Raises:
        CorpusError: there is none, naming those that are.
    """
    versions = list_versions(db, dataset)
    for one in versions:
        if one.version == version:
            return one
    raise CorpusError(
        f"The rule of {dataset} has no version {version}: the newest is {versions[-1].version}."
    )


def equal_version(versions: list[RuleVersion], rule: LabelRule) -> RuleVersion | None:
    """The first version that says the same, found by its hash."""
    return next((one for one in versions if one.hash == rule.version), None)


def follow_record(db: Database, dataset: str, record: LabelRule) -> LabelRule:
    """The rule that an import goes by: the newest, or the record's where nobody changed it.

    The record's rule is kept as version 0, so that it can be restored for good; a newer record
    takes its place until a person changes the rule.
    """
    with db.session() as session:
        newest = _newest(session, dataset)
        if newest is None:
            session.add(_row(dataset, 0, record, None, RECORD))
        elif newest.version == 0 and newest.hash != record.version:
            changed = update(LabelRuleRow).where(
                LabelRuleRow.dataset == dataset, LabelRuleRow.version == 0
            )
            values = {"rule": record.canonical, "hash": record.version, "created_at": now()}
            session.execute(changed.values(**values))
        elif newest.version > 0:
            return _view(newest).rule
    return record


def add_version(
    db: Database, dataset: str, rule: LabelRule, *, base: int, author: str | None, note: str
) -> RuleVersion:
    """Keep a rule as the newest version, if `base` is still the newest that there is.

    Raises:
        CorpusError: somebody else changed the rule since, or the note is too long.
    """
    note = " ".join(note.split())
    if len(note) > MAX_NOTE:
        raise CorpusError(f"The note has {len(note):,} signs: at most {MAX_NOTE:,} fit.")
    record = _of_record(dataset) if not _is_kept(db, dataset) else None
    try:
        with db.session() as session:
            if record is not None:
                session.add(_row(dataset, 0, record.rule, None, RECORD))
                session.flush()
            newest = _newest(session, dataset)
            if newest is None or newest.version != base:
                raise _changed_meanwhile(dataset, newest)
            row = _row(dataset, base + 1, rule, author, note)
            session.add(row)
            session.flush()
            return _view(row)
    except IntegrityError as error:
        raise _changed_meanwhile(dataset, None) from error


def _is_kept(db: Database, dataset: str) -> bool:
    with db.session() as session:
        return _newest(session, dataset) is not None


def _changed_meanwhile(dataset: str, newest: LabelRuleRow | None) -> CorpusError:
    who = "Somebody else" if newest is None or newest.author is None else newest.author
    number = "" if newest is None else f" to version {newest.version}"
    return CorpusError(
        f"{who} changed the labels of {dataset}{number} since you began: nothing of yours was "
        "applied. Look at the new labels and their effect, then apply yours again."
    )


def _newest(session: Session, dataset: str) -> LabelRuleRow | None:
    statement = select(LabelRuleRow).where(LabelRuleRow.dataset == dataset)
    return session.scalar(statement.order_by(LabelRuleRow.version.desc()).limit(1))


def _row(
    dataset: str, version: int, rule: LabelRule, author: str | None, note: str
) -> LabelRuleRow:
    return LabelRuleRow(
        dataset=dataset,
        version=version,
        rule=rule.canonical,
        hash=rule.version,
        author=author,
        note=note,
        created_at=now(),
    )


def _view(row: LabelRuleRow) -> RuleVersion:
    values = {name: getattr(row, name) for name in RuleVersion.__dataclass_fields__}
    return RuleVersion(**{**values, "rule": stored_rule(row.rule)})


def _of_record(dataset: str) -> RuleVersion:
    source = SOURCES.get(dataset)
    if source is None:
        raise CorpusError(
            f"There is no dataset '{dataset}' with labels in the catalogue: import it first, or "
            "once more where an older version of the studio imported it."
        )
    rule = source.rule
    return RuleVersion(dataset, 0, rule, rule.version, None, RECORD, now())
