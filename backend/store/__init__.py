"""Facts as rows: tables, sessions and migrations, on SQLite or PostgreSQL."""
