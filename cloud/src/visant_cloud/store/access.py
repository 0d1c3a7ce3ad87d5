"""By what somebody comes in: sessions of operators, API tokens, enrolment codes. Who they are: people.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.column_types import UtcTime
from visant_cloud.database.engine import Database
from visant_cloud.database.statements import insert_new
from visant_cloud.store import access_changes
from visant_cloud.store.keys import DEFAULT_ORGANISATION
from visant_cloud.store.tables import api_tokens, enrol_codes, invites, operators, sessions

ID_LENGTH = 32
"""Hex digits of a hash by which people name a session, a token or an invite; a hash is no secret."""


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
    role: str
    group_ids: list[int] | None
    expires_at: datetime | None


@dataclass(frozen=True)
class ApiToken:
    """An API token as people are shown it."""

    token_id: str
    name: str
    role: str
    group_ids: list[int] | None
    created_at: datetime
    created_by: str | None
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True)
class OpenSession:
    """A sign-in as people are shown it."""

    session_id: str
    operator_id: str
    name: str
    created_at: datetime
    expires_at: datetime
    seen_at: datetime | None
    address: str | None
    agent: str | None


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


async def open_session(
    connection: AsyncConnection,
    session_hash: str,
    operator_id: str,
    csrf: str,
    now: datetime,
    expires_at: datetime,
    *,
    organisation_id: str = DEFAULT_ORGANISATION,
    address: str | None = None,
    agent: str | None = None,
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
            "organisation_id": organisation_id,
            "address": address,
            "agent": agent and agent[:200],
            "seen_at": now,
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


async def sessions_of(
    connection: AsyncConnection, now: datetime, *, organisation_id: str | None = None, operator_id: str | None = None
) -> list[OpenSession]:
    """Those that last, of one operator, or of all whom an organisation owns; the newest first."""
    query = (
        select(
            func.substr(sessions.c.session_hash, 1, ID_LENGTH),
            operators.c.operator_id,
            operators.c.name,
            *(sessions.c[name] for name in ("created_at", "expires_at", "seen_at", "address", "agent")),
        )
        .join(operators, operators.c.operator_id == sessions.c.operator_id)
        .where(sessions.c.expires_at > now)
    )
    if organisation_id is not None:
        query = query.where(operators.c.organisation_id == organisation_id)
    if operator_id is not None:
        query = query.where(operators.c.operator_id == operator_id)
    rows = await connection.execute(query.order_by(sessions.c.created_at.desc()).limit(1000))
    return [OpenSession(*row) for row in rows]


async def end_sessions(
    connection: AsyncConnection, operator_id: str, *, session_id: str | None = None, but: str | None = None
) -> int:
    """Ends an operator's sessions: one, or all `but` the one of that hash. Returns how many."""
    chosen: list[ColumnElement[bool]] = [sessions.c.operator_id == operator_id]
    if session_id is not None:
        chosen.append(func.substr(sessions.c.session_hash, 1, ID_LENGTH) == session_id)
    if but is not None:
        chosen.append(sessions.c.session_hash != but)
    ended = (await connection.execute(delete(sessions).where(*chosen))).rowcount
    await access_changes.note(connection)
    return ended


async def note_uses(connection: AsyncConnection, uses: Mapping[tuple[str, str], datetime]) -> None:
    """(`session` or `token`, its hash) -> when it was last used."""
    for (way, secret_hash), at in sorted(uses.items()):
        if way == "session":
            one = update(sessions).where(sessions.c.session_hash == secret_hash).values(seen_at=at)
        else:
            one = update(api_tokens).where(api_tokens.c.token_hash == secret_hash).values(last_used_at=at)
        await connection.execute(one)


async def add_api_token(
    connection: AsyncConnection,
    organisation_id: str,
    name: str,
    token_hash: str,
    now: datetime,
    *,
    role: str = "admin",
    group_ids: list[int] | None = None,
    expires_at: datetime | None = None,
    created_by: str | None = None,
) -> bool:
    """Remembers a token's hash; False where this organisation has one of that name."""
    row: dict[str, Any] = {
        "organisation_id": organisation_id,
        "name": name,
        "token_hash": token_hash,
        "created_at": now,
        "role": role,
        "group_ids": group_ids,
        "expires_at": expires_at,
        "created_by": created_by,
    }
    return await insert_new(connection, api_tokens, row)


async def api_tokens_of(connection: AsyncConnection, organisation_id: str) -> list[ApiToken]:
    """All of an organisation, by name."""
    query = select(
        func.substr(api_tokens.c.token_hash, 1, ID_LENGTH),
        *(api_tokens.c[name] for name in list(ApiToken.__dataclass_fields__)[1:]),
    ).where(api_tokens.c.organisation_id == organisation_id)
    return [ApiToken(*row) for row in await connection.execute(query.order_by(api_tokens.c.name))]


async def remove_api_token(
    connection: AsyncConnection, organisation_id: str, name: str | None = None, *, token_id: str | None = None
) -> bool:
    """Forgets a token, by its name or its id; False where this organisation has none such."""
    if name is not None:
        chosen: ColumnElement[bool] = api_tokens.c.name == name
    else:
        chosen = func.substr(api_tokens.c.token_hash, 1, ID_LENGTH) == token_id
    one = delete(api_tokens).where(api_tokens.c.organisation_id == organisation_id, chosen)
    if (await connection.execute(one)).rowcount != 1:
        return False
    await access_changes.note(connection)
    return True


async def api_token(database: Database, token_hash: str) -> Program | None:
    """Who holds this token, expired or not, or None."""
    rows = await database.read(_PROGRAM, {"hash": token_hash})
    return Program(**rows[0]._asdict()) if rows else None


_PROGRAM = select(*(api_tokens.c[name] for name in Program.__dataclass_fields__)).where(
    api_tokens.c.token_hash == bindparam("hash")
)


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
    """Removes sign-ins that are over, invites that expired, and codes that did but for those of batches
    (enrol_batches.py). `now`: by a clock that may delete (deletion_clock.py).
    """
    for table in (sessions, invites):
        await connection.execute(delete(table).where(table.c.expires_at < now))
    alone = enrol_codes.c.batch_id.is_(None)
    await connection.execute(delete(enrol_codes).where(alone, enrol_codes.c.expires_at < now))
