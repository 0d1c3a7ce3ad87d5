"""`visant devices`: who is there, how they are, and letting them in and out."""

import uuid
from typing import Annotated, Any

import typer

from visant_cli import chosen, when
from visant_cli.chosen import Device, DryRun, Everyone, Filter, Groups, SomeDevices, Tags, Yes, filter_of
from visant_cli.cloud import path
from visant_cli.failure import ExitStatus, Failure
from visant_cli.output import Column, Row, size
from visant_cli.session import Session, connected

app = typer.Typer(help="Devices: list, show, add, name, tag, suspend.", no_args_is_help=True)


def trouble(row: Row) -> str:
    """The causes of a device's state, in words."""
    return "; ".join(str(cause["detail"] or cause["kind"]) for cause in row["health"]["causes"])


@app.command()
@connected
def ls(
    session: Session,
    where: Filter = None,
    groups: Groups = None,
    tags: Tags = None,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="STATE", help="connected, degraded, offline, never_seen or inactive."),
    ] = None,
) -> None:
    """List devices, those in trouble first."""
    fitting = filter_of(where, groups, tags)
    rows = chosen.found(session, fitting, sort="trouble")
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
        empty="no device fits" if fitting or state else "there is no device yet: visant devices add DEVICE",
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


@app.command("set")
@connected
def put(
    session: Session,
    device_id: Device,
    name: Annotated[
        str | None, typer.Option("--name", metavar="TEXT", help="As people call it; '' for its id.")
    ] = None,
    site: Annotated[
        str | None, typer.Option("--site", metavar="TEXT", help="Where it stands; alerts of one site come together.")
    ] = None,
    notes: Annotated[str | None, typer.Option("--notes", metavar="TEXT", help="For the others; '' for none.")] = None,
) -> None:
    """Say how a device is called, where it stands, and what others should know."""
    given = (("name", name), ("site", site), ("notes", notes))
    change = {key: value for key, value in given if value is not None}
    if not change:
        raise Failure("say what: --name, --site or --notes", ExitStatus.USAGE)
    where = path("devices", device_id)
    _, etag = session.cloud.ask("GET", where)
    row, _ = session.cloud.ask("PATCH", where, change, etag=etag)
    session.out.done(row, f"{device_id}: " + ", ".join(f"{key} is {value or 'empty'}" for key, value in change.items()))


Add = Annotated[list[str] | None, typer.Option("--add", "-a", metavar="NAME", help="To all of them; again for others.")]
Remove = Annotated[list[str] | None, typer.Option("--remove", "-r", metavar="NAME", help="From all of them.")]


@app.command()
@connected
def tag(
    session: Session,
    device_ids: SomeDevices = None,
    add: Add = None,
    remove: Remove = None,
    where: Filter = None,
    groups: Groups = None,
    tags: Tags = None,
    everyone: Everyone = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Give devices tags, and take tags away."""
    _label(session, "tags", add, remove, device_ids, filter_of(where, groups, tags, everyone=everyone), dry_run, yes)


@app.command()
@connected
def group(
    session: Session,
    device_ids: SomeDevices = None,
    add: Add = None,
    remove: Remove = None,
    where: Filter = None,
    groups: Groups = None,
    tags: Tags = None,
    everyone: Everyone = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Put devices into groups, and take them out."""
    _label(session, "groups", add, remove, device_ids, filter_of(where, groups, tags, everyone=everyone), dry_run, yes)


def _label(
    session: Session,
    what: str,
    add: list[str] | None,
    remove: list[str] | None,
    ids: list[str] | None,
    where: str | None,
    dry_run: bool,
    yes: bool,
) -> None:
    if not add and not remove:
        raise Failure("say what: --add NAME, --remove NAME", ExitStatus.USAGE)
    action = {"do": what, "add": add or [], "remove": remove or []}
    said = " and ".join(f"{word} {', '.join(names)}" for word, names in (("add", add), ("remove", remove)) if names)
    wanted, question = chosen.selection(ids, where), f"{what} of {{}}: {said}?"
    job = chosen.bulk(session, wanted, action, question=question, yes=yes or bool(ids), dry_run=dry_run)
    if job is not None:
        chosen.told(session, job, "devices are changed")


@app.command()
@connected
def tags(session: Session) -> None:
    """List the tags that some device has."""
    session.out.table(
        session.cloud.get(path("tags"))["tags"],
        [Column("TAG", lambda row: row["tag"]), Column("DEVICES", lambda row: row["devices"])],
        empty="no device has a tag",
    )


@app.command()
@connected
def suspend(
    session: Session,
    device_ids: SomeDevices = None,
    where: Filter = None,
    groups: Groups = None,
    tags: Tags = None,
    everyone: Everyone = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Bar devices until they are resumed: no stream, no pictures."""
    _admit(session, device_ids, filter_of(where, groups, tags, everyone=everyone), False, dry_run, yes)


@app.command()
@connected
def resume(
    session: Session,
    device_ids: SomeDevices = None,
    where: Filter = None,
    groups: Groups = None,
    tags: Tags = None,
    everyone: Everyone = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Let suspended devices in again."""
    _admit(session, device_ids, filter_of(where, groups, tags, everyone=everyone), True, dry_run, yes)


def _admit(session: Session, ids: list[str] | None, where: str | None, active: bool, dry_run: bool, yes: bool) -> None:
    wanted = chosen.selection(ids, where)
    if ids and not dry_run:
        for device_id in wanted["devices"]:
            row, _ = session.cloud.ask("PATCH", path("devices", device_id), {"active": active}, repeatable=True)
            session.out.record(row, f"{device_id} is {'let in again' if active else 'suspended'}")
        return
    word = "resume" if active else "suspend"
    job = chosen.bulk(session, wanted, {"do": word}, question=word.capitalize() + " {}?", yes=yes, dry_run=dry_run)
    if job is not None:
        chosen.told(session, job, "devices are let in again" if active else "devices are suspended")


@app.command()
@connected
def rm(
    session: Session,
    device_id: Device,
    pictures: Annotated[
        bool | None,
        typer.Option("--pictures/--keep-pictures", help="Whether its pictures and its ledger go as well, for good."),
    ] = None,
    yes: Yes = False,
) -> None:
    """Delete a device: its token is worth nothing at once, a job removes the rest."""
    if pictures is None:
        raise Failure("say --pictures (they go as well, for good) or --keep-pictures", ExitStatus.USAGE)
    what = "and all its pictures, for good" if pictures else "; its pictures stay"
    session.sure(f"Delete {device_id} {what}?".replace(" ;", ";"), yes=yes)
    query = {"pictures": str(pictures).lower()}
    job, _ = session.cloud.ask("DELETE", path("devices", device_id), query=query, key=f"visant-cli-{uuid.uuid4()}")
    chosen.told(session, chosen.ended(session, job), f"pieces of {device_id} are gone")


@app.command()
@connected
def replace(session: Session, device_id: Device) -> None:
    """Print a one-time code with which another computer becomes this device; name, settings, pictures stay."""
    made, _ = session.cloud.ask("POST", path("devices", device_id, "replacement"))
    until = when.local(made["expires_at"])
    session.out.secret(made, f"With this code another computer becomes {device_id}, once, until {until}:", made["code"])
