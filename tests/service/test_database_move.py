"""A workspace's database moved from SQLite to PostgreSQL: every row, or none."""

import json

import pytest
from sqlalchemy import func, select
from typer.testing import CliRunner

from backend.abc.attributes import LesionAttributes
from backend.accounts import create_account
from backend.cli import build_app
from backend.review.discussion import discussion
from backend.review.making import make_set
from backend.review.recipe import ReviewRecipe
from backend.review.sets import get_review_set
from backend.review.trail import audit
from backend.settings import Settings
from backend.store.captions import save_caption
from backend.store.database import Database, open_database
from backend.store.errors import StoreError
from backend.store.moving import move_database
from backend.store.review_tables import ReviewEvent
from backend.store.tables import Account, Role, Table
from tests.service.reviewing import ANNA, BEN, CARL, a_set, add_generated, judge_all, judge_next


def fill(database: Database) -> str:
    """Verdicts, disputes and what other rooms keep."""
    create_account(database, "ada", "four green apples fall", Role.ADMIN)
    save_caption(database, "A symmetric lesion.", LesionAttributes())
    add_generated(database, 3)
    set_id = a_set(database, 6, reviewers_per_item=2)
    judge_all(database, ANNA, set_id)
    judge_all(database, BEN, set_id, ("approve", "reject", "edit"))
    return set_id


def counts(database: Database) -> dict[str, int]:
    with database.session() as session:
        return {
            table.name: session.scalar(select(func.count()).select_from(table)) or 0
            for table in Table.metadata.sorted_tables
        }


def test_all_rows_move_and_work_goes_on_where_it_was(database: Database, postgres_url: str) -> None:
    set_id = fill(database)
    before = counts(database)
    seen = get_review_set(database, CARL, set_id)
    trail, disputes = audit(database, CARL, set_id), discussion(database, CARL, set_id)
    target = open_database(postgres_url)
    try:
        moved = move_database(database, target)
        assert moved.rows == before == counts(target) == counts(database)
        assert get_review_set(target, CARL, set_id) == seen
        assert audit(target, CARL, set_id) == trail
        assert discussion(target, CARL, set_id) == disputes
        # New numbers follow the old ones, on every table that counts.
        again = a_set_of_more(target)
        judge_next(target, ANNA, again)
        create_account(target, "bob", "four green apples fall", Role.REVIEWER)
        with target.session() as session:
            events = session.scalars(select(ReviewEvent.id).order_by(ReviewEvent.id)).all()
        assert len(events) == before["review_event"] + 2
        with pytest.raises(StoreError, match="not empty"):
            move_database(database, target)
    finally:
        target.close()


def a_set_of_more(database: Database) -> str:
    return make_set(database, CARL, ReviewRecipe(name="More", size=2))


def test_a_move_that_fails_leaves_the_target_empty(database: Database, postgres_url: str) -> None:
    fill(database)
    target = open_database(postgres_url)

    def fail(table: str, _rows: int) -> None:
        if table == "review_verdict":
            raise StoreError("The network is gone.")

    try:
        with pytest.raises(StoreError, match="network is gone"):
            move_database(database, target, show=fail)
        assert not any(counts(target).values())
    finally:
        target.close()


def test_what_postgresql_cannot_hold_is_named_and_nothing_is_moved(
    database: Database, postgres_without_rows: str
) -> None:
    with database.session() as session:
        session.add(Account(name="x" * 300, role=Role.REVIEWER, password_hash="-"))
    target = open_database(postgres_without_rows)
    try:
        with pytest.raises(StoreError, match="A row of account cannot be kept"):
            move_database(database, target)
        assert not any(counts(target).values())
    finally:
        target.close()


def test_the_command_moves_the_database_of_the_workspace(
    settings: Settings,
    database: Database,
    postgres_without_rows: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(database)
    monkeypatch.setenv("DERMAFLUX_WORKSPACE", str(settings.workspace))
    command = ["database", "move", "--to", postgres_without_rows]
    done = CliRunner().invoke(build_app(), [*command, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"] == counts(database)
    again = CliRunner().invoke(build_app(), command)
    assert isinstance(again.exception, StoreError)
    same = CliRunner().invoke(build_app(), ["database", "move", "--to", settings.database])
    assert "same one" in str(same.exception)
