"""`visant groups`: sets of devices by name. A device may be in several."""

from typing import Annotated

import typer

from visant_cli import chosen
from visant_cli.cloud import path
from visant_cli.failure import ExitStatus, Failure
from visant_cli.output import Column, Row
from visant_cli.session import Session, connected

app = typer.Typer(help="Groups: list, create, rename, remove; `visant devices group` fills them.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="GROUP", help="Its name.")]


def named(session: Session, name: str) -> Row:
    """A group by its name. Raises Failure."""
    rows = session.cloud.get(path("groups"))["groups"]
    row: Row | None = next((one for one in rows if one["name"] == name), None)
    if row is None:
        raise Failure(f"there is no group {name}: visant groups ls", ExitStatus.NOT_FOUND)
    return row


@app.command()
@connected
def ls(session: Session) -> None:
    """List groups, and how many devices each has."""
    session.out.table(
        session.cloud.get(path("groups"))["groups"],
        [
            Column("GROUP", lambda row: row["name"]),
            Column("DEVICES", lambda row: row["devices"]),
            Column("SINCE", lambda row: chosen.at(session, row["created_at"]), spare=True),
        ],
        empty="there is no group yet: visant groups add NAME",
    )


@app.command()
@connected
def add(session: Session, name: Name) -> None:
    """Create a group, without devices."""
    row, _ = session.cloud.ask("POST", path("groups"), {"name": name})
    session.out.done(row, f"group {name} is created: visant devices group --add {name} DEVICE...")


@app.command()
@connected
def rename(session: Session, name: Name, new: Annotated[str, typer.Argument(metavar="NEW")]) -> None:
    """Give a group another name. Filters that say the old one are refused from now on."""
    where = path("groups", named(session, name)["group_id"])
    _, etag = session.cloud.ask("GET", where)
    row, _ = session.cloud.ask("PATCH", where, {"name": new}, etag=etag)
    session.out.done(row, f"group {name} is called {new} now")


@app.command()
@connected
def rm(session: Session, name: Name, yes: chosen.Yes = False) -> None:
    """Remove a group. Its devices stay."""
    row = named(session, name)
    session.sure(f"Group {name} has {row['devices']} devices, which stay. Remove it?", yes=yes or not row["devices"])
    session.cloud.ask("DELETE", path("groups", row["group_id"]))
    session.out.done(row, f"group {name} is gone")
