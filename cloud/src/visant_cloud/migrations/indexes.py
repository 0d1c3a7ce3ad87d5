"""An index of a table that may hold millions of rows, built while others write."""

from alembic import op
from sqlalchemy.util import await_only


def build_index(name: str, table: str, *columns: str, where: str = "", unique: bool = False) -> None:
    """On PostgreSQL with CREATE INDEX CONCURRENTLY, else as it is.

    Everything else of the step is committed before, so such a step does nothing else: what was killed in the middle is
    run again. A build that was killed leaves an index that is INVALID and used by no query; it is taken away first.
    https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
    """
    made = f"{name} ON {table} ({', '.join(columns)}){f' WHERE {where}' if where else ''}"
    kind = "UNIQUE INDEX" if unique else "INDEX"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"CREATE {kind} IF NOT EXISTS {made}")
        return
    with op.get_context().autocommit_block():
        connection = op.get_bind().connection.driver_connection
        assert connection is not None
        # asyncpg's own `execute` sends one message: behind a pooler a statement that is prepared first is lost
        broken = f"SELECT FROM pg_index WHERE indexrelid = to_regclass('{name}') AND NOT indisvalid"
        if await_only(connection.execute(broken)) != "SELECT 0":
            await_only(connection.execute(f"DROP INDEX CONCURRENTLY {name}"))
        await_only(connection.execute(f"CREATE {kind} CONCURRENTLY IF NOT EXISTS {made}"))
