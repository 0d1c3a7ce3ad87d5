"""Which devices a command means: ids, or a filter, a group or a tag; and doing the same to all of them as a job."""

import time
import uuid
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from visant_cli import when
from visant_cli.cloud import path
from visant_cli.completion import device_ids
from visant_cli.failure import CloudRefused, ExitStatus, Failure, interrupted
from visant_cli.output import Row
from visant_cli.session import Session

Device = Annotated[str, typer.Argument(metavar="DEVICE", help="A device's id.", autocompletion=device_ids)]
Devices = Annotated[list[str], typer.Argument(metavar="DEVICE...", help="Ids of devices.", autocompletion=device_ids)]
SomeDevices = Annotated[
    list[str] | None, typer.Argument(metavar="[DEVICE...]", help="Ids of devices.", autocompletion=device_ids)
]
Filter = Annotated[
    str | None,
    typer.Option("--filter", "-f", metavar="FILTER", help="As `state:offline group:north -tag:door name~lobby`."),
]
Groups = Annotated[
    list[str] | None, typer.Option("--group", "-g", metavar="GROUP", help="Devices of this group; again for others.")
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", "-t", metavar="TAG", help="Devices with this tag; again for others.")
]
Everyone = Annotated[bool, typer.Option("--all", help="All devices.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say which devices are meant, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Rate = Annotated[
    float | None, typer.Option("--rate", metavar="N", min=0.01, max=1000, help="So many devices a second at most.")
]
_A_PAGE = 500
_NAMED = 10
"""Ids that are named one by one in a line."""
_AGAIN = 0.5


def quoted(value: str) -> str:
    """A value of a filter, whatever it holds."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def filter_of(
    chosen: str | None, groups: list[str] | None, tags: list[str] | None, *, everyone: bool = False
) -> str | None:
    """One filter for all that was said; several groups mean devices of any of them. None where nothing was said."""
    terms = [chosen.strip()] if chosen and chosen.strip() else []
    for field, values in (("group", groups), ("tag", tags)):
        if values:
            terms.append(f"{field}:{','.join(quoted(value) for value in values)}")
    return " ".join(terms) if terms else "" if everyone else None


def found(session: Session, chosen: str | None, *, sort: str = "id") -> Iterator[Row]:
    """The devices that a filter chooses, or all, page by page. Raises Failure where the cloud knows no filters."""
    query = {"filter": chosen or None, "limit": _A_PAGE, "sort": sort}
    given: set[str] = set()
    cursor = None
    while True:
        page = session.cloud.get(path("devices"), cursor=cursor, **query)
        if chosen and "total" not in page:
            raise Failure("this cloud knows no filters: update it, or name the devices", ExitStatus.USAGE)
        for row in page["devices"]:
            if row["device_id"] not in given:  # one whose state changes may move to the next page
                given.add(row["device_id"])
                yield row
        cursor = page.get("next_cursor")
        if cursor is None:
            return


def selection(ids: list[str] | None, chosen: str | None) -> dict[str, Any]:
    """As the API takes it. Raises Failure where nothing was said, or both."""
    if ids and chosen is not None:
        raise Failure("name devices, or choose them by --filter, --group, --tag or --all: not both", ExitStatus.USAGE)
    if not ids and chosen is None:
        raise Failure("which devices? name them, or say --filter, --group, --tag or --all", ExitStatus.USAGE)
    return {"devices": list(dict.fromkeys(ids))} if ids else {"filter": chosen}


def preview(session: Session, wanted: dict[str, Any]) -> Row:
    """What a selection means now. Raises Failure for ids that nobody has, and for none at all."""
    seen, _ = session.cloud.ask("POST", path("bulk", "preview"), {"selection": wanted}, repeatable=True)
    if seen["unknown_count"]:
        raise Failure(f"there is no device {', '.join(seen['unknown'][:_NAMED])}", ExitStatus.NOT_FOUND)
    if not seen["total"]:
        raise Failure(f"no device fits {wanted.get('filter')}: visant devices ls --filter ...", ExitStatus.NOT_FOUND)
    return dict(seen)


def in_words(seen: Row) -> str:
    """`212 devices (200 connected, 12 offline)`."""
    states = ", ".join(f"{count} {state}" for state, count in sorted(seen["states"].items()))
    if seen["total"] <= _NAMED:
        return f"{', '.join(seen['devices'])} ({states})"
    return f"{seen['total']} devices ({states})"


def bulk(
    session: Session,
    wanted: dict[str, Any],
    action: dict[str, Any],
    *,
    question: str | None,
    yes: bool = False,
    dry_run: bool = False,
    rate: float | None = None,
    key: str | None = None,
) -> Row | None:
    """The job that does `action` to all that are meant, once it has ended; None for a dry run.

    `question` is asked first, with the devices in place of `{}`. Raises Failure where something failed.
    """
    seen = preview(session, wanted)
    if dry_run:
        session.out.done(seen, in_words(seen))
        return None
    if question is not None and seen["total"] > 1:
        session.sure(question.format(in_words(seen)), yes=yes)
    body = {"selection": wanted, "action": action, "rate": rate}
    job, _ = session.cloud.ask("POST", path("bulk"), body, key=key or f"visant-cli-{uuid.uuid4()}")
    return ended(session, job)


def ended(session: Session, job: Row) -> Row:
    """A job once it has ended, with progress meanwhile. Ctrl-C leaves it to go on."""
    where = path("jobs", job["job_id"])
    try:
        with session.out.progress(f"job {job['job_id']}: {job['kind']}", job["total"]) as bar:
            while job["ended_at"] is None:
                bar.to(job["done"], f"{job['failed']} failed" if job["failed"] else "", total=job["total"])
                time.sleep(_AGAIN)
                job = session.cloud.get(where)
    except KeyboardInterrupt:
        raise interrupted(f"job {job['job_id']} goes on; visant jobs cancel {job['job_id']} ends it") from None
    return job


def items(session: Session, job_id: int, *, failed: bool = False) -> Iterator[Row]:
    """What became of each device of a job."""
    return session.cloud.pages(path("jobs", job_id, "items"), "items", failed=failed or None, limit=1000)


def told(session: Session, job: Row, done: str) -> None:
    """Says how a job ended. Raises Failure where it did not do all."""
    well = job["status"] == "done" and not job["failed"]
    count = job["done"] - job["failed"]
    session.out.done(
        job, f"{count} of {job['total']} {done}" + ("" if well else f"; job {job['job_id']} is {job['status']}")
    )
    if well:
        return
    first = next(items(session, job["job_id"], failed=True), None)
    why = job["detail"] or (first and f"{first['device_id']}: {first['detail']}") or job["status"]
    raise Failure(f"{job['failed']} failed ({why}): visant jobs show {job['job_id']}", ExitStatus.ENDED_BADLY)


def there(session: Session, where: str, **query: Any) -> Any:
    """The answer to a read, None where this cloud knows no such route."""
    try:
        return session.cloud.get(where, **query)
    except CloudRefused as error:
        if error.http_status == 404 and error.reason is None:
            return None
        raise


def at(session: Session, text: str | None) -> str | None:
    """A time for a table: of this machine for people, the API's own in a pipe."""
    return when.local(text) if session.out.terminal and text is not None else text
