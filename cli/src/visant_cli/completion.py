"""Ids of devices for the shell's completion, which the cloud gives at once or not at all."""

from visant_cli.failure import Failure

_PATIENCE = "1.5s"
_MOST = 200


def device_ids(incomplete: str) -> list[str]:
    """Ids that begin so, of the profile that would be meant without options; nothing where anything is wrong."""
    from visant_cli.cloud import path
    from visant_cli.session import Session

    try:
        cloud = Session(patience=_PATIENCE).cloud
        wanted = (
            f'id~"{incomplete}"' if incomplete.replace("-", "").replace("_", "").replace(".", "").isalnum() else None
        )
        page = cloud.get(path("devices"), filter=wanted, limit=_MOST, sort="id")
        return [row["device_id"] for row in page["devices"] if row["device_id"].startswith(incomplete)][:_MOST]
    except (Failure, KeyError, TypeError):
        return []
