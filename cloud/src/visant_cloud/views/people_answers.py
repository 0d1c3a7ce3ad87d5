"""People, invites, sessions, tokens and the audit log as the API answers them; a secret only where it is new."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from visant_cloud.store.access import ApiToken, OpenSession
from visant_cloud.store.audit import Record
from visant_cloud.store.people import Invite, Person
from visant_cloud.times import Time, time, time_or_none

Groups = Annotated[list[str] | None, Field(description="names of groups it is limited to; null: all devices")]
RoleWord = Annotated[str, Field(description="viewer, operator, admin or technician")]


class PersonRow(TypedDict):
    """A member of the organisation. `own`: of this organisation; else a guest from another one."""

    person_id: str
    name: str
    role: RoleWord
    groups: Groups
    own: bool
    created_at: Time


class People(TypedDict):
    """By name."""

    people: list[PersonRow]


class InviteRow(TypedDict):
    """Somebody who may choose a password until `expires_at`."""

    invite_id: str
    name: str
    role: RoleWord
    groups: Groups
    created_by: str
    created_at: Time
    expires_at: Time


class NewInviteRow(InviteRow):
    """The link is shown in this answer and never again."""

    link: str


class Invites(TypedDict):
    """The newest first."""

    invites: list[InviteRow]


class SessionRow(TypedDict):
    """A sign-in. `seen_at`: the last request, to a minute."""

    session_id: str
    person_id: str
    name: str
    created_at: Time
    expires_at: Time
    seen_at: Time | None
    address: str | None
    agent: str | None
    this: bool


class Sessions(TypedDict):
    """The newest first."""

    sessions: list[SessionRow]


class TokenRow(TypedDict):
    """An API token. `last_used_at`: to a minute."""

    token_id: str
    name: str
    role: RoleWord
    groups: Groups
    created_at: Time
    created_by: str | None
    expires_at: Time | None
    expired: bool
    last_used_at: Time | None


class NewTokenRow(TokenRow):
    """The token is shown in this answer and never again."""

    token: str


class Tokens(TypedDict):
    """By name."""

    tokens: list[TokenRow]


class Me(TypedDict):
    """Who calls. `way`: `session`, `token`, or `open` where AUTH=open asks nobody."""

    name: str
    way: str
    person_id: str | None
    organisation_id: str
    role: RoleWord
    groups: Groups


class AuditRow(TypedDict):
    """Who did what. `action`: a method and a route; `object`: what the route's path names, or what was made."""

    audit_id: int
    at: Time
    who: str
    way: str
    address: str | None
    action: str
    object: str
    status: int
    before: Any
    after: Any


class AuditPage(TypedDict):
    """Newest first; `next_before` continues, null at the end."""

    records: list[AuditRow]
    next_before: int | None


Names = Mapping[int, str]


def groups(group_ids: list[int] | tuple[int, ...] | None, names: Names) -> list[str] | None:
    """Names of groups; of one that was removed nothing is left."""
    return None if group_ids is None else sorted(names[one] for one in group_ids if one in names)


def person(row: Person, names: Names) -> PersonRow:
    """One member."""
    return {
        "person_id": row.person_id,
        "name": row.name,
        "role": row.role,
        "groups": groups(row.group_ids, names),
        "own": row.own,
        "created_at": time(row.created_at),
    }


def invite(row: Invite, names: Names) -> InviteRow:
    """One invite."""
    return {
        "invite_id": row.invite_id,
        "name": row.name,
        "role": row.role,
        "groups": groups(row.group_ids, names),
        "created_by": row.created_by,
        "created_at": time(row.created_at),
        "expires_at": time(row.expires_at),
    }


def session(row: OpenSession, this: str) -> SessionRow:
    """One sign-in. `this`: the id of the caller's own."""
    return {
        "session_id": row.session_id,
        "person_id": row.operator_id,
        "name": row.name,
        "created_at": time(row.created_at),
        "expires_at": time(row.expires_at),
        "seen_at": time_or_none(row.seen_at),
        "address": row.address,
        "agent": row.agent,
        "this": row.session_id == this,
    }


def token(row: ApiToken, names: Names, *, expired: bool) -> TokenRow:
    """One token."""
    return {
        "token_id": row.token_id,
        "name": row.name,
        "role": row.role,
        "groups": groups(row.group_ids, names),
        "created_at": time(row.created_at),
        "created_by": row.created_by,
        "expires_at": time_or_none(row.expires_at),
        "expired": expired,
        "last_used_at": time_or_none(row.last_used_at),
    }


def record(row: Record) -> AuditRow:
    """One record."""
    return {
        "audit_id": row.audit_id,
        "at": time(row.at),
        "who": row.who,
        "way": row.way,
        "address": row.address,
        "action": row.action,
        "object": row.object,
        "status": row.status,
        "before": row.before,
        "after": row.after,
    }
