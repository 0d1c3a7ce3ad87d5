"""The commands with which an administrator lets people, programs and devices in. They work beside a running cloud."""

import argparse
import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.access import credentials
from visant_cloud.access.roles import ROLES
from visant_cloud.database import connection_url, pooler
from visant_cloud.database.engine import Database, first_line
from visant_cloud.settings import CloudSettings
from visant_cloud.store import access, counters, devices, fleet, organisations, people
from visant_cloud.store.keys import DEFAULT_ORGANISATION, device_id_of, device_key, valid_organisation_id
from visant_cloud.store.schema import migrate
from visant_cloud.store.scope import Scope
from visant_contract.ids import valid_device_id
from visant_runtime import settings


class _Wrong(Exception):
    """One line for the person at the terminal."""


def main(command: str, arguments: Sequence[str]) -> int:
    """Runs one command; prints what it made on standard output, troubles on standard error. Returns the status."""
    try:
        given = _parser(command).parse_args(list(arguments))
    except SystemExit as stop:
        return int(stop.code or 0)
    chosen = settings.load(CloudSettings)
    try:
        chosen.data_dir.mkdir(parents=True, exist_ok=True)
        return asyncio.run(_with_database(chosen, _COMMANDS[command], given))
    except _Wrong as error:
        print(f"[ERROR] {error}", file=sys.stderr)
        return 1
    except settings.SettingsError as error:
        settings.fail(str(error))
    except (SQLAlchemyError, OSError) as error:
        settings.fail(f"the database cannot be used ({first_line(error)[:300]}): check DATABASE_URL, DATA_DIR")


async def _with_database(
    chosen: CloudSettings, command: Callable[[Database, argparse.Namespace], Awaitable[None]], given: argparse.Namespace
) -> int:
    database = Database(await pooler.settled(chosen.engine_url()))
    try:
        await migrate(database)
        await _must_exist(database, getattr(given, "organisation", DEFAULT_ORGANISATION))
        await command(database, given)
    finally:
        await database.close()
    return 0


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"visant-cloud {command}")
    if command == "create-operator":
        parser.add_argument("name", help="what the person signs in with")
        parser.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    elif command in ("create-device", "revoke-device", "restore-device"):
        parser.add_argument("device_id", metavar="ID")
        if command == "create-device":
            parser.add_argument(
                "--old-client", action="store_true", help="its id alone lets it in, until it has a token"
            )
    elif command in ("create-token", "revoke-token"):
        parser.add_argument("name", nargs="?" if command == "create-token" else None, default="api")
        if command == "create-token":
            parser.add_argument("--days", type=float, help="how long it is good for (default: until revoke-token)")
    elif command in ("remove-operator", "set-role"):
        parser.add_argument("name", help="the operator")
    elif command == "create-organisation":
        parser.add_argument("organisation_id", metavar="ID", help="lower-case letters, digits, dashes; it stays")
        parser.add_argument("--name", help="what people read (default: the id)")
    elif command in ("add-member", "remove-member"):
        parser.add_argument("name", help="the operator")
    elif command == "enrol-code":
        parser.add_argument("--device-id", metavar="ID", help="the code is for this device only")
        parser.add_argument("--replace", action="store_true", help="it may take over an id that is enrolled already")
        parser.add_argument("--hours", type=float, default=24.0, help="how long it is good for (default 24)")
    if command in ("create-operator", "create-token", "add-member", "set-role"):
        parser.add_argument(
            "--role", choices=ROLES, default="admin", help="what it may do there (default: %(default)s)"
        )
    if command not in ("migrate", "create-organisation", "organisations"):
        parser.add_argument(
            "--organisation", metavar="ID", default=DEFAULT_ORGANISATION, help="whose it is (default: %(default)s)"
        )
    return parser


def _now() -> datetime:
    return datetime.now(UTC)


def _checked(device_id: str) -> str:
    if not valid_device_id(device_id):
        raise _Wrong(
            f"device id {device_id!r}: 1 to 64 letters, digits, dots, dashes or underscores, "
            "beginning with a letter or digit"
        )
    return device_id


async def _must_exist(database: Database, organisation_id: str) -> None:
    async with database.reading() as connection:
        if not await organisations.exists(connection, organisation_id):
            raise _Wrong(
                f"--organisation {organisation_id!r}: there is none; `visant-cloud organisations` lists them, "
                "`visant-cloud create-organisation ID` makes one"
            )


