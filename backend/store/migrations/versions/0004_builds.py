"""Dataset builds: every candidate and what was decided."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The candidates of builds."""
    op.create_table(
        "build_image",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("label", sa.String(length=32)),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(length=32), nullable=False),
        sa.Column("agreement", sa.Double(), nullable=False),
        sa.Column("confidence", sa.Double(), nullable=False),
        sa.Column("measured", sa.JSON(), nullable=False),
        sa.Column("pixel_hash", sa.String(length=64), nullable=False),
        sa.Column("thumbnail", sa.LargeBinary()),
        sa.Column("image_id", sa.String(length=40)),
        sa.PrimaryKeyConstraint("job_id", "position", "attempt", name="pk_build_image"),
    )
    op.create_index("ix_build_image_image_id", "build_image", ["image_id"])
    op.create_index("ix_build_image_verdict", "build_image", ["job_id", "verdict"])


def downgrade() -> None:
    """Builds are forgotten; their images stay."""
    op.drop_table("build_image")
