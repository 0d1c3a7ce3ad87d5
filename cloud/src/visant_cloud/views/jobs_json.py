"""Jobs as the API shows them."""

from visant_cloud.store.jobs import Item, Job
from visant_cloud.store.keys import device_id_of
from visant_cloud.times import time, time_or_none
from visant_cloud.views.fleet_answers import JobItem, JobRow


def job(row: Job) -> JobRow:
    """One job. Keys of devices stay inside."""
    return {
        "job_id": row.job_id,
        "kind": row.kind,
        "status": row.status,
        "given": {name: value for name, value in row.given.items() if name != "device_key"},
        "total": row.total,
        "done": row.position,
        "failed": row.failed,
        "rate": row.rate,
        "detail": row.detail,
        "result": row.result,
        "created_by": row.created_by,
        "created_at": time(row.created_at),
        "started_at": time_or_none(row.started_at),
        "ended_at": time_or_none(row.ended_at),
    }


def item(row: Item) -> JobItem:
    """One device of it."""
    return {
        "number": row.number,
        "device_id": device_id_of(row.subject),
        "outcome": row.outcome,
        "detail": row.detail,
    }
