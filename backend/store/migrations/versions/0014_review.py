"""Review sets, verdicts, an audit trail that only grows, and versions of caption sets."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MARKED = (
    *("asymmetry", "border", "colours"),
    *("realistic", "label_consistent", "caption_consistent", "artefact_free"),
)
KEPT = {
    "review_event": "The audit trail only grows: no event is changed or removed.",
    "caption_set_version": "A version of a caption set never changes: make a new one.",
    "caption_set_entry": "A version of a caption set never changes: make a new one.",
}


def _text(name: str, length: int | None = None, *, optional: bool = False) -> sa.Column[str]:
    kind = sa.Text() if length is None else sa.String(length=length)
    return sa.Column(name, kind, nullable=optional)


def _number(name: str, *, optional: bool = False, own: bool = False) -> sa.Column[int]:
    if own:
        return sa.Column(name, NUMBER, nullable=False, autoincrement=True)
    return sa.Column(name, NUMBER, nullable=optional)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _moment(name: str, *, optional: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=optional)


def _refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=f"fk_{table}_{column}_{to}")


def upgrade() -> None:
    """The tables, and the triggers that keep three of them as they are."""
    _sets()
    _items()
    _verdicts()
    _caption_sets()
    for table, sentence in KEPT.items():
        _keep(table, sentence)


def downgrade() -> None:
    """Every verdict, its trail and all caption sets are forgotten."""
    for table in (
        *("caption_set_entry", "caption_set_version", "caption_set"),
        *("review_guidelines", "review_event", "review_work", "review_verdict", "review_lease"),
        *("review_item", "review_member", "review_set"),
    ):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        for table in KEPT:
            op.execute(f"DROP FUNCTION keep_{table}()")


def _keep(table: str, sentence: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE FUNCTION keep_{table}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{sentence}'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER keep_{table}_rows BEFORE UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION keep_{table}()"
        )
        op.execute(
            f"CREATE TRIGGER keep_{table}_all BEFORE TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION keep_{table}()"
        )
        return
    for event in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER keep_{table}_{event.lower()} BEFORE {event} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{sentence}'); END"
        )


def _sets() -> None:
    op.create_table(
        "review_set",
        _text("id", 40),
        _text("name", 200),
        *(_text(name, 32) for name in ("kind", "strategy", "state")),
        _flag("blind"),
        _count("reviewers_per_item"),
        _text("captioner", 200),
        _text("prompt", 64),
        sa.Column("recipe", sa.JSON(), nullable=False),
        _count("items"),
        _text("created_by", 200, optional=True),
        _moment("created_at"),
        _moment("closed_at", optional=True),
        sa.PrimaryKeyConstraint("id", name="pk_review_set"),
        sa.UniqueConstraint("name", name="uq_review_set_name"),
    )
    op.create_table(
        "review_member",
        _text("set_id", 40),
        _text("part", 32),
        _text("name", 200),
        _refers("review_member", "set_id", "review_set"),
        sa.PrimaryKeyConstraint("set_id", "part", "name", name="pk_review_member"),
    )
    op.create_table(
        "review_guidelines",
        _text("set_id", 40),
        sa.Column("version", sa.Integer(), nullable=False, autoincrement=False),
        _text("text"),
        _text("author", 200, optional=True),
        _moment("at"),
        _refers("review_guidelines", "set_id", "review_set"),
        sa.PrimaryKeyConstraint("set_id", "version", name="pk_review_guidelines"),
    )


def _items() -> None:
    op.create_table(
        "review_item",
        _number("id", own=True),
        _text("set_id", 40),
        _count("position"),
        _text("image_id", 40),
        _text("caption_id", 40, optional=True),
        _flag("synthetic"),
        _text("text"),
        _text("label", 32, optional=True),
        _text("dataset", 64),
        _text("source", 200),
        _count("taken"),
        _count("given"),
        *(_flag(name) for name in ("open", "disputed", "adjudicated")),
        _refers("review_item", "set_id", "review_set"),
        sa.PrimaryKeyConstraint("id", name="pk_review_item"),
    )
    op.create_index("uq_review_item_set_id", "review_item", ["set_id", "position"], unique=True)
    for name in ("open", "disputed", "adjudicated"):
        op.create_index(
            f"ix_review_item_{name}",
            "review_item",
            ["set_id", "position"],
            postgresql_where=sa.text(name),
            sqlite_where=sa.text(name),
        )
    op.create_table(
        "review_lease",
        _number("item_id"),
        _text("reviewer", 200),
        _text("set_id", 40),
        _moment("expires_at"),
        _flag("released"),
        _refers("review_lease", "item_id", "review_item"),
        _refers("review_lease", "set_id", "review_set"),
        sa.PrimaryKeyConstraint("item_id", "reviewer", name="pk_review_lease"),
    )
    op.create_index("ix_review_lease_due", "review_lease", ["set_id", "released", "expires_at"])
    op.create_index("ix_review_lease_holder", "review_lease", ["set_id", "reviewer", "released"])
    op.create_table(
        "review_work",
        _text("set_id", 40),
        _text("reviewer", 200),
        *(_count(name) for name in ("given", "skipped", "flagged", "completed", "cursor")),
        sa.Column("pace_s", sa.Double()),
        _moment("last_at", optional=True),
        _refers("review_work", "set_id", "review_set"),
        sa.PrimaryKeyConstraint("set_id", "reviewer", name="pk_review_work"),
    )


def _verdicts() -> None:
    op.create_table(
        "review_verdict",
        _number("id", own=True),
        _text("set_id", 40),
        _number("item_id"),
        _text("reviewer", 200),
        _count("round"),
        _count("revision"),
        _text("answer", 32, optional=True),
        *(_text(name, 32, optional=True) for name in MARKED),
        _text("text", optional=True),
        _text("reason"),
        _text("note"),
        sa.Column("seconds", sa.Double()),
        _moment("updated_at"),
        _refers("review_verdict", "set_id", "review_set"),
        _refers("review_verdict", "item_id", "review_item"),
        sa.PrimaryKeyConstraint("id", name="pk_review_verdict"),
    )
    op.create_index(
        "uq_review_verdict_item_id", "review_verdict", ["item_id", "round", "reviewer"], unique=True
    )
    op.create_index(
        "ix_review_verdict_reviewer", "review_verdict", ["set_id", "reviewer", "updated_at"]
    )
    op.create_table(
        "review_event",
        _number("id", own=True),
        _text("set_id", 40, optional=True),
        _number("item_id", optional=True),
        _moment("at"),
        _text("actor", 200, optional=True),
        _text("action", 32),
        sa.Column("before", sa.JSON()),
        sa.Column("after", sa.JSON()),
        _text("key", 64, optional=True),
        _number("undoes", optional=True),
        _refers("review_event", "set_id", "review_set"),
        sa.PrimaryKeyConstraint("id", name="pk_review_event"),
    )
    op.create_index("ix_review_event_set_id", "review_event", ["set_id", "id"])
    op.create_index("ix_review_event_actor", "review_event", ["set_id", "actor", "id"])
    op.create_index("uq_review_event_key", "review_event", ["actor", "key"], unique=True)
    op.create_index("ix_review_event_undoes", "review_event", ["undoes"])


def _caption_sets() -> None:
    op.create_table(
        "caption_set",
        _text("id", 40),
        _text("name", 200),
        _moment("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_caption_set"),
        sa.UniqueConstraint("name", name="uq_caption_set_name"),
    )
    op.create_table(
        "caption_set_version",
        _text("id", 40),
        _text("set_id", 40),
        _count("version"),
        _text("content_hash", 64),
        *(_count(name) for name in ("captions", "added", "removed", "edited")),
        _text("review_set", 200, optional=True),
        _text("author", 200, optional=True),
        _text("note"),
        _moment("created_at"),
        _refers("caption_set_version", "set_id", "caption_set"),
        sa.PrimaryKeyConstraint("id", name="pk_caption_set_version"),
    )
    op.create_index(
        "uq_caption_set_version_set_id", "caption_set_version", ["set_id", "version"], unique=True
    )
    op.create_table(
        "caption_set_entry",
        _text("version_id", 40),
        _text("image_id", 40),
        _text("dataset", 64),
        _text("source", 200),
        _text("text"),
        _text("origin", 32),
        _text("captioner", 200),
        _text("prompt", 64),
        _refers("caption_set_entry", "version_id", "caption_set_version"),
        sa.PrimaryKeyConstraint("version_id", "image_id", name="pk_caption_set_entry"),
    )
    op.create_index(
        "ix_caption_set_entry_order", "caption_set_entry", ["version_id", "dataset", "source"]
    )
