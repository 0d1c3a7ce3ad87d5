"""`visant update`: which release each device runs, and what its updater is asked for.

The device's own gate (signature, quarantine, order) stays the judge of what it takes.
"""

import re
from typing import Annotated

import typer

from visant_cli import when
from visant_cli.chosen import Device, Filter, Groups, Tags, filter_of, found
from visant_cli.cloud import path
from visant_cli.commands import config
from visant_cli.failure import ExitStatus, Failure
from visant_cli.output import Column, Row
from visant_cli.session import Session, connected

app = typer.Typer(help="Updates: who runs what; pin, hold, resume, now.", no_args_is_help=True)
_VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?")
Wait = Annotated[bool, typer.Option("--wait", "-w", help="Until the device says that its updater was asked.")]


@app.command()
@connected
def ls(session: Session, where: Filter = None, groups: Groups = None, tags: Tags = None) -> None:
    """List devices with the release they run, how their last update ended, and what is asked of them."""

    def of(row: Row, *names: str) -> object:
        value: object = row["telemetry"] or {}
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    session.out.table(
        found(session, filter_of(where, groups, tags)),
        [
            Column("DEVICE", lambda row: row["device_id"]),
            Column("RUNS", lambda row: row["device_version"]),
            Column(
                "LAST UPDATE",
                lambda row: " ".join(str(of(row, "update", one) or "") for one in ("release", "result")).strip(),
            ),
            Column("ASKED", lambda row: config.said((row["config"] or {}).get("update"))),
            Column(
                "SEEN",
                lambda row: when.ago(row["last_seen_at"], session.now) if session.out.terminal else row["last_seen_at"],
                spare=True,
            ),
        ],
        empty="no device fits",
    )


@app.command()
@connected
def pin(
    session: Session,
    device_id: Device,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="As 2.0.1.")],
    wait: Wait = False,
) -> None:
    """Ask a device to stay on a release. It leads to no older one."""
    if not _VERSION.fullmatch(version):
        raise Failure(f"{version!r} is no release: write e.g. 2.0.1", ExitStatus.USAGE)
    _ask(session, device_id, {"pin": version}, wait=wait)


@app.command()
@connected
def hold(session: Session, device_id: Device, wait: Wait = False) -> None:
    """Ask a device to take no release for now."""
    _ask(session, device_id, "hold", wait=wait)


@app.command()
@connected
def resume(session: Session, device_id: Device, wait: Wait = False) -> None:
    """End a hold or a pin."""
    _ask(session, device_id, "resume", wait=wait)


@app.command()
@connected
def now(session: Session, device_id: Device, wait: Wait = False) -> None:
    """Ask a device to look for a release at once."""
    _ask(session, device_id, "now", wait=wait)


def _ask(session: Session, device_id: str, word: object, *, wait: bool) -> None:
    row = session.cloud.get(path("devices", device_id))
    config.send(session, device_id, {**(row["config"] or {}), "update": word}, wait=wait)
