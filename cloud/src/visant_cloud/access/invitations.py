"""An invite becomes a person: once, with a password that nobody else has seen."""

from visant_cloud.access import credentials
from visant_cloud.context import Cloud
from visant_cloud.problems import Refusal
from visant_cloud.store import audit, people


async def look(cloud: Cloud, code: str) -> str:
    """The name that the invite is for. Raises Refusal, 404, where there is none such any more."""
    async with cloud.database.reading() as connection:
        found = await people.found_invite(connection, credentials.digest(code), cloud.now())
    if found is None:
        raise _gone()
    return found.name


async def accept(cloud: Cloud, code: str, password: str, address: str) -> None:
    """Spends it. Raises Refusal: 404 as `look`; 409 where somebody took the name meanwhile, and it is not spent."""
    await look(cloud, code)  # a stranger has no password hashed
    hashed, code_hash, now = await cloud.password_checks.hash(password), credentials.digest(code), cloud.now()
    async with cloud.database.writing() as connection:
        found = await people.found_invite(connection, code_hash, now)
        if found is None or not await people.spend_invite(connection, code_hash):
            raise _gone()
        made = await people.create(
            connection, found.organisation_id, found.name, hashed, now, role=found.role, group_ids=found.group_ids
        )
        if not made:
            raise Refusal(409, f"Somebody signs in as {found.name!r} by now: ask for another invitation", "exists")
        row = {
            "organisation_id": found.organisation_id,
            "at": now,
            "who": found.name,
            "way": "invite",
            "address": address,
            "action": "POST /invite",
            "object": f"invite {found.invite_id}",
            "status": 303,
            "before": None,
            "after": {"role": found.role, "invited_by": found.created_by},
        }
        await audit.add(connection, row)


def _gone() -> Refusal:
    detail = "This invitation is unknown, was used already, or has expired: ask for another one"
    return Refusal(404, detail, "unknown_invite")
