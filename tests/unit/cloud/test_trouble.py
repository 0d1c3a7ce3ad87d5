"""Which errors of a database are its own trouble, and which are a fault of ours."""

import sqlite3
from typing import Any

import pytest
from sqlalchemy import exc

from visant_cloud.database import trouble
from visant_cloud.database.engine import DatabaseAway, first_line
from visant_cloud.database.trouble import Trouble


def said(**fields: Any) -> exc.DBAPIError:
    """What SQLAlchemy raises for an error of the driver with these fields."""
    orig = Exception("<class 'asyncpg.exceptions.SomeError'>: no")
    for name, value in fields.items():
        setattr(orig, name, value)
    return exc.DBAPIError("INSERT INTO secrets", {"a": "b"}, orig)


@pytest.mark.parametrize(
    ("sqlstate", "found"),
    [
        ("25006", Trouble.READ_ONLY),
        ("53100", Trouble.FULL),
        ("53300", Trouble.FULL_OF_CONNECTIONS),
        ("53200", Trouble.BUSY),
        ("57014", Trouble.BUSY),
        ("57P01", Trouble.AWAY),
        ("08006", Trouble.AWAY),
        ("40P01", Trouble.BUSY),
        ("55P03", Trouble.BUSY),
        ("25P03", Trouble.BUSY),
        ("28P01", Trouble.NOT_LET_IN),
        ("28000", Trouble.NOT_LET_IN),
        ("3D000", Trouble.NO_DATABASE),
        ("42501", Trouble.NO_RIGHTS),
        ("58030", Trouble.DISK),
        ("XX001", Trouble.DAMAGED),
        ("22003", None),
        ("42P01", None),
        ("23505", None),
        ("25001", None),
    ],
)
def test_a_sqlstate_says_what_it_is(sqlstate: str, found: Trouble | None) -> None:
    assert trouble.of(said(sqlstate=sqlstate)) is found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("SQLITE_READONLY_DBMOVED", Trouble.READ_ONLY),
        ("SQLITE_FULL", Trouble.FULL),
        ("SQLITE_BUSY_SNAPSHOT", Trouble.BUSY),
        ("SQLITE_IOERR_FSYNC", Trouble.DISK),
        ("SQLITE_CANTOPEN", Trouble.DISK),
        ("SQLITE_CORRUPT", Trouble.DAMAGED),
        ("SQLITE_ERROR", None),
        ("SQLITE_CONSTRAINT_UNIQUE", None),
    ],
)
def test_a_result_code_of_sqlite_says_what_it_is(code: str, found: Trouble | None) -> None:
    assert hasattr(sqlite3, code)
    assert trouble.of(said(sqlite_errorname=code)) is found


def test_a_pool_without_a_free_connection_is_busy_and_a_server_that_cannot_be_reached_is_away() -> None:
    assert trouble.of(exc.TimeoutError()) is Trouble.BUSY
    assert trouble.of(DatabaseAway("no connection")) is Trouble.AWAY
    assert trouble.of(ConnectionResetError()) is Trouble.AWAY
    assert trouble.of(ValueError()) is None


def test_a_line_of_the_log_shows_neither_statement_nor_class() -> None:
    assert first_line(said(sqlstate="25006")) == "no"
    assert first_line(TimeoutError()) == "TimeoutError"
