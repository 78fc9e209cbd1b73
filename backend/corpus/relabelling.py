"""The job that brings the labels of a dataset to its newest rule.

Each image carries the version of the rule that it was labelled by, so that a job that was killed
finds what is left, and any number of runs end in one catalogue.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import ColumnElement, exists, func, select

from backend.corpus.catalogue import (
    AT_ONCE,
    NOT_LABELLED,
    cell_id,
    full_row,
    list_left_out,
    row_query,
    write_left_out,
    write_rows,
)
from backend.corpus.dataset_jobs import RELABEL, require_no_import, require_no_other_change
from backend.corpus.errors import CorpusError
from backend.corpus.exclusions import LeftOut, Reason
from backend.corpus.label_effects import preview
from backend.corpus.label_rules import add_version, newest_version
from backend.corpus.labels import LabelRule, rule_on
from backend.jobs.context import JobContext
from backend.jobs.kinds import WarmState
from backend.jobs.queue import submit
from backend.permissions import Deed, authorise
from backend.store.database import Database
from backend.store.tables import CorpusDropped, CorpusImage

KIND = RELABEL
TABLES: tuple[type[CorpusImage] | type[CorpusDropped], ...] = (CorpusImage, CorpusDropped)


class RelabelTask(BaseModel):
    """A dataset whose images are to follow its newest rule, which was `version` when asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = Field(min_length=1)
    version: int = Field(ge=0)


def prepare_relabel(
    db: Database,
    dataset: str,
    rule: LabelRule,
    *,
    base: int,
    note: str = "",
    account: str | None = None,
) -> RelabelTask:
    """Keep a rule as the newest version; the task brings the images to it.

    `base` is the version that the person saw. A rule that is in force already is kept once, and
    its task finishes what a job left undone.

    Raises:
        AccountError: the role of the account does not allow it.
        CorpusError: the rule cannot be used or changes nothing, another job is at work, or
            somebody else changed the rule since.
    """
    authorise(db, account, Deed.RELABEL)
    preview(db, dataset, rule)
    require_no_other_change(db, dataset)
    newest = newest_version(db, dataset)
    if newest.hash == rule.version:
        if not _is_behind(db, dataset, rule):
            raise CorpusError(f"The labels of {dataset} are those of this rule already.")
        return RelabelTask(dataset=dataset, version=newest.version)
    added = add_version(db, dataset, rule, base=base, author=account, note=note)
    return RelabelTask(dataset=dataset, version=added.version)


def submit_relabel(db: Database, task: RelabelTask, owner: str | None = None) -> str:
    """Queue the job; returns its id."""
    return submit(
        db, kind=KIND, payload=task.model_dump(), title=relabel_title(task), owner=owner, total=0
    )


def relabel_title(task: RelabelTask) -> str:
    """What the job is called in lists."""
    return f"Labels of {task.dataset}, version {task.version}"


def run_relabel(context: JobContext, payload: dict[str, Any], _warm: WarmState) -> None:
    """Bring a dataset to its newest rule; killed at any point, it goes on where it was.

    Raises:
        CorpusError: the task cannot be used, or an import of the dataset runs.
        JobStopped: cancelled, interrupted or lost; what is relabelled stays, counted as it is.
    """
    try:
        task = RelabelTask.model_validate(payload)
    except ValidationError as error:
        raise CorpusError(
            "This job does not say whose labels it changes: start it again."
        ) from error
    database = context.database
    require_no_import(database, task.dataset)
    newest = newest_version(database, task.dataset)
    total = _count_behind(database, task.dataset, newest.rule)
    done = changed = 0
    for rows in _behind(database, task.dataset, newest.rule):
        relabelled = [_relabelled(row, newest.rule) for row in rows]
        write_rows(database, relabelled)
        changed += sum(
            old["label"] is not new["label"] for old, new in zip(rows, relabelled, strict=True)
        )
        done += len(rows)
        context.progress(done, total, f"image {done:,} of {total:,}")
        context.check_cancelled()
    _renew_left_out(database, task.dataset, newest.rule)
    context.log(
        f"{done:,} images of {task.dataset} follow version {newest.version} of its rule now; "
        f"{changed:,} of them have another label than before, or none"
    )


def _relabelled(row: Mapping[str, Any], rule: LabelRule) -> dict[str, Any]:
    label = rule_on(rule, row["diagnosis"], row["target"]).label
    new = {**row, "rule": rule.version, "label": label}
    return new | (NOT_LABELLED if label is None else {"cell": cell_id(new)})


def _behind(db: Database, dataset: str, rule: LabelRule) -> Iterator[list[dict[str, Any]]]:
    """Rows that another version labelled, some at once, by name; each is to be written back."""
    for table in TABLES:
        after = ""
        while True:
            statement = (
                row_query(table)
                .where(*_is_old(table, dataset, rule), table.source_id > after)
                .order_by(table.source_id)
                .limit(AT_ONCE)
            )
            with db.session() as session:
                rows = [full_row(row) for row in session.execute(statement).mappings()]
            if not rows:
                break
            yield rows
            after = rows[-1]["source_id"]


def _count_behind(db: Database, dataset: str, rule: LabelRule) -> int:
    with db.session() as session:
        return sum(
            session.scalar(select(func.count()).where(*_is_old(table, dataset, rule))) or 0
            for table in TABLES
        )


def _is_behind(db: Database, dataset: str, rule: LabelRule) -> bool:
    with db.session() as session:
        return any(
            session.scalar(select(exists().where(*_is_old(table, dataset, rule))))
            for table in TABLES
        )


def _is_old(
    table: type[CorpusImage] | type[CorpusDropped], dataset: str, rule: LabelRule
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.dataset == dataset, table.rule != rule.version


def _renew_left_out(db: Database, dataset: str, rule: LabelRule) -> None:
    """What the rule drops stands in the list of what was left out, in the words of an import."""
    others = [
        one for _, one in list_left_out(db, dataset, limit=None) if one.reason is not Reason.DROPPED
    ]
    columns = (CorpusDropped.source_path, CorpusDropped.diagnosis, CorpusDropped.target)
    with db.session() as session:
        rows = session.execute(select(*columns).where(CorpusDropped.dataset == dataset)).all()
    dropped = [
        LeftOut(place, Reason.DROPPED, rule_on(rule, diagnosis, target).why)
        for place, diagnosis, target in rows
    ]
    write_left_out(db, dataset, [*others, *dropped])
