"""People: operators, what they may do for which organisation, and invites of who is to become one.

An operator is owned by one organisation, which gives it its name and may remove it altogether; others may have it as a
guest. What it may do is its membership's word, in the own organisation as in others.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.database.statements import insert_new
from visant_cloud.store import access_changes
from visant_cloud.store.access import ID_LENGTH, end_sessions
from visant_cloud.store.tables import invites, memberships, operators, organisations


@dataclass(frozen=True)
class Membership:
    """What an operator may do for an organisation."""

    organisation_id: str
    role: str
    group_ids: list[int] | None


@dataclass(frozen=True)
class Person:
    """A member of an organisation. `own`: the organisation owns it."""

    person_id: str
    name: str
    role: str
    group_ids: list[int] | None
    created_at: datetime
    own: bool


@dataclass(frozen=True)
class Invite:
    """Somebody who may choose a password."""

    invite_id: str
    organisation_id: str
    name: str
    role: str
    group_ids: list[int] | None
    created_by: str
    created_at: datetime
    expires_at: datetime


class LastAdmin(Exception):
    """Nobody could let people in any more."""


async def set_operator(
    connection: AsyncConnection,
    organisation_id: str,
    name: str,
    password_hash: str,
    now: datetime,
    *,
    role: str = "admin",
    group_ids: list[int] | None = None,
) -> bool:
    """Creates the operator (True), or gives an existing one a new password and ends its sessions (False).

    Names are unique over all organisations: they are what a person signs in with. The role is a new one's alone.
    """
    if await create(connection, organisation_id, name, password_hash, now, role=role, group_ids=group_ids):
        return True
    found = await operator(connection, name)
    assert found is not None
    await set_password(connection, found[0], password_hash)
    return False


async def create(
    connection: AsyncConnection,
    organisation_id: str,
    name: str,
    password_hash: str,
    now: datetime,
    *,
    role: str,
    group_ids: list[int] | None = None,
) -> bool:
    """A new operator; False where somebody has that name."""
    operator_id = secrets.token_hex(16)
    row = {
        "organisation_id": organisation_id,
        "operator_id": operator_id,
        "name": name,
        "password_hash": password_hash,
        "created_at": now,
    }
    made = await insert_new(connection, operators, row)
    if made:
        await add_member(connection, organisation_id, operator_id, role, group_ids)
    return made


async def set_password(
    connection: AsyncConnection, operator_id: str, password_hash: str, *, but: str | None = None
) -> None:
    """A new password; all sessions end `but` the one of that hash."""
    one = update(operators).where(operators.c.operator_id == operator_id)
    await connection.execute(one.values(password_hash=password_hash))
    await end_sessions(connection, operator_id, but=but)


async def operator(connection: AsyncConnection, name: str) -> tuple[str, str, str] | None:
    """(operator_id, password hash, whose it is), or None."""
    query = select(operators.c.operator_id, operators.c.password_hash, operators.c.organisation_id)
    row = (await connection.execute(query.where(operators.c.name == name))).one_or_none()
    return None if row is None else (row.operator_id, row.password_hash, row.organisation_id)


async def any_operator(connection: AsyncConnection) -> bool:
    """Whether anybody could sign in."""
    return (await connection.execute(select(operators.c.operator_id).limit(1))).first() is not None


async def memberships_of(connection: AsyncConnection, operator_id: str) -> list[Membership]:
    """What an operator may do, for each organisation, the own one first."""
    own = memberships.c.organisation_id == operators.c.organisation_id
    query = (
        select(memberships.c.organisation_id, memberships.c.role, memberships.c.group_ids)
        .join(operators, operators.c.operator_id == memberships.c.operator_id)
        .where(memberships.c.operator_id == operator_id)
        .order_by(own.desc(), memberships.c.organisation_id)
    )
    return [Membership(*row) for row in await connection.execute(query)]


async def add_member(
    connection: AsyncConnection,
    organisation_id: str,
    operator_id: str,
    role: str = "admin",
    group_ids: list[int] | None = None,
) -> bool:
    """The operator may act for this organisation; False where that is so already."""
    row: dict[str, Any] = {
        "organisation_id": organisation_id,
        "operator_id": operator_id,
        "role": role,
        "group_ids": group_ids,
    }
    return await insert_new(connection, memberships, row)


async def remove_member(connection: AsyncConnection, organisation_id: str, operator_id: str) -> bool:
    """A guest may not any more; False where it could not, and where the organisation owns it (`remove`).

    Also where it is the last admin: a guest is let in, and out, by whoever runs the cloud.
    """
    found = await person(connection, organisation_id, operator_id)
    if found is None or found.own:
        return False
    await _forget(connection, found, organisation_id)
    return True


def _person(row: Row[Any]) -> Person:
    return Person(**{**row._asdict(), "own": bool(row.own)})


def _people(organisation_id: str) -> Any:
    own = (operators.c.organisation_id == organisation_id).label("own")
    columns = (
        operators.c.operator_id.label("person_id"),
        operators.c.name,
        memberships.c.role,
        memberships.c.group_ids,
    )
    return (
        select(*columns, operators.c.created_at, own)
        .join(memberships, memberships.c.operator_id == operators.c.operator_id)
        .where(memberships.c.organisation_id == organisation_id)
        .order_by(operators.c.name)
    )


async def everyone(connection: AsyncConnection, organisation_id: str) -> list[Person]:
    """All members of an organisation, by name."""
    return [_person(row) for row in await connection.execute(_people(organisation_id))]


async def person(connection: AsyncConnection, organisation_id: str, person_id: str) -> Person | None:
    """One member, or None."""
    query = _people(organisation_id).where(operators.c.operator_id == person_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _person(row)


async def set_role(
    connection: AsyncConnection, organisation_id: str, found: Person, role: str, group_ids: list[int] | None
) -> None:
    """Another role, or other groups. Raises LastAdmin."""
    if role != "admin":
        await _not_the_last(connection, organisation_id, found.person_id)
    mine = and_(memberships.c.organisation_id == organisation_id, memberships.c.operator_id == found.person_id)
    await connection.execute(update(memberships).where(mine).values(role=role, group_ids=group_ids))
    await access_changes.note(connection)


async def remove(connection: AsyncConnection, found: Person, organisation_id: str) -> None:
    """A guest leaves this organisation; whom it owns is gone altogether, with its sessions. Raises LastAdmin."""
    await _not_the_last(connection, organisation_id, found.person_id)
    await _forget(connection, found, organisation_id)


async def _forget(connection: AsyncConnection, found: Person, organisation_id: str) -> None:
    table = operators if found.own else memberships
    mine = table.c.operator_id == found.person_id
    await connection.execute(delete(table).where(mine, table.c.organisation_id == organisation_id))
    await access_changes.note(connection)


async def _not_the_last(connection: AsyncConnection, organisation_id: str, person_id: str) -> None:
    """Two admins who demote each other at once wait for each other: the second finds itself the last."""
    if connection.dialect.name != "sqlite":
        one = select(organisations.c.name).where(organisations.c.organisation_id == organisation_id)
        await connection.execute(one.with_for_update(key_share=True))
    admins = select(memberships.c.operator_id).where(
        memberships.c.organisation_id == organisation_id, memberships.c.role == "admin"
    )
    found = set((await connection.execute(admins)).scalars())
    if found == {person_id}:
        raise LastAdmin


async def invite(connection: AsyncConnection, invite_hash: str, values: dict[str, Any]) -> None:
    """Remembers an invite by the hash of its secret."""
    await insert_new(connection, invites, {"invite_hash": invite_hash, **values})


_INVITE = (
    func.substr(invites.c.invite_hash, 1, ID_LENGTH),
    *(invites.c[name] for name in list(Invite.__dataclass_fields__)[1:]),
)


async def invites_of(connection: AsyncConnection, organisation_id: str, now: datetime) -> list[Invite]:
    """Those that wait, the newest first."""
    query = select(*_INVITE).where(invites.c.organisation_id == organisation_id, invites.c.expires_at > now)
    return [Invite(*row) for row in await connection.execute(query.order_by(invites.c.created_at.desc()))]


async def found_invite(connection: AsyncConnection, invite_hash: str, now: datetime) -> Invite | None:
    """The invite that a link stands for, or None."""
    query = select(*_INVITE).where(invites.c.invite_hash == invite_hash, invites.c.expires_at > now)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Invite(*row)


async def spend_invite(connection: AsyncConnection, invite_hash: str) -> bool:
    """It is used; False where somebody was faster."""
    return (await connection.execute(delete(invites).where(invites.c.invite_hash == invite_hash))).rowcount == 1


async def take_back_invite(connection: AsyncConnection, organisation_id: str, invite_id: str) -> bool:
    """Nobody may use it any more; False where there is none."""
    chosen = and_(
        invites.c.organisation_id == organisation_id, func.substr(invites.c.invite_hash, 1, ID_LENGTH) == invite_id
    )
    return (await connection.execute(delete(invites).where(chosen))).rowcount == 1
