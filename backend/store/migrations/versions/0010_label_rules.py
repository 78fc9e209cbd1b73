"""Versions of label rules, each image's own label, and the images that a rule drops."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def _text(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=length), nullable=False)


def upgrade() -> None:
    """Images so far have the label that their dataset gave them: what the rules made of it."""
    for table in ("corpus_image", "corpus_cell"):
        op.add_column(
            table, sa.Column("target", sa.String(length=200), nullable=False, server_default="")
        )
        op.execute(f"UPDATE {table} SET target = label")
    op.create_table(
        "corpus_dropped",
        _text("id", 40),
        _text("dataset", 64),
        _text("source_id", 200),
        sa.Column("source_path", sa.Text(), nullable=False),
        _text("patient", 200),
        _text("lesion", 200),
        _text("diagnosis", 200),
        _text("diagnosis_given", 200),
        _text("target", 200),
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
        sa.PrimaryKeyConstraint("id", name="pk_corpus_dropped"),
    )
    op.create_index(
        "uq_corpus_dropped_dataset", "corpus_dropped", ["dataset", "source_id"], unique=True
    )
    op.create_index(
        "ix_corpus_dropped_ruling", "corpus_dropped", ["dataset", "diagnosis", "target"]
    )
    op.create_table(
        "label_rule",
        _text("dataset", 64),
        sa.Column("version", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("rule", sa.Text(), nullable=False),
        _text("hash", 32),
        sa.Column("author", sa.String(length=200)),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("dataset", "version", name="pk_label_rule"),
    )


def downgrade() -> None:
    """Rules are those of the records again; images that they drop are forgotten."""
    op.drop_table("label_rule")
    op.drop_table("corpus_dropped")
    for table in ("corpus_cell", "corpus_image"):
        op.drop_column(table, "target")
