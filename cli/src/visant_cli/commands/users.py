"""`visant users`: who may act for the organisation, and as what; invites."""

from typing import Annotated

import typer

from visant_cli import chosen, when
from visant_cli.cloud import path
from visant_cli.failure import ExitStatus, Failure
from visant_cli.output import Column, Row
from visant_cli.session import Session, connected, usable

app = typer.Typer(help="People: list, invite, change, remove.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="What the person signs in with.")]
Role = Annotated[str, typer.Option("--role", metavar="ROLE", help="viewer, operator, admin or technician.")]
OnlyGroups = Annotated[
    list[str] | None,
    typer.Option("--group", "-g", metavar="GROUP", help="Only devices of this group; again for others."),
]


def groups_of(row: Row) -> str:
    """The groups that somebody is limited to, in words."""
    return "all" if row["groups"] is None else ", ".join(row["groups"]) or "none"


def _named(session: Session, name: str) -> Row:
    row: Row | None = next((one for one in session.cloud.get(path("people"))["people"] if one["name"] == name), None)
    if row is None:
        raise Failure(f"there is no user {name}: visant users ls", ExitStatus.NOT_FOUND)
    return row


@app.command()
@connected
def ls(session: Session) -> None:
    """List who may act for the organisation, and as what."""
    session.out.table(
        session.cloud.get(path("people"))["people"],
        [
            Column("NAME", lambda row: row["name"]),
            Column("ROLE", lambda row: row["role"]),
            Column("DEVICES", groups_of),
            Column("SINCE", lambda row: chosen.at(session, row["created_at"]), spare=True),
        ],
        empty="there is nobody: visant users invite NAME --role operator",
    )


@app.command()
@connected
def invite(
    session: Session,
    name: Name,
    role: Role,
    groups: OnlyGroups = None,
    last: Annotated[str, typer.Option("--for", metavar="TIME", help="How long the link is good for.")] = "3d",
) -> None:
    """Print a link under which a person chooses a password, once."""
    hours = usable(when.seconds, last, "--for") / 3600
    made, _ = session.cloud.ask("POST", path("invites"), {"name": name, "role": role, "groups": groups, "hours": hours})
    until = when.local(made["expires_at"])
    session.out.secret(
        made, f"With this link {name} chooses a password and is {role}, once, until {until}:", made["link"]
    )


@app.command()
@connected
def invites(session: Session) -> None:
    """List the invites that wait to be accepted."""
    session.out.table(
        session.cloud.get(path("invites"))["invites"],
        [
            Column("NAME", lambda row: row["name"]),
            Column("ROLE", lambda row: row["role"]),
            Column("DEVICES", groups_of),
            Column("UNTIL", lambda row: chosen.at(session, row["expires_at"])),
            Column("BY", lambda row: row["created_by"], spare=True),
        ],
        empty="no invite waits",
    )


@app.command()
@connected
def uninvite(session: Session, name: Name) -> None:
    """Take an invite back: its link is worth nothing any more."""
    waiting = [one for one in session.cloud.get(path("invites"))["invites"] if one["name"] == name]
    if not waiting:
        raise Failure(f"no invite of {name} waits: visant users invites", ExitStatus.NOT_FOUND)
    for one in waiting:
        session.cloud.ask("DELETE", path("invites", one["invite_id"]))
    session.out.done(waiting[0], f"the invite of {name} is worth nothing any more")


@app.command("set")
@connected
def put(
    session: Session,
    name: Name,
    role: Annotated[
        str | None, typer.Option("--role", metavar="ROLE", help="viewer, operator, admin or technician.")
    ] = None,
    groups: OnlyGroups = None,
    everyone: Annotated[bool, typer.Option("--all-devices", help="All devices again.")] = False,
) -> None:
    """Give a person another role, or other groups. It counts from the next request on."""
    change = {"role": role, "groups": groups, "all_groups": everyone or None}
    body = {key: value for key, value in change.items() if value is not None}
    if not body:
        raise Failure("say what: --role, --group or --all-devices", ExitStatus.USAGE)
    row, _ = session.cloud.ask("PATCH", path("people", _named(session, name)["person_id"]), body)
    session.out.done(row, f"{name} is {row['role']}, for {groups_of(row)}{' devices' if row['groups'] is None else ''}")


@app.command()
@connected
def rm(session: Session, name: Name, yes: chosen.Yes = False) -> None:
    """Remove a person from the organisation, and end the sessions."""
    row = _named(session, name)
    session.sure(f"{name} ({row['role']}) may not act for this organisation any more. Go on?", yes=yes)
    session.cloud.ask("DELETE", path("people", row["person_id"]))
    session.out.done(row, f"{name} is removed")
