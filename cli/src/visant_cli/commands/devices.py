"""`visant devices`: who is there, how they are, and letting them in and out."""

from typing import Annotated, Any

import typer

from visant_cli import when
from visant_cli.cloud import path
from visant_cli.completion import device_ids
from visant_cli.failure import ExitStatus, Failure
from visant_cli.output import Column, Row, size
from visant_cli.session import Session, connected

app = typer.Typer(help="Devices: list, show, add, name, tag, suspend.", no_args_is_help=True)
Device = Annotated[str, typer.Argument(metavar="DEVICE", help="A device's id.", autocompletion=device_ids)]
Devices = Annotated[list[str], typer.Argument(metavar="DEVICE...", help="Ids of devices.", autocompletion=device_ids)]
Filter = Annotated[
    str | None,
    typer.Option("--filter", "-f", metavar="FILTER", help="As `state:offline group:north -tag:door name~lobby`."),
]
A_PAGE = 500


def found(session: Session, chosen: str | None) -> Any:
    """The devices that a filter chooses, or all, page by page. Raises Failure where the cloud knows no filters."""
    query = {"filter": chosen or None, "limit": A_PAGE, "sort": "trouble" if chosen is None else None}
    where, cursor = path("devices"), None
    while True:
        page = session.cloud.get(where, cursor=cursor, **query)
        if chosen and "total" not in page:
            raise Failure("this cloud knows no filters: update it, or name the devices", ExitStatus.USAGE)
        yield from page["devices"]
        cursor = page.get("next_cursor")
        if cursor is None:
            return


def trouble(row: Row) -> str:
    """The causes of a device's state, in words."""
    return "; ".join(str(cause["detail"] or cause["kind"]) for cause in row["health"]["causes"])


@app.command()
@connected
def ls(
    session: Session,
    chosen: Filter = None,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="STATE", help="connected, degraded, offline, never_seen or inactive."),
    ] = None,
) -> None:
    """List devices, those in trouble first."""
    rows = found(session, f"state:{state} {chosen}" if state and chosen else chosen)
    if state:
        rows = (row for row in rows if row["state"] == state)
    session.out.table(
        rows,
        [
            Column("DEVICE", lambda row: row["device_id"]),
            Column("STATE", lambda row: row["state"], state=True),
            Column(
                "SEEN",
                lambda row: when.ago(row["last_seen_at"], session.now) if session.out.terminal else row["last_seen_at"],
            ),
            Column("WHY", trouble),
            Column("NAME", lambda row: row.get("name"), spare=True),
            Column("GROUPS", lambda row: ",".join(row.get("groups") or []), spare=True),
            Column("SITE", lambda row: row["site"], spare=True),
            Column("VERSION", lambda row: row["device_version"], spare=True),
        ],
        empty="no device fits" if chosen or state else "there is no device yet: visant devices add DEVICE",
    )


@app.command()
@connected
def show(session: Session, device_id: Device) -> None:
    """Show one device: how it is, since when, and what to do."""
    row = session.cloud.get(path("devices", device_id))
    lines: list[tuple[str, object]] = [("device", row["device_id"])]
    lines += [(key, row[key]) for key in ("name", "site", "notes") if row.get(key)]
    lines += [(key, ", ".join(row[key])) for key in ("groups", "tags") if row.get(key)]
    lines += [("state", row["state"]), ("last seen", _at(row["last_seen_at"], session))]
    for cause in row["health"]["causes"]:
        since = f", since {_at(cause['since'], session)}" if cause["since"] else ""
        lines += [("trouble", f"{cause['detail'] or cause['kind']}{since}"), ("what to do", cause["remedy"])]
    if row["interval_seconds"]:
        lines.append(
            ("schedule", f"every {when.length(row['interval_seconds'])}, next {when.local(row['next_scheduled_at'])}")
        )
    lines += [("version", row["device_version"] or "-"), ("lets in by", row["access"])]
    session.out.facts(row, [*lines, *_health(row["telemetry"] or {}), ("told", _at(row["telemetry_at"], session))])


def _health(told: dict[str, Any]) -> list[tuple[str, object]]:
    lines: list[tuple[str, object]] = []
    camera, spool = told.get("camera") or {}, told.get("spool") or {}
    if camera:
        lines.append(("camera", " ".join(str(one) for one in (camera.get("state"), camera.get("detail")) if one)))
    if spool:
        waiting = f"{spool.get('pictures') or 0} pictures, {spool.get('reports') or 0} reports"
        days = spool.get("days_left")
        lines.append(("undelivered", waiting + (f", room for {days:.0f} days" if days is not None else "")))
    if told.get("disk_free_bytes") is not None:
        lines.append(("disk", f"{size(told['disk_free_bytes'])} free"))
    if told.get("temperature") is not None:
        lines.append(("temperature", f"{told['temperature']:.0f} °C"))
    return lines


def _at(text: str | None, session: Session) -> str:
    return "never" if text is None else f"{when.local(text)} ({when.ago(text, session.now)})"


@app.command()
@connected
def add(
    session: Session,
    device_id: Annotated[str, typer.Argument(metavar="DEVICE", help="Its id: letters, digits, . _ -")],
    old_client: Annotated[bool, typer.Option("--old-client", help="It gets in by its id alone at first.")] = False,
) -> None:
    """Create a device, and print its token, once."""
    made, _ = session.cloud.ask("POST", path("devices"), {"device_id": device_id, "old_client": old_client})
    session.out.secret(
        made, f"{device_id} is created. Its token (DEVICE_TOKEN there) is shown this once:", made["token"]
    )


@app.command()
@connected
def token(
    session: Session, device_id: Device, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """Give a device a new token in place of the old one, and print it, once."""
    session.sure(f"The token that {device_id} has now will be worth nothing. Go on?", yes=yes)
    made, _ = session.cloud.ask("POST", path("devices", device_id, "token"))
    session.out.secret(made, f"The new token of {device_id} (DEVICE_TOKEN there) is shown this once:", made["token"])


@app.command()
@connected
def suspend(session: Session, device_ids: Devices) -> None:
    """Bar devices until they are resumed: no stream, no pictures."""
    _each(session, device_ids, {"active": False}, "is suspended")


@app.command()
@connected
def resume(session: Session, device_ids: Devices) -> None:
    """Let suspended devices in again."""
    _each(session, device_ids, {"active": True}, "is let in again")


@app.command()
@connected
def site(
    session: Session,
    where: Annotated[str, typer.Argument(metavar="SITE", help="Alerts of one site are told together; '' for none.")],
    device_ids: Devices,
) -> None:
    """Say where devices stand."""
    _each(session, device_ids, {"site": where}, f"stands at {where}" if where else "stands nowhere in particular")


def _each(session: Session, device_ids: list[str], change: dict[str, Any], done: str) -> None:
    for device_id in dict.fromkeys(device_ids):
        row, _ = session.cloud.ask("PATCH", path("devices", device_id), change)
        session.out.record(row, f"{device_id} {done}")
