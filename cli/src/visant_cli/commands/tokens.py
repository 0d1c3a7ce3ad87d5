"""`visant tokens`: what programs come by, with a role, groups and an end."""

from typing import Annotated

import typer

from visant_cli import chosen, when
from visant_cli.cloud import path
from visant_cli.commands.users import OnlyGroups, Role, groups_of
from visant_cli.failure import ExitStatus, Failure
from visant_cli.output import Column
from visant_cli.session import Session, connected, usable

app = typer.Typer(help="API tokens: list, create, revoke.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")]


@app.command()
@connected
def ls(session: Session) -> None:
    """List the API tokens, and when each was last used."""
    session.out.table(
        session.cloud.get(path("tokens"))["tokens"],
        [
            Column("NAME", lambda row: row["name"]),
            Column("ROLE", lambda row: row["role"]),
            Column("DEVICES", groups_of),
            Column(
                "USED",
                lambda row: when.ago(row["last_used_at"], session.now) if session.out.terminal else row["last_used_at"],
            ),
            Column(
                "UNTIL", lambda row: "expired" if row["expired"] else chosen.at(session, row["expires_at"]), state=True
            ),
            Column("BY", lambda row: row["created_by"], spare=True),
        ],
        empty="there is no token",
    )


@app.command()
@connected
def add(
    session: Session,
    name: Name,
    role: Role,
    groups: OnlyGroups = None,
    last: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="How long it is good for, e.g. 90d; else until revoked.")
    ] = None,
) -> None:
    """Create an API token, and print it, once."""
    days = usable(when.seconds, last, "--for") / 86400 if last else None
    made, _ = session.cloud.ask("POST", path("tokens"), {"name": name, "role": role, "groups": groups, "days": days})
    until = when.local(made["expires_at"]) if made["expires_at"] else "it is revoked"
    session.out.secret(made, f"Token {name} ({role}) is good until {until}, and shown this once:", made["token"])


@app.command()
@connected
def rm(session: Session, name: Name, yes: chosen.Yes = False) -> None:
    """Revoke an API token: it is worth nothing from now on."""
    row = next((one for one in session.cloud.get(path("tokens"))["tokens"] if one["name"] == name), None)
    if row is None:
        raise Failure(f"there is no token {name}: visant tokens ls", ExitStatus.NOT_FOUND)
    used = f", last used {when.ago(row['last_used_at'], session.now)}" if row["last_used_at"] else ", never used"
    session.sure(f"Token {name} ({row['role']}{used}) will be worth nothing. Go on?", yes=yes)
    session.cloud.ask("DELETE", path("tokens", row["token_id"]))
    session.out.done(row, f"token {name} is worth nothing any more")