async def _create_organisation(database: Database, given: argparse.Namespace) -> None:
    if not valid_organisation_id(given.organisation_id):
        raise _Wrong(
            f"organisation id {given.organisation_id!r}: 1 to 32 lower-case letters, digits or dashes, no dash first"
        )
    async with database.writing() as connection:
        if not await organisations.create(connection, given.organisation_id, given.name or given.organisation_id):
            raise _Wrong(f"organisation {given.organisation_id} exists already")
    print(f"organisation {given.organisation_id} created")


async def _organisations(database: Database, given: argparse.Namespace) -> None:
    async with database.reading() as connection:
        for organisation_id, name in (await organisations.everyone(connection)).items():
            print(f"{organisation_id}\t{name}")


async def _add_member(database: Database, given: argparse.Namespace) -> None:
    async with database.writing() as connection:
        new = await people.add_member(
            connection, given.organisation, await _operator(connection, given.name), given.role
        )
    print(f"operator {given.name} {'may act' if new else 'could act already'} for {given.organisation}")


async def _remove_member(database: Database, given: argparse.Namespace) -> None:
    async with database.writing() as connection:
        operator_id = await _operator(connection, given.name)
        if not await people.remove_member(connection, given.organisation, operator_id):
            raise _Wrong(
                f"operator {given.name} was not added to {given.organisation}; whom an organisation owns, "
                "it loses by `visant-cloud remove-operator`"
            )
    print(f"operator {given.name} may not act for {given.organisation} any more")


async def _operator(connection: AsyncConnection, name: str) -> str:
    found = await people.operator(connection, name)
    if found is None:
        raise _Wrong(f"there is no operator {name!r}; `visant-cloud create-operator` makes one")
    return found[0]


async def _migrate(database: Database, given: argparse.Namespace) -> None:
    print(f"the database is current: {connection_url.shown(database.url)}")


async def _create_operator(database: Database, given: argparse.Namespace) -> None:
    if given.password_stdin or not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = getpass.getpass(f"Password for {given.name}: ")
        if getpass.getpass("The same again: ") != password:
            raise _Wrong("the two passwords differ")
    if len(password) < credentials.MIN_PASSWORD:
        raise _Wrong(f"the password needs at least {credentials.MIN_PASSWORD} characters")
    async with database.writing() as connection:
        new = await people.set_operator(
            connection, given.organisation, given.name, credentials.hash_password(password), _now(), role=given.role
        )
    print(f"operator {given.name} {'created' if new else 'has a new password'}")


async def _list_operators(database: Database, given: argparse.Namespace) -> None:
    async with database.reading() as connection:
        for row in await people.everyone(connection, given.organisation):
            limits = "" if row.group_ids is None else "\tlimited to groups"
            print(f"{row.name}\t{row.role}\t{'own' if row.own else 'guest'}{limits}")


async def _remove_operator(database: Database, given: argparse.Namespace) -> None:
    async with database.writing() as connection:
        found = await people.person(connection, given.organisation, await _operator(connection, given.name))
        if found is None or not found.own:
            raise _Wrong(
                f"operator {given.name} is not one of {given.organisation}; "
                "a guest goes by `visant-cloud remove-member`"
            )
        try:
            await people.remove(connection, found, given.organisation)
        except people.LastAdmin:
            raise _last_admin(given) from None
    print(f"operator {given.name} is gone, and signed out everywhere")


async def _set_role(database: Database, given: argparse.Namespace) -> None:
    async with database.writing() as connection:
        found = await people.person(connection, given.organisation, await _operator(connection, given.name))
        if found is None:
            raise _Wrong(f"operator {given.name} may not act for {given.organisation}: `visant-cloud add-member`")
        try:
            await people.set_role(connection, given.organisation, found, given.role, None)
        except people.LastAdmin:
            raise _last_admin(given) from None
    print(f"operator {given.name} is {given.role} of {given.organisation}, for all its devices")


def _last_admin(given: argparse.Namespace) -> _Wrong:
    return _Wrong(
        f"operator {given.name} is the last admin of {given.organisation}: make another first "
        "(visant-cloud create-operator)"
    )


async def _list_tokens(database: Database, given: argparse.Namespace) -> None:
    async with database.reading() as connection:
        for row in await access.api_tokens_of(connection, given.organisation):
            print(
                f"{row.name}\t{row.role}\tlast used {_when(row.last_used_at, 'never')}"
                f"\texpires {_when(row.expires_at, 'never')}"
            )


def _when(moment: datetime | None, missing: str) -> str:
    return missing if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


