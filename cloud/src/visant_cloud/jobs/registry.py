"""Every kind of job, by the name that its row has."""

from visant_cloud.jobs import bulk, deletion
from visant_cloud.jobs.kinds import JobKind

KINDS: dict[str, JobKind] = {**bulk.KINDS, deletion.KIND: deletion.DeleteDevice()}
