"""The order of pages as an index, so that the first page of the corpus sorts nothing."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

COLUMNS = (
    *("dataset", "split", "label", "diagnosis", "modality", "skin_tone", "site"),
    *("decade", "sex", "synthetic", "id", "images"),
)


def upgrade() -> None:
    """The index; it covers what a walk over the cells reads."""
    op.create_index("ix_corpus_cell_order", "corpus_cell", list(COLUMNS))


def downgrade() -> None:
    """Pages are sorted anew each time."""
    op.drop_index("ix_corpus_cell_order", "corpus_cell")
