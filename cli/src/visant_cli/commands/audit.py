"""`visant audit`: who changed what, and who looked at which picture."""

from itertools import islice
from typing import Annotated, Any

import typer

from visant_cli import chosen, when
from visant_cli.cloud import path
from visant_cli.output import Column
from visant_cli.session import Session, connected, usable


@connected
def audit(
    session: Session,
    who: Annotated[str | None, typer.Option("--who", metavar="NAME", help="Of this person or token.")] = None,
    action: Annotated[str | None, typer.Option("--action", metavar="ACTION", help="As it stands in the list.")] = None,
    thing: Annotated[str | None, typer.Option("--object", metavar="OBJECT", help="As it stands in the list.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="After this: 2d (ago), 2026-11-30.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before this.")] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="At most so many, the newest.  [default: 100]")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that fit; with --json a line each, as they come.")] = False,
) -> None:
    """List who changed what, and who looked at which picture, newest first. For admins."""
    times: dict[str, Any] = {
        name: when.rfc3339(usable(lambda said: when.moment(said, session.now), text, f"--{name}"))
        for name, text in (("since", since), ("until", until))
        if text
    }
    rows = session.cloud.pages(path("audit"), "records", who=who, action=action, object=thing, limit=500, **times)
    if every and session.out.as_json:
        for row in rows:
            session.out.record(row, "")
        return
    session.out.table(
        rows if every else islice(rows, limit or 100),
        [
            Column("AT", lambda row: chosen.at(session, row["at"])),
            Column("WHO", lambda row: row["who"]),
            Column("ACTION", lambda row: row["action"]),
            Column("OBJECT", lambda row: row["object"]),
            Column("ANSWER", lambda row: row["status"], spare=True),
            Column("FROM", lambda row: row["address"], spare=True),
        ],
        empty="nothing on record fits",
    )
