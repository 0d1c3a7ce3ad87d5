"""What of a database's errors is its own trouble, which passes or is somebody's to mend, and what to say of it. Pure.

PostgreSQL says it by SQLSTATE (docs, appendix A), SQLite by the name of its result code (sqlite.org/rescode.html).
"""

from enum import Enum

from sqlalchemy import exc

from visant_cloud.database.engine import DatabaseAway


class Trouble(Enum):
    """The values are for the log: what it is and, where somebody must act, what to do."""

    AWAY = "the database does not answer"
    BUSY = "the database is too busy"
    FULL_OF_CONNECTIONS = (
        "the database takes no more connections: raise max_connections or the user's limit, or run fewer workers"
    )
    READ_ONLY = "the database takes no writes: it is read-only (a standby, its settings, a file's mode)"
    FULL = "the database's disk is full: make room"
    DISK = "the database's disk fails: look at its log"
    DAMAGED = "the database's file is damaged: restore a backup"
    NOT_LET_IN = "the database does not let this user in: was the password changed? Set DATABASE_URL and restart"
    NO_DATABASE = "there is no such database: was it dropped? Look at DATABASE_URL"
    NO_RIGHTS = "the database user may not do this: GRANT it the tables and their schema, as their owner"

    @property
    def passes(self) -> bool:
        """Whether waiting may help at a start: what comes up beside it is not there yet, or not open to all."""
        return self not in (Trouble.NO_RIGHTS, Trouble.DAMAGED)


_STATES = {
    "25006": Trouble.READ_ONLY,
    "53100": Trouble.FULL,
    "53300": Trouble.FULL_OF_CONNECTIONS,
    "53": Trouble.BUSY,
    "57014": Trouble.BUSY,  # statement_timeout
    "57P": Trouble.AWAY,
    "08": Trouble.AWAY,
    "40P01": Trouble.BUSY,
    "40001": Trouble.BUSY,
    "55P03": Trouble.BUSY,  # lock_timeout
    "25P0": Trouble.BUSY,  # idle_in_transaction_session_timeout, transaction_timeout
    "28": Trouble.NOT_LET_IN,
    "3D000": Trouble.NO_DATABASE,
    "42501": Trouble.NO_RIGHTS,
    "3F000": Trouble.NO_RIGHTS,  # no schema in the search path that the user may see
    "58": Trouble.DISK,
    "XX001": Trouble.DAMAGED,
    "XX002": Trouble.DAMAGED,
}
_CODES = {
    "SQLITE_READONLY": Trouble.READ_ONLY,
    "SQLITE_FULL": Trouble.FULL,
    "SQLITE_BUSY": Trouble.BUSY,
    "SQLITE_LOCKED": Trouble.BUSY,
    "SQLITE_PROTOCOL": Trouble.BUSY,
    "SQLITE_IOERR": Trouble.DISK,
    "SQLITE_CANTOPEN": Trouble.DISK,
    "SQLITE_PERM": Trouble.DISK,
    "SQLITE_NOLFS": Trouble.DISK,
    "SQLITE_CORRUPT": Trouble.DAMAGED,
    "SQLITE_NOTADB": Trouble.DAMAGED,
}


def of(error: Exception) -> Trouble | None:
    """The database's trouble that this error tells; None where it tells none: then the fault is ours."""
    if isinstance(error, exc.TimeoutError):
        return Trouble.BUSY  # the pool: every connection is in use
    if isinstance(error, DatabaseAway | ConnectionError):
        return Trouble.AWAY
    if not isinstance(error, exc.DBAPIError):
        return None
    state = str(getattr(error.orig, "sqlstate", None) or "")
    name = str(getattr(error.orig, "sqlite_errorname", None) or "")
    found = _longest(_STATES, state) or _longest(_CODES, name)
    if found is None and (error.connection_invalidated or isinstance(error, exc.InterfaceError)):
        return Trouble.AWAY
    return found


def _longest(table: dict[str, Trouble], word: str) -> Trouble | None:
    starts = [start for start in table if word.startswith(start)]
    return table[max(starts, key=len)] if starts else None
