"""Who may come in: operators, their sessions, API tokens, enrolment codes."""

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.column_types import UtcTime
from visant_cloud.database.engine import Database
from visant_cloud.database.statements import insert_new
from visant_cloud.store.tables import api_tokens, enrol_codes, operators, sessions


@dataclass(frozen=True)
class Session:
    """A signed-in operator. `csrf` must come back with every change."""

    operator_id: str
    operator: str
    csrf: str
    expires_at: datetime


@dataclass(frozen=True)
class Program:
    """Who holds an API token."""

    organisation_id: str
    name: str


@dataclass(frozen=True)
class EnrolCode:
    """One use, until it expires, for a device of its organisation."""

    organisation_id: str
    device_id: str | None
    replace: bool
    expires_at: datetime
    used_at: datetime | None
    batch_id: int | None
    name: str | None
    """What the device will be called."""
    revoked_at: datetime | None


async def set_operator(
    connection: AsyncConnection, organisation_id: str, name: str, password_hash: str, now: datetime
) -> bool:
    """Creates the operator (True), or gives an existing one a new password and ends its sessions (False).

    Names are unique over all organisations: they are what a person signs in with.
    """
    row = {
        "organisation_id": organisation_id,
        "operator_id": secrets.token_hex(16),
        "name": name,
        "password_hash": password_hash,
        "created_at": now,
    }
    if await insert_new(connection, operators, row):
        return True
    await connection.execute(update(operators).where(operators.c.name == name).values(password_hash=password_hash))
    mine = select(operators.c.operator_id).where(operators.c.name == name)
    await connection.execute(delete(sessions).where(sessions.c.operator_id.in_(mine)))
    return False


async def operator(connection: AsyncConnection, name: str) -> tuple[str, str] | None:
    """(operator_id, password hash), or None."""
    query = select(operators.c.operator_id, operators.c.password_hash).where(operators.c.name == name)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else (row.operator_id, row.password_hash)


async def any_operator(connection: AsyncConnection) -> bool:
    """Whether anybody could sign in."""
    return (await connection.execute(select(operators.c.operator_id).limit(1))).first() is not None


async def open_session(
    connection: AsyncConnection, session_hash: str, operator_id: str, csrf: str, now: datetime, expires_at: datetime
) -> None:
    """Remembers a sign-in."""
    await insert_new(
        connection,
        sessions,
        {
            "session_hash": session_hash,
            "operator_id": operator_id,
            "csrf": csrf,
            "created_at": now,
            "expires_at": expires_at,
        },
    )


async def session(connection: AsyncConnection, session_hash: str, now: datetime) -> Session | None:
    """The sign-in that this cookie stands for, or None."""
    query = (
        select(operators.c.operator_id, operators.c.name, sessions.c.csrf, sessions.c.expires_at)
        .join(operators, operators.c.operator_id == sessions.c.operator_id)
        .where(sessions.c.session_hash == session_hash, sessions.c.expires_at > now)
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Session(row.operator_id, row.name, row.csrf, row.expires_at)


async def close_session(connection: AsyncConnection, session_hash: str) -> None:
    """Signs out."""
    await connection.execute(delete(sessions).where(sessions.c.session_hash == session_hash))


async def add_api_token(
    connection: AsyncConnection, organisation_id: str, name: str, token_hash: str, now: datetime
) -> bool:
    """Remembers a token's hash; False where this organisation has one of that name."""
    row = {"organisation_id": organisation_id, "name": name, "token_hash": token_hash, "created_at": now}
    return await insert_new(connection, api_tokens, row)


async def remove_api_token(connection: AsyncConnection, organisation_id: str, name: str) -> bool:
    """Forgets a token; False where this organisation has none of that name."""
    one = delete(api_tokens).where(api_tokens.c.organisation_id == organisation_id, api_tokens.c.name == name)
    return (await connection.execute(one)).rowcount == 1


async def api_token(database: Database, token_hash: str) -> Program | None:
    """Who holds this token, or None."""
    rows = await database.read(_PROGRAM, {"hash": token_hash})
    return Program(rows[0].organisation_id, rows[0].name) if rows else None


_PROGRAM = select(api_tokens.c.organisation_id, api_tokens.c.name).where(api_tokens.c.token_hash == bindparam("hash"))


async def add_enrol_code(
    connection: AsyncConnection,
    organisation_id: str,
    code_hash: str,
    *,
    device_id: str | None,
    replace: bool,
    now: datetime,
    expires_at: datetime,
    batch_id: int | None = None,
    number: int | None = None,
    name: str | None = None,
) -> None:
    """Remembers a code's hash."""
    await insert_new(
        connection,
        enrol_codes,
        {
            "organisation_id": organisation_id,
            "code_hash": code_hash,
            "device_id": device_id,
            "replace": replace,
            "created_at": now,
            "expires_at": expires_at,
            "batch_id": batch_id,
            "number": number,
            "name": name,
        },
    )


async def enrol_code(connection: AsyncConnection, code_hash: str) -> EnrolCode | None:
    """The code, used or not, or None."""
    query = (
        select(*(enrol_codes.c[name] for name in EnrolCode.__dataclass_fields__))
        .where(enrol_codes.c.code_hash == code_hash)
        .with_for_update()
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else EnrolCode(*row)


async def may_enrol(database: Database, code_hash: str, now: datetime) -> bool:
    """Whether the code is good; a read that takes no lock."""
    return bool(await database.read(_GOOD_CODE, {"hash": code_hash, "now": now}))


_GOOD_CODE = select(enrol_codes.c.code_hash).where(
    enrol_codes.c.code_hash == bindparam("hash"),
    enrol_codes.c.used_at.is_(None),
    enrol_codes.c.revoked_at.is_(None),
    enrol_codes.c.expires_at > bindparam("now", type_=UtcTime),
)


async def spend_enrol_code(connection: AsyncConnection, code_hash: str, device_id: str, now: datetime) -> bool:
    """Spends the code; False where somebody was faster."""
    result = await connection.execute(
        update(enrol_codes)
        .where(
            enrol_codes.c.code_hash == code_hash,
            enrol_codes.c.used_at.is_(None),
            enrol_codes.c.revoked_at.is_(None),
        )
        .values(used_at=now, used_by=device_id)
    )
    return result.rowcount == 1


async def forget_expired(connection: AsyncConnection, now: datetime) -> None:
    """Removes sign-ins that are over, and codes that expired but for those of batches (enrol_batches.py).

    `now`: by a clock that may delete (deletion_clock.py).
    """
    await connection.execute(delete(sessions).where(sessions.c.expires_at < now))
    alone = enrol_codes.c.batch_id.is_(None)
    await connection.execute(delete(enrol_codes).where(alone, enrol_codes.c.expires_at < now))
