"""Run by Alembic: migrates the open connection that backend.store.schema hands over."""

from alembic import context
from sqlalchemy import Connection

from backend.store.tables import Table


def migrate(connection: Connection) -> None:
    """All steps in the transaction that the caller holds and commits."""
    context.configure(
        connection=connection,
        target_metadata=Table.metadata,
        compare_type=True,
        transactional_ddl=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    context.run_migrations()


migrate(context.config.attributes["connection"])
