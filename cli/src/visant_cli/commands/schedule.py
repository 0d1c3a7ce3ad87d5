"""`visant schedule`: when a device takes pictures by itself."""

from typing import Annotated

import typer

from visant_cli import chosen, when
from visant_cli.chosen import Device, DryRun, Everyone, Filter, Groups, SomeDevices, Tags, Yes, filter_of
from visant_cli.cloud import path
from visant_cli.failure import ExitStatus, Failure
from visant_cli.output import Column
from visant_cli.session import Session, connected, usable

app = typer.Typer(help="Schedules: who takes pictures when.", no_args_is_help=True)


@app.command()
@connected
def own(session: Session, where: Filter = None, groups: Groups = None, tags: Tags = None) -> None:
    """List the devices that have an interval of their own, and when each is due next."""
    rows = (row for row in chosen.found(session, filter_of(where, groups, tags)) if row["interval_seconds"])
    session.out.table(
        rows,
        [
            Column("DEVICE", lambda row: row["device_id"]),
            Column(
                "EVERY",
                lambda row: when.length(row["interval_seconds"]) if session.out.terminal else row["interval_seconds"],
            ),
            Column(
                "NEXT",
                lambda row: when.local(row["next_scheduled_at"]) if session.out.terminal else row["next_scheduled_at"],
            ),
            Column("STATE", lambda row: row["state"], state=True, spare=True),
        ],
        empty="no device has an interval: visant schedule set 15m DEVICE",
    )


@app.command("set")
@connected
def put(
    session: Session,
    every: Annotated[str, typer.Argument(metavar="EVERY", help="As 90s, 15m, 2h; or off.")],
    device_ids: SomeDevices = None,
    where: Filter = None,
    groups: Groups = None,
    tags: Tags = None,
    everyone: Everyone = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Give devices an interval of their own: a picture every so often; `off` ends it."""
    interval = None if every.lower() == "off" else usable(when.seconds, every, "EVERY")
    wanted = chosen.selection(device_ids, filter_of(where, groups, tags, everyone=everyone))
    if device_ids and not dry_run:
        for device_id in wanted["devices"]:
            row, _ = session.cloud.ask("PUT", path("devices", device_id, "schedule"), {"interval_seconds": interval})
            session.out.record(row, f"{device_id}: {_in_words(interval, row['next_scheduled_at'])}")
        return
    action = {"do": "schedule", "interval_seconds": interval}
    question = "{}: " + (
        "no pictures by themselves?" if interval is None else f"a picture every {when.length(interval)}?"
    )
    job = chosen.bulk(session, wanted, action, question=question, yes=yes, dry_run=dry_run)
    if job is not None:
        chosen.told(session, job, "have it so now")


def _in_words(interval: float | None, first: str | None) -> str:
    if interval is None:
        return "takes no pictures by itself"
    return f"every {when.length(interval)}, first {when.local(first)}"


@app.command("next")
@connected
def following(session: Session, device_id: Device) -> None:
    """Say when a device takes its next picture by itself."""
    row = session.cloud.get(path("devices", device_id))
    if row["next_scheduled_at"] is None:
        raise Failure(
            f"{device_id} takes no pictures by itself: visant schedule set 15m {device_id}", ExitStatus.NOT_FOUND
        )
    answer = {name: row[name] for name in ("device_id", "interval_seconds", "next_scheduled_at")}
    at = row["next_scheduled_at"]
    session.out.done(
        answer, f"{when.local(at)} ({when.ago(at, session.now)}), every {when.length(row['interval_seconds'])}"
    )
