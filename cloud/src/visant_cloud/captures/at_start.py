"""Where this cloud's pictures lie, by its settings, and what is looked at before it serves."""

import os
import sys
from collections.abc import Callable

import structlog

from visant_cloud.captures.local_folder import LocalFolder, lost_with_the_container
from visant_cloud.captures.storage import PictureStorage, StorageAway, StorageRefused
from visant_cloud.settings import CloudSettings
from visant_runtime import logs, settings

log = structlog.get_logger()


def storage_of(chosen: CloudSettings, cloud_id: str) -> PictureStorage:
    """Where pictures lie."""
    if chosen.storage_url is None:
        return LocalFolder(chosen.data_dir / "pictures")
    from visant_cloud.captures.s3 import S3Bucket  # its client is 15 MB, which a folder need not load

    assert chosen.aws_access_key_id is not None
    assert chosen.aws_secret_access_key is not None
    secret = chosen.aws_secret_access_key.get_secret_value()
    return S3Bucket(chosen.storage_url, chosen.aws_access_key_id, secret, cloud_id)


async def prepare_storage(chosen: CloudSettings, pictures: PictureStorage) -> None:
    """Raises SettingsError where a setting is wrong. A storage that is away is waited for, picture by picture: devices
    get their triggers meanwhile, and keep what they take.
    """
    try:
        await pictures.prepare()
    except OSError as error:
        raise settings.SettingsError(
            f"DATA_DIR={chosen.data_dir} cannot be used ({error.strerror}): name a folder this user may write"
        ) from None
    except StorageRefused as error:
        raise settings.SettingsError(f"STORAGE_URL={chosen.storage_url} cannot be used: {error}") from None
    except StorageAway as error:
        log.warning(f"STORAGE_URL={chosen.storage_url}: {error}; devices keep their pictures until it does")


def apart(work: Callable[[], None]) -> None:
    """Does it in a child, whose failure is ours: a client's threads that begin here would be missing in the workers."""
    logs.flush()
    child = os.fork()
    if child:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            raise SystemExit(status)
        return
    status = 1
    try:
        work()
        status = 0
    except settings.SettingsError as error:
        print(f"[ERROR] {error}", file=sys.stderr)
        status = settings.EX_CONFIG
    finally:
        logs.flush()
        os._exit(status)


def loss_ahead(chosen: CloudSettings) -> str | None:
    """One line of warning where what is kept goes with the container."""
    if not chosen.uses_data_dir:
        return None
    return lost_with_the_container(chosen.data_dir, "pictures are" if chosen.storage_url is None else "the database is")
