"""Named sets of images, and one index that answers every filter of a large gallery."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SINGLE = (
    "asymmetry",
    "border",
    "label",
    "measured_asymmetry",
    "measured_border",
    "measured_skin_tone",
    "model",
    "skin_tone",
    "starred",
)
NEWEST = ["deleted_at", "created_at", "id"]
GALLERY = [
    *NEWEST,
    "starred",
    "label",
    "model",
    "job_id",
    "asymmetry",
    "border",
    "skin_tone",
    "colour_mask",
    "measured_asymmetry",
    "measured_border",
    "measured_skin_tone",
    "measured_colour_mask",
]
MASKS = """
UPDATE image SET {column} = COALESCE((
    SELECT SUM(CASE image_colour.colour
        WHEN 'white' THEN 1 WHEN 'red' THEN 2 WHEN 'light_brown' THEN 4
        WHEN 'dark_brown' THEN 8 WHEN 'blue_gray' THEN 16 WHEN 'black' THEN 32 ELSE 0 END)
    FROM image_colour
    WHERE image_colour.image_id = image.id AND image_colour.source = '{source}'
), 0)
"""


def upgrade() -> None:
    """Sets, the colours of an image as masks, and the index."""
    op.create_table(
        "image_set",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_image_set"),
        sa.UniqueConstraint("name", name="uq_image_set_name"),
    )
    op.create_table(
        "image_set_member",
        sa.Column("set_id", sa.String(length=40), nullable=False),
        sa.Column("image_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["set_id"],
            ["image_set.id"],
            name="fk_image_set_member_set_id_image_set",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["image_id"],
            ["image.id"],
            name="fk_image_set_member_image_id_image",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("set_id", "image_id", name="pk_image_set_member"),
    )
    op.create_index("ix_image_set_member_image_id", "image_set_member", ["image_id"])
    for column, source in (("colour_mask", "requested"), ("measured_colour_mask", "measured")):
        op.add_column(
            "image", sa.Column(column, sa.Integer(), nullable=False, server_default="0")
        )
        op.execute(MASKS.format(column=column, source=source))
    for column in SINGLE:
        op.drop_index(f"ix_image_{column}", "image")
    op.drop_index("ix_image_newest", "image")
    op.create_index("ix_image_gallery", "image", GALLERY)


def downgrade() -> None:
    """Without sets and masks, and with an index for each column."""
    op.drop_index("ix_image_gallery", "image")
    op.create_index("ix_image_newest", "image", NEWEST)
    for column in SINGLE:
        op.create_index(f"ix_image_{column}", "image", [column])
    op.drop_column("image", "measured_colour_mask")
    op.drop_column("image", "colour_mask")
    op.drop_table("image_set_member")
    op.drop_table("image_set")
