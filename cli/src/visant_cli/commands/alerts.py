"""`visant alerts`: what is wrong, who has seen it, and when nobody is to be told."""

from datetime import timedelta
from itertools import islice
from typing import Annotated

import typer

from visant_cli import when
from visant_cli.cloud import path
from visant_cli.commands import channels
from visant_cli.completion import device_ids
from visant_cli.failure import ExitStatus, Failure
from visant_cli.output import Column
from visant_cli.session import Session, connected, usable

app = typer.Typer(help="Alerts: list, acknowledge, silence, test.", no_args_is_help=True)
Alert = Annotated[int, typer.Argument(metavar="ALERT", min=1, help="Its number.")]
OfDevice = Annotated[
    str | None, typer.Option("--device", "-d", metavar="DEVICE", autocompletion=device_ids, help="Of this device.")
]
OfSite = Annotated[str | None, typer.Option("--site", metavar="SITE", help="Of this site.")]
OfKind = Annotated[str | None, typer.Option("--kind", metavar="KIND", help="Of this kind: see `visant alerts kinds`.")]
Note = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="For the others.")]


@app.command()
@connected
def ls(
    session: Session,
    device: OfDevice = None,
    site: OfSite = None,
    kind: OfKind = None,
    state: Annotated[str, typer.Option("--state", metavar="STATE", help="open, cleared or all.")] = "open",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 200,
) -> None:
    """List alerts, newest first: what, since when, and what to do."""
    rows = session.cloud.pages(
        path("alerts"), "alerts", state=state, device_id=device, site=site, kind=kind, limit=min(limit, 1000)
    )
    session.out.table(
        islice(rows, limit),
        [
            Column("ALERT", lambda row: row["alert_id"]),
            Column("OF", lambda row: row["subject"]),
            Column("WHAT", lambda row: row["title"]),
            Column(
                "SINCE",
                lambda row: (
                    when.ago(row["since"] or row["opened_at"], session.now) if session.out.terminal else row["since"]
                ),
            ),
            Column("STATE", lambda row: "cleared" if row["cleared_at"] else "open", state=True),
            Column("SEEN BY", lambda row: row["acknowledged_by"]),
            Column("DETAIL", lambda row: row["detail"], spare=True),
            Column("WHAT TO DO", lambda row: row["remedy"], spare=True),
        ],
        empty="no alert is open" if state == "open" else "no alert fits",
    )


@app.command()
@connected
def show(session: Session, alert_id: Alert) -> None:
    """Show one alert."""
    row = session.cloud.get(path("alerts", alert_id))
    lines: list[tuple[str, object]] = [("alert", row["alert_id"]), ("of", row["subject"]), ("what", row["title"])]
    lines += [("detail", row["detail"] or "-"), ("what to do", row["remedy"])]
    lines += [
        (word, when.local(row[key]))
        for word, key in (("since", "since"), ("opened", "opened_at"), ("cleared", "cleared_at"))
    ]
    if row["acknowledged_by"]:
        lines.append(("seen by", f"{row['acknowledged_by']}, {when.local(row['acknowledged_at'])}"))
    lines += [("note", row["note"])] if row["note"] else []
    session.out.facts(row, lines)


@app.command()
@connected
def ack(
    session: Session,
    alert_ids: Annotated[list[int], typer.Argument(metavar="ALERT...", min=1, help="Their numbers.")],
    note: Note = None,
) -> None:
    """Say that you have seen alerts and care. They stay open until their cause is gone."""
    for alert_id in dict.fromkeys(alert_ids):
        row, _ = session.cloud.ask("POST", path("alerts", alert_id, "acknowledge"), {"note": note} if note else None)
        session.out.record(row, f"{alert_id}: {row['subject']}: {row['title']}: seen by {row['acknowledged_by']}")


@app.command()
@connected
def kinds(session: Session) -> None:
    """List the kinds of alerts, and how long each must last before it opens."""
    session.out.table(
        session.cloud.get(path("alerts", "kinds"))["kinds"],
        [
            Column("KIND", lambda row: row["kind"]),
            Column("OPENS AFTER", lambda row: when.length(row["hold"]) if session.out.terminal else row["hold"]),
            Column("WHAT", lambda row: row["title"]),
            Column("WHAT TO DO", lambda row: row["remedy"], spare=True),
        ],
        empty="there are none",
    )


@app.command()
@connected
def silence(
    session: Session,
    last: Annotated[str, typer.Argument(metavar="TIME", help="For how long: 2h, 3d.")],
    device: OfDevice = None,
    site: OfSite = None,
    kind: OfKind = None,
    every: Annotated[bool, typer.Option("--all", help="All alerts, where nothing else is named.")] = False,
    note: Note = None,
) -> None:
    """Tell nobody of what matches, for a while; alerts open and clear all the same."""
    if not (device or site or kind or every):
        raise Failure("say whose: --device, --site, --kind, or --all", ExitStatus.USAGE)
    until = session.now + timedelta(seconds=usable(when.seconds, last, "TIME"))
    body = {"device_id": device, "site": site, "kind": kind, "until": when.rfc3339(until), "note": note}
    row, _ = session.cloud.ask(
        "POST", path("silences"), {name: value for name, value in body.items() if value is not None}
    )
    session.out.done(row, f"silence {row['silence_id']} lasts until {when.local(row['until'])}")


@app.command()
@connected
def silences(session: Session) -> None:
    """List the silences that last."""
    session.out.table(
        session.cloud.get(path("silences"))["silences"],
        [
            Column("SILENCE", lambda row: row["silence_id"]),
            Column("OF", lambda row: row["device_id"] or row["site"] or "all"),
            Column("KIND", lambda row: row["kind"]),
            Column("UNTIL", lambda row: when.local(row["until"]) if session.out.terminal else row["until"]),
            Column("BY", lambda row: row["created_by"]),
            Column("NOTE", lambda row: row["note"], spare=True),
        ],
        empty="no silence lasts",
    )


@app.command()
@connected
def unsilence(session: Session, silence_id: Annotated[int, typer.Argument(metavar="SILENCE", min=1)]) -> None:
    """End a silence."""
    session.cloud.ask("DELETE", path("silences", silence_id))
    session.out.done({"silence_id": silence_id}, f"silence {silence_id} is over")


@app.command()
@connected
def test(session: Session) -> None:
    """Send a test message to every channel that is on, and say whether it arrived."""
    rows = [row for row in session.cloud.get(path("channels"))["channels"] if row["active"]]
    if not rows:
        raise Failure("no channel is on: nobody would be told (visant channels add)", ExitStatus.NOT_FOUND)
    channels.send_tests(session, rows)
