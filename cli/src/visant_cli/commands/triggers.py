"""`visant triggers`: the ledger, where every trigger has exactly one outcome."""

import sys
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from visant_cli import chosen, files, watch, when
from visant_cli.chosen import Device
from visant_cli.cloud import path
from visant_cli.completion import device_ids
from visant_cli.failure import interrupted
from visant_cli.output import Column, Row
from visant_cli.session import Session, connected, usable

app = typer.Typer(help="The ledger: what was asked for, and what became of it.", no_args_is_help=True)
OfDevices = Annotated[
    list[str] | None,
    typer.Option("--device", "-d", metavar="DEVICE", autocompletion=device_ids, help="Of this one; again for others."),
]
OfGroup = Annotated[str | None, typer.Option("--group", "-g", metavar="GROUP", help="Of devices of this group.")]
OfTag = Annotated[str | None, typer.Option("--tag", "-t", metavar="TAG", help="Of devices with this tag.")]
OfSite = Annotated[str | None, typer.Option("--site", metavar="SITE", help="Of devices of this site.")]
Status = Annotated[
    str | None, typer.Option("--status", metavar="STATUS", help="pending, sent, executed, failed or expired.")
]
Reason = Annotated[str | None, typer.Option("--reason", metavar="REASON", help="As camera_absent.")]
Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="After this: 2d (ago), 14:30, 2026-11-30.")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before this, written as --since.")]


def times(session: Session, since: str | None, until: str | None) -> dict[str, str]:
    """`from` and `to` of a question to the ledger."""
    return {
        name: when.rfc3339(usable(lambda said: when.moment(said, session.now), text, option))
        for name, text, option in (("from", since, "--since"), ("to", until, "--until"))
        if text
    }


@app.command()
@connected
def ls(
    session: Session,
    devices: OfDevices = None,
    group: OfGroup = None,
    tag: OfTag = None,
    site: OfSite = None,
    status: Status = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
) -> None:
    """List triggers, newest first."""
    query: dict[str, Any] = {"group": group, "tag": tag, "site": site, "reason": reason, **times(session, since, until)}
    if devices and len(devices) == 1 and not any(query.values()):
        where, of = path("devices", devices[0], "triggers"), {}  # which every cloud of ours knows
    else:
        where, of = path("triggers"), {"device_id": devices, **query}
    rows = session.cloud.pages(where, "triggers", status=status, **{"limit": min(limit, 1000), **of})
    session.out.table(
        islice(rows, limit),
        [
            Column("AT", lambda row: chosen.at(session, row["created_at"])),
            Column("DEVICE", lambda row: row["device_id"]),
            Column("STATUS", lambda row: row["status"], state=True),
            Column("REASON", lambda row: row["reason"]),
            Column("TRIGGER", lambda row: row["trigger_id"]),
            Column("TYPE", lambda row: row["type"], spare=True),
            Column("TOOK", _took, spare=True),
            Column("RECORD", lambda row: row["record_id"], spare=True),
        ],
        empty="no trigger fits",
    )


def _took(row: Row) -> str | None:
    return None if row["latency_ms"] is None else f"{row['latency_ms'] / 1000:.2f} s"


@app.command()
@connected
def export(
    session: Session,
    into: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Into this file; else standard output.")
    ] = None,
    form: Annotated[str, typer.Option("--format", metavar="FORM", help="csv, or ndjson.")] = "csv",
    devices: OfDevices = None,
    group: OfGroup = None,
    tag: OfTag = None,
    site: OfSite = None,
    status: Status = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Write the ledger as CSV for a spreadsheet, or a line of JSON for each trigger; whatever its length."""
    query = {"device_id": devices, "group": group, "tag": tag, "site": site, "status": status, "reason": reason}
    query |= {**times(session, since, until), "format": "ndjson" if session.out.as_json else form}
    try:
        with session.cloud.stream(path("triggers", "export"), query=query) as response:
            if into is None:
                for piece in response.iter_text():
                    sys.stdout.write(piece)
                return
            files.whole(into, response.iter_bytes())
    except KeyboardInterrupt:
        raise interrupted("the export is not whole, and was not kept") from None
    session.out.note(f"the ledger is in {into}")


@app.command()
@connected
def show(session: Session, device_id: Device, trigger_id: Annotated[str, typer.Argument(metavar="TRIGGER")]) -> None:
    """Show one trigger: its outcome, its steps, and what to do."""
    row = session.cloud.get(path("triggers", device_id, trigger_id))
    lines: list[tuple[str, object]] = [("trigger", row["trigger_id"]), ("status", row["status"])]
    if row["reason"]:
        lines += [("reason", row["reason"]), ("detail", row["detail"] or "-"), ("what to do", row["remedy"] or "-")]
    lines += [(step.word, when.local(step.at, milliseconds=True)) for step in watch.steps(row)]
    lines += [("until", when.local(row["expires_at"])), ("picture", row["record_id"] or "-")]
    session.out.facts(row, lines)
