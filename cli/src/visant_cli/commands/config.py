"""`visant config`: the settings that the cloud wants of a device, and whether they are in force there."""

import json
from typing import Annotated, Any

import typer

from visant_cli import watch, when
from visant_cli.chosen import Device
from visant_cli.cloud import path
from visant_cli.failure import ExitStatus, Failure, interrupted
from visant_cli.output import Column, Row
from visant_cli.safe_text import json_text
from visant_cli.session import Session, connected
from visant_cli.watch import Watched

app = typer.Typer(help="Settings of devices: show, set, compare.", no_args_is_help=True)
ABSENT = "-"


@app.command()
@connected
def show(session: Session, device_id: Device) -> None:
    """Show the settings that the cloud wants of a device."""
    wanted = _wanted(session, device_id)[0]
    session.out.facts(wanted, [(name, said(value)) for name, value in sorted(wanted.items())])


@app.command("set")
@connected
def put(
    session: Session,
    device_id: Device,
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=VALUE...", help="A value is JSON where it can be, else text; NAME= alone takes it away."
        ),
    ],
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Until the device says whether it took them.")] = False,
) -> None:
    """Change settings of a device; those that are not named stay."""
    wanted = _wanted(session, device_id)[0]
    for change in changes:
        name, value = parsed(change)
        if value is None:
            wanted.pop(name, None)
        else:
            wanted[name] = value
    send(session, device_id, wanted, wait=wait)


def send(session: Session, device_id: str, wanted: Row, *, wait: bool) -> None:
    """All settings of a device anew. Raises Failure where it is waited for and the device does not take them."""
    answer, _ = session.cloud.ask("PUT", path("devices", device_id, "config"), wanted)
    trigger_id = answer["trigger_id"]
    if trigger_id is None or not wait:
        later = "it is not connected and gets them when it is back" if trigger_id is None else "they are on their way"
        session.out.done(answer, f"{device_id}: {later}")
        return
    one = Watched(device_id, trigger_id)
    try:
        watch.until_ended(session.cloud, [one], seconds=None, told=lambda told: None)
    except KeyboardInterrupt:
        raise interrupted(f"the settings are on their way: visant triggers show {device_id} {trigger_id}") from None
    if one.row["status"] != "executed":
        raise Failure(f"{device_id}: {one.row['status']}: {watch.why(one.row)}", ExitStatus.ENDED_BADLY)
    session.out.done({**answer, "status": "executed"}, f"{device_id}: taken over {when.local(one.row['ended_at'])}")


@app.command()
@connected
def diff(
    session: Session,
    device_id: Device,
    other: Annotated[
        str | None, typer.Argument(metavar="OTHER", help="Another device, whose settings are compared.")
    ] = None,
) -> None:
    """Compare what is wanted of a device with what it says of it, or with what is wanted of another device.

    Exit status 7 where something differs, 0 where nothing does.
    """
    wanted, told = _wanted(session, device_id)
    if other is None:
        rows = in_force(wanted, told)
    else:
        theirs = _wanted(session, other)[0]
        rows = [
            {"name": name, "wanted": wanted.get(name), "there": theirs.get(name)}
            for name in sorted(wanted.keys() | theirs.keys())
            if wanted.get(name) != theirs.get(name)
        ]
    session.out.table(
        rows,
        [
            Column("SETTING", lambda row: row["name"]),
            Column(device_id, lambda row: said(row["wanted"])),
            Column(other or "IN FORCE", lambda row: row["there"] if other is None else said(row["there"])),
        ],
        empty=f"{device_id}: nothing differs",
    )
    if rows:
        raise Failure(f"settings that differ: {len(rows)}", ExitStatus.ENDED_BADLY)


def in_force(wanted: Row, told: dict[str, str]) -> list[Row]:
    """What is wanted and not `applied` on the device, with what it says of it. `update` is the updater's."""
    return [
        {"name": name, "wanted": value, "there": told.get(name, "the device has not said")}
        for name, value in sorted(wanted.items())
        if name != "update" and told.get(name) != "applied"
    ]


def parsed(change: str) -> tuple[str, Any]:
    """`NAME=VALUE` as both; None for a value that is taken away. Raises Failure."""
    name, equals, text = change.partition("=")
    if not equals or not name.strip():
        raise Failure(f"{change!r}: write NAME=VALUE, e.g. brightness=10", ExitStatus.USAGE)
    if not text:
        return name.strip(), None
    try:
        return name.strip(), json.loads(text, parse_constant=_no_number)
    except ValueError:
        return name.strip(), text


def _no_number(word: str) -> float:
    raise ValueError(word)


def said(value: Any) -> str:
    """A setting's value in one line."""
    return ABSENT if value is None else value if isinstance(value, str) else json_text(value)


def _wanted(session: Session, device_id: str) -> tuple[Row, dict[str, str]]:
    row = session.cloud.get(path("devices", device_id))
    camera = (row["telemetry"] or {}).get("camera") or {}
    return dict(row["config"] or {}), camera.get("settings") or {}
