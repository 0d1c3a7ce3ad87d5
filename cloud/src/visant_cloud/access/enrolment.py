"""The rules by which an enrolment code becomes a device's token."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from visant_cloud.access import credentials
from visant_cloud.problems import Refusal
from visant_cloud.store import access, devices, enrol_batches, labels
from visant_cloud.store.keys import device_key


async def enrol(
    connection: AsyncConnection, code: str, device_id: str | None, replace: bool, now: datetime
) -> tuple[str, str]:
    """(the device's key, its new token). Raises Refusal; the code is then not spent.

    An id whose token was presented before is taken over only on purpose: by a code made with --replace, or by one
    made for this very id together with `replace` of the device.
    """
    code_hash = credentials.digest(credentials.tidy_code(code))
    found = await access.enrol_code(connection, code_hash)
    if found is None or found.expires_at <= now:
        raise Refusal(
            403, "The enrolment code is unknown or has expired: make one with visant-cloud enrol-code", "bad_code"
        )
    if found.revoked_at is not None:
        raise Refusal(403, "The enrolment code was revoked: ask who gave it to you for another", "revoked_code")
    if found.used_at is not None:
        raise Refusal(
            403, "The enrolment code was used already: make another with visant-cloud enrol-code", "used_code"
        )
    wanted = found.device_id or device_id
    if wanted is None:
        raise Refusal(422, "device_id: this code names no device, so the request must", "invalid")
    if device_id is not None and device_id != wanted:
        raise Refusal(403, f"This code is for another device than {device_id}", "other_device")
    key = device_key(found.organisation_id, wanted)
    existing = await devices.find(connection, key)
    if existing is not None and existing.token_seen_at is not None:
        meant = found.replace or (replace and found.device_id == wanted)
        if not meant:
            raise Refusal(
                409,
                f"Device {wanted} is enrolled already: to replace a dead one, "
                f"make a code with visant-cloud enrol-code --device-id {wanted} --replace",
                "exists",
            )
    if not await access.spend_enrol_code(connection, code_hash, wanted, now):
        raise Refusal(403, "The enrolment code was used already", "used_code")
    token = credentials.device_token()
    if existing is not None:
        await devices.renew_token(connection, key, credentials.digest(token))
    elif not await devices.create(connection, key, now, token_hash=credentials.digest(token)):
        raise Refusal(409, f"Device {wanted} is being deleted: wait until its job has ended", "deleting")
    if found.batch_id is not None:
        await _as_the_batch_says(connection, key, found.batch_id, found.name)
    return key, token


async def _as_the_batch_says(connection: AsyncConnection, key: str, batch_id: int, name: str | None) -> None:
    row = await devices.held(connection, key)
    if row is not None and name is not None:
        await devices.name(connection, row, name=name)
    group_id = await enrol_batches.group_id(connection, batch_id)
    if group_id is not None:
        await labels.join(connection, [group_id], [key])
