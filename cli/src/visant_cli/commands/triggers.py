"""`visant triggers`: the ledger, where every trigger has exactly one outcome."""

from itertools import islice
from typing import Annotated

import typer

from visant_cli import watch, when
from visant_cli.chosen import Device
from visant_cli.cloud import path
from visant_cli.output import Column
from visant_cli.session import Session, connected

app = typer.Typer(help="The ledger: what was asked for, and what became of it.", no_args_is_help=True)


@app.command()
@connected
def ls(
    session: Session,
    device_id: Device,
    status: Annotated[
        str | None, typer.Option("--status", metavar="STATUS", help="pending, sent, executed, failed or expired.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
) -> None:
    """List the triggers of a device, newest first."""
    rows = session.cloud.pages(
        path("devices", device_id, "triggers"), "triggers", status=status, limit=min(limit, 1000)
    )
    session.out.table(
        islice(rows, limit),
        [
            Column("AT", lambda row: when.local(row["created_at"]) if session.out.terminal else row["created_at"]),
            Column("STATUS", lambda row: row["status"], state=True),
            Column("REASON", lambda row: row["reason"]),
            Column("TRIGGER", lambda row: row["trigger_id"]),
            Column("TYPE", lambda row: row["type"], spare=True),
            Column(
                "TOOK",
                lambda row: None if row["latency_ms"] is None else f"{row['latency_ms'] / 1000:.2f} s",
                spare=True,
            ),
            Column("RECORD", lambda row: row["record_id"], spare=True),
        ],
        empty=f"{device_id} has no such trigger",
    )


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
