"""Pairs of images that hold one picture, and what was decided."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The pairs."""
    op.create_table(
        "duplicate_pair",
        sa.Column("first_id", sa.String(length=500), nullable=False),
        sa.Column("second_id", sa.String(length=500), nullable=False),
        sa.Column("likeness", sa.String(length=32), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("transform", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(length=200)),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("first_id", "second_id", name="pk_duplicate_pair"),
    )
    op.create_index("ix_duplicate_pair_second_id", "duplicate_pair", ["second_id"])
    op.create_index("ix_duplicate_pair_state", "duplicate_pair", ["state", "score"])


def downgrade() -> None:
    """Decisions are forgotten; the images stay."""
    op.drop_table("duplicate_pair")
