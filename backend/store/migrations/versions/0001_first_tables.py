"""The first tables: jobs, images, captions, accounts and workers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "account",
    "caption",
    "image",
    "job",
    "worker",
    "caption_colour",
    "image_colour",
    "job_log",
)


def upgrade() -> None:
    """All tables and their indexes."""
    op.create_table(
        "account",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint("name", name="uq_account_name"),
    )
    op.create_table(
        "caption",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.Column("style", sa.String(length=32)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("starred", sa.Boolean(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.Column("asymmetry", sa.String(length=32)),
        sa.Column("border", sa.String(length=32)),
        sa.Column("edge", sa.String(length=32)),
        sa.Column("pattern", sa.String(length=32)),
        sa.Column("label", sa.String(length=32)),
        sa.Column("diagnosis", sa.String(length=32)),
        sa.Column("modality", sa.String(length=32)),
        sa.Column("skin_tone", sa.Integer()),
        sa.Column("site", sa.String(length=32)),
        sa.Column("diameter_mm", sa.Double()),
        sa.PrimaryKeyConstraint("id", name="pk_caption"),
        sa.UniqueConstraint("text_hash", name="uq_caption_text_hash"),
    )
    op.create_index("ix_caption_asymmetry", "caption", ["asymmetry"])
    op.create_index("ix_caption_border", "caption", ["border"])
    op.create_index("ix_caption_label", "caption", ["label"])
    op.create_index("ix_caption_newest", "caption", ["deleted_at", "last_used_at", "id"])
    op.create_index("ix_caption_skin_tone", "caption", ["skin_tone"])
    op.create_index("ix_caption_starred", "caption", ["starred"])
    op.create_table(
        "image",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("file", sa.String(length=500), nullable=False),
        sa.Column("thumbnail", sa.String(length=500), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("pixel_hash", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("caption", sa.Text(), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("measured_asymmetry", sa.String(length=32)),
        sa.Column("measured_border", sa.String(length=32)),
        sa.Column("measured_edge", sa.String(length=32)),
        sa.Column("measured_pattern", sa.String(length=32)),
        sa.Column("measured_skin_tone", sa.Integer()),
        sa.Column("measured_confidence", sa.Double()),
        sa.Column("found", sa.Boolean(), nullable=False),
        sa.Column("starred", sa.Boolean(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.Column("asymmetry", sa.String(length=32)),
        sa.Column("border", sa.String(length=32)),
        sa.Column("edge", sa.String(length=32)),
        sa.Column("pattern", sa.String(length=32)),
        sa.Column("label", sa.String(length=32)),
        sa.Column("diagnosis", sa.String(length=32)),
        sa.Column("modality", sa.String(length=32)),
        sa.Column("skin_tone", sa.Integer()),
        sa.Column("site", sa.String(length=32)),
        sa.Column("diameter_mm", sa.Double()),
        sa.PrimaryKeyConstraint("id", name="pk_image"),
    )
    op.create_index("ix_image_asymmetry", "image", ["asymmetry"])
    op.create_index("ix_image_border", "image", ["border"])
    op.create_index("ix_image_job_id", "image", ["job_id"])
    op.create_index("ix_image_label", "image", ["label"])
    op.create_index("ix_image_measured_asymmetry", "image", ["measured_asymmetry"])
    op.create_index("ix_image_measured_border", "image", ["measured_border"])
    op.create_index("ix_image_measured_skin_tone", "image", ["measured_skin_tone"])
    op.create_index("ix_image_model", "image", ["model"])
    op.create_index("ix_image_newest", "image", ["deleted_at", "created_at", "id"])
    op.create_index("ix_image_pixel_hash", "image", ["pixel_hash"])
    op.create_index("ix_image_skin_tone", "image", ["skin_tone"])
    op.create_index("ix_image_starred", "image", ["starred"])
    op.create_table(
        "job",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.String(length=200)),
        sa.Column("worker_host", sa.String(length=200)),
        sa.Column("worker_pid", sa.Integer()),
        sa.Column("worker_started", sa.Double()),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("rate", sa.Double()),
        sa.Column("eta_s", sa.Double()),
        sa.Column("error", sa.Text()),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
    )
    op.create_index("ix_job_created_at", "job", ["created_at"])
    op.create_index("ix_job_kind", "job", ["kind"])
    op.create_index("ix_job_queue", "job", ["state", "queued_at", "id"])
    op.create_table(
        "worker",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("host", sa.String(length=200), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("job_id", sa.String(length=40)),
        sa.PrimaryKeyConstraint("id", name="pk_worker"),
    )
    op.create_index("ix_worker_seen_at", "worker", ["seen_at"])
    op.create_table(
        "caption_colour",
        sa.Column("caption_id", sa.String(length=40), nullable=False),
        sa.Column("colour", sa.String(length=32), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["caption_id"],
            ["caption.id"],
            name="fk_caption_colour_caption_id_caption",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("caption_id", "colour", name="pk_caption_colour"),
    )
    op.create_index("ix_caption_colour_colour", "caption_colour", ["colour"])
    op.create_table(
        "image_colour",
        sa.Column("image_id", sa.String(length=40), nullable=False),
        sa.Column("source", sa.String(length=32), nullable=False),
        sa.Column("colour", sa.String(length=32), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["image_id"], ["image.id"], name="fk_image_colour_image_id_image", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("image_id", "source", "colour", name="pk_image_colour"),
    )
    op.create_index("ix_image_colour_source_colour", "image_colour", ["source", "colour"])
    op.create_table(
        "job_log",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["job.id"], name="fk_job_log_job_id_job", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_job_log"),
    )
    op.create_index("ix_job_log_job_id", "job_log", ["job_id"])


def downgrade() -> None:
    """Back to an empty database."""
    for table in reversed(TABLES):
        op.drop_table(table)
