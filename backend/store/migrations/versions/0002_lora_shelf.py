"""The LoRA shelf."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One table."""
    op.create_table(
        "lora",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("file", sa.String(length=500), nullable=False),
        sa.Column("layout", sa.String(length=32), nullable=False),
        sa.Column("family", sa.String(length=32), nullable=False),
        sa.Column("ranks", sa.JSON(), nullable=False),
        sa.Column("targets", sa.Text(), nullable=False),
        sa.Column("parameters", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("tensor_hash", sa.String(length=64), nullable=False),
        sa.Column("base", sa.String(length=200)),
        sa.Column("t5_length", sa.Integer()),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_lora"),
        sa.UniqueConstraint("name", name="uq_lora_name"),
        sa.UniqueConstraint("tensor_hash", name="uq_lora_tensor_hash"),
    )
    op.create_index("ix_lora_family", "lora", ["family"])


def downgrade() -> None:
    """Without the shelf; its files stay."""
    op.drop_table("lora")
