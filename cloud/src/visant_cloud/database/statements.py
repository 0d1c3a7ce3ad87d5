"""Statements that SQLite and PostgreSQL spell differently."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Column, Row, Table, Text, any_, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from visant_cloud.database.engine import Database
from visant_cloud.database.json_values import to_json


def among(where: AsyncConnection | Database, column: Column[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """`column` is one of `values`: one parameter for any number of them, so the statement is prepared once."""
    wanted = list(values)
    if where.sqlite if isinstance(where, Database) else where.dialect.name == "sqlite":
        listed = func.json_each(bindparam(None, to_json(wanted), type_=Text)).table_valued("value")
        return column.in_(select(listed.c.value))
    kind = BigInteger if isinstance(column.type, BigInteger) else Text
    return column == any_(bindparam(None, wanted, type_=ARRAY(kind)))


def _insert(connection: AsyncConnection, table: Table, values: dict[str, Any]) -> Any:
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    return make(table).values(**values).on_conflict_do_nothing()


async def insert_new(connection: AsyncConnection, table: Table, values: dict[str, Any]) -> bool:
    """Inserts one row; False where a unique constraint says that it is there already."""
    result = await connection.execute(_insert(connection, table, values))
    return bool(result.rowcount == 1)


async def insert_many(connection: AsyncConnection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Inserts these rows in their order, one message to the server; those that are there already are left out."""
    make: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    if rows:
        await connection.execute(make(table).on_conflict_do_nothing(), rows)


async def insert_returning(
    connection: AsyncConnection, table: Table, values: dict[str, Any], columns: Sequence[ColumnElement[Any]]
) -> Row[Any] | None:
    """The same, and the row as it is in the table now; None where it was there already."""
    row: Row[Any] | None = (
        await connection.execute(_insert(connection, table, values).returning(*columns))
    ).one_or_none()
    return row