async def _create_device(database: Database, given: argparse.Namespace) -> None:
    device_id = _checked(given.device_id)
    token = credentials.device_token()
    async with database.writing() as connection:
        made = await devices.create(
            connection,
            device_key(given.organisation, device_id),
            _now(),
            token_hash=credentials.digest(token),
            old_client=given.old_client,
        )
    if not made:
        raise _Wrong(
            f"device {device_id} exists already; `visant-cloud enrol-code --device-id {device_id} --replace` "
            "gives it a new token"
        )
    print(f"device {device_id} created; its token is shown only now", file=sys.stderr)
    print(token)


async def _create_token(database: Database, given: argparse.Namespace) -> None:
    if given.days is not None and not 0 < given.days <= 3660:
        raise _Wrong("--days: more than 0, at most 3660")
    expires_at = None if given.days is None else _now() + timedelta(days=given.days)
    token = credentials.api_token()
    async with database.writing() as connection:
        if not await access.add_api_token(
            connection,
            given.organisation,
            given.name,
            credentials.digest(token),
            _now(),
            role=given.role,
            expires_at=expires_at,
        ):
            raise _Wrong(f"a token named {given.name!r} exists; `visant-cloud revoke-token {given.name}` ends it")
    print(f"API token {given.name!r} created; it is shown only now", file=sys.stderr)
    print(token)


async def _revoke_token(database: Database, given: argparse.Namespace) -> None:
    async with database.writing() as connection:
        if not await access.remove_api_token(connection, given.organisation, given.name):
            raise _Wrong(f"there is no token named {given.name!r}")
    print(f"API token {given.name!r} is worthless now")


async def _revoke_device(database: Database, given: argparse.Namespace) -> None:
    await _set_revoked(database, given, True)
    print(f"device {given.device_id}: token revoked; an open stream ends within a second")


async def _restore_device(database: Database, given: argparse.Namespace) -> None:
    await _set_revoked(database, given, False)
    print(f"device {given.device_id}: its token is good again")


async def _set_revoked(database: Database, given: argparse.Namespace, revoked: bool) -> None:
    key = device_key(given.organisation, _checked(given.device_id))
    async with database.writing() as connection:
        if not await devices.change(connection, key, token_revoked=revoked):
            raise _Wrong(f"there is no device {given.device_id!r}")


async def _enrol_code(database: Database, given: argparse.Namespace) -> None:
    if given.device_id is not None:
        _checked(given.device_id)
    if not 0 < given.hours <= 24 * 90:
        raise _Wrong("--hours: more than 0, at most 2160 (90 days)")
    code = credentials.enrol_code()
    expires_at = _now() + timedelta(hours=given.hours)
    async with database.writing() as connection:
        await access.add_enrol_code(
            connection,
            given.organisation,
            credentials.digest(credentials.tidy_code(code)),
            device_id=given.device_id,
            replace=given.replace,
            now=_now(),
            expires_at=expires_at,
        )
    whom = given.device_id or "any new device"
    print(f"for {whom}, once, until {expires_at:%Y-%m-%d %H:%M} UTC", file=sys.stderr)
    print(code)


async def _devices(database: Database, given: argparse.Namespace) -> None:
    async with database.reading() as connection:
        async for row, last in fleet.devices_with_states(connection, Scope(given.organisation)):
            seen = f"{last.last_seen_at:%Y-%m-%d %H:%M:%S} UTC" if last.last_seen_at else "never"
            print(f"{row.device_id}\tseen {seen}\tversion {row.device_version or '-'}")


async def _recount(database: Database, given: argparse.Namespace) -> None:
    async with database.reading() as connection:
        keys = [row.device_key for row in await devices.everyone(connection, given.organisation)]
    wrong = 0
    for key in keys:
        async with database.writing() as connection:
            mended = await counters.recount(connection, key, _now())
        if mended:
            wrong += 1
            print(f"{device_id_of(key)}\tmended")
    print(f"{len(keys)} devices counted, {wrong} had wrong figures")


_COMMANDS: dict[str, Callable[[Database, argparse.Namespace], Awaitable[None]]] = {
    "migrate": _migrate,
    "create-organisation": _create_organisation,
    "organisations": _organisations,
    "add-member": _add_member,
    "remove-member": _remove_member,
    "create-operator": _create_operator,
    "list-operators": _list_operators,
    "remove-operator": _remove_operator,
    "set-role": _set_role,
    "create-device": _create_device,
    "create-token": _create_token,
    "list-tokens": _list_tokens,
    "revoke-token": _revoke_token,
    "revoke-device": _revoke_device,
    "restore-device": _restore_device,
    "enrol-code": _enrol_code,
    "devices": _devices,
    "recount": _recount,
}
