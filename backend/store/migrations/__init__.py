"""One revision of the tables a file, run by Alembic."""
