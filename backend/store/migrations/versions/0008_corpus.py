"""The corpus: imported images, counts of them, what was left out, and named subsets."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def _text(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=length), nullable=False)


def upgrade() -> None:
    """The tables of the corpus."""
    op.create_table(
        "corpus_image",
        _text("id", 40),
        _text("dataset", 64),
        _text("source_id", 200),
        sa.Column("source_path", sa.Text(), nullable=False),
        _text("patient", 200),
        _text("lesion", 200),
        _text("diagnosis", 200),
        _text("diagnosis_given", 200),
        _text("label", 32),
        _text("rule", 32),
        _text("modality", 32),
        _text("skin_tone", 32),
        _text("site", 32),
        sa.Column("age", sa.Integer()),
        _text("sex", 32),
        _text("split", 32),
        sa.Column("synthetic", sa.Boolean(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        _text("byte_hash", 64),
        _text("pixel_hash", 64),
        _text("recipe", 64),
        _text("file", 500),
        _text("thumbnail", 500),
        _text("cell", 32),
        sa.PrimaryKeyConstraint("id", name="pk_corpus_image"),
    )
    op.create_index("ix_corpus_image_cell", "corpus_image", ["cell", "source_id"])
    op.create_index(
        "uq_corpus_image_dataset", "corpus_image", ["dataset", "source_id"], unique=True
    )
    for column in ("patient", "lesion", "source_id", "byte_hash", "pixel_hash"):
        op.create_index(f"ix_corpus_image_{column}", "corpus_image", [column])
    op.create_table(
        "corpus_cell",
        _text("id", 32),
        _text("dataset", 64),
        _text("split", 32),
        _text("label", 32),
        _text("diagnosis", 200),
        _text("modality", 32),
        _text("skin_tone", 32),
        _text("site", 32),
        sa.Column("decade", sa.Integer(), nullable=False),
        _text("sex", 32),
        sa.Column("synthetic", sa.Boolean(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_corpus_cell"),
    )
    op.create_table(
        "corpus_left_out",
        _text("dataset", 64),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        _text("reason", 32),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "position", name="pk_corpus_left_out"),
    )
    op.create_index("ix_corpus_left_out_reason", "corpus_left_out", ["dataset", "reason"])
    op.create_table(
        "corpus_subset",
        _text("id", 40),
        _text("name", 200),
        sa.Column("recipe", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_corpus_subset"),
        sa.UniqueConstraint("name", name="uq_corpus_subset_name"),
    )
    op.create_table(
        "corpus_subset_member",
        _text("subset_id", 40),
        sa.Column("position", sa.Integer(), nullable=False),
        _text("image_id", 40),
        sa.ForeignKeyConstraint(
            ["subset_id"],
            ["corpus_subset.id"],
            name="fk_corpus_subset_member_subset_id_corpus_subset",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("subset_id", "position", name="pk_corpus_subset_member"),
    )
    op.create_index("ix_corpus_subset_member_image_id", "corpus_subset_member", ["image_id"])


def downgrade() -> None:
    """The corpus is forgotten; its files stay."""
    tables = ("subset_member", "subset", "left_out", "cell", "image")
    for table in tables:
        op.drop_table(f"corpus_{table}")
