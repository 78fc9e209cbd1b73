"""Captions of images of the corpus, what speaks against them, and what the images measure."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def _word(name: str, *, optional: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=32), nullable=optional)


def upgrade() -> None:
    """The tables."""
    op.create_table(
        "image_caption",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("image_id", sa.String(length=40), nullable=False),
        sa.Column("captioner", sa.String(length=200), nullable=False),
        sa.Column("prompt", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("unsure", sa.Text(), nullable=False),
        sa.Column("colour_mask", sa.Integer(), nullable=False),
        _word("worst", optional=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *(_word(name, optional=True) for name in ("asymmetry", "border", "edge", "pattern")),
        *(_word(name, optional=True) for name in ("label", "diagnosis", "modality", "site")),
        sa.Column("skin_tone", sa.Integer()),
        sa.Column("diameter_mm", sa.Double()),
        sa.PrimaryKeyConstraint("id", name="pk_image_caption"),
    )
    op.create_index(
        "uq_image_caption_image",
        "image_caption",
        ["image_id", "captioner", "prompt"],
        unique=True,
    )
    op.create_index("ix_image_caption_worst", "image_caption", ["captioner", "prompt", "worst"])
    op.create_table(
        "caption_finding",
        sa.Column("caption_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        _word("check"),
        _word("severity"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("spans", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["caption_id"],
            ["image_caption.id"],
            name="fk_caption_finding_caption_id_image_caption",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("caption_id", "position", name="pk_caption_finding"),
    )
    op.create_index("ix_caption_finding_check", "caption_finding", ["check"])
    op.create_table(
        "image_measurement",
        sa.Column("image_id", sa.String(length=40), nullable=False),
        sa.Column("pixel_hash", sa.String(length=64), nullable=False),
        sa.Column("found", sa.Boolean(), nullable=False),
        *(_word(name, optional=True) for name in ("asymmetry", "border", "edge", "pattern")),
        sa.Column("skin_tone", sa.Integer()),
        _word("dominant", optional=True),
        sa.Column("colour_mask", sa.Integer(), nullable=False),
        *(
            sa.Column(name, sa.Double(), nullable=False)
            for name in (
                "asymmetry_confidence",
                "border_confidence",
                "edge_confidence",
                "pattern_confidence",
                "colours_confidence",
                "skin_tone_confidence",
                "white",
                "red",
                "light_brown",
                "dark_brown",
                "blue_gray",
                "black",
            )
        ),
        sa.PrimaryKeyConstraint("image_id", name="pk_image_measurement"),
    )


def downgrade() -> None:
    """Captions and measurements are forgotten; the images stay."""
    for table in ("image_measurement", "caption_finding", "image_caption"):
        op.drop_table(table)
