"""Speed profiles: each image says which made it, and the gallery's index answers for drafts."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0004"
branch_labels = None
depends_on = None

GALLERY = [
    "deleted_at",
    "created_at",
    "id",
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


def upgrade() -> None:
    """All images so far were exact."""
    op.add_column(
        "image",
        sa.Column("profile", sa.String(length=32), nullable=False, server_default="exact"),
    )
    op.drop_index("ix_image_gallery", "image")
    op.create_index("ix_image_gallery", "image", [*GALLERY, "profile"])


def downgrade() -> None:
    """Without the profiles."""
    op.drop_index("ix_image_gallery", "image")
    op.create_index("ix_image_gallery", "image", GALLERY)
    op.drop_column("image", "profile")
