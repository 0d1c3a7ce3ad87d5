"""Signing in: slow on purpose, and slower for those who guess."""

from datetime import timedelta

from visant_cloud.access import credentials
from visant_cloud.context import Cloud
from visant_cloud.problems import Refusal
from visant_cloud.store import access, people


async def sign_in(cloud: Cloud, name: str, password: str, address: str, agent: str | None = None) -> str:
    """The new session's secret. Raises Refusal: 401 wrong, 429 too often, 503 too many at once (password_checks.py)."""
    found: tuple[str, str, str] | None = None

    async def kept() -> str | None:
        nonlocal found
        async with cloud.database.reading() as connection:
            found = await people.operator(connection, name)
        return found and found[1]

    right = await cloud.password_checks.check(name, address, kept, password)
    if found is None or not right:
        raise Refusal(401, "Name or password is wrong", "wrong_password")
    secret = credentials.session_token()
    now = cloud.now()
    async with cloud.database.writing() as connection:
        await access.open_session(
            connection,
            credentials.digest(secret),
            found[0],
            credentials.session_token(),
            now,
            now + timedelta(hours=cloud.settings.session_hours),
            organisation_id=found[2],
            address=address,
            agent=agent,
        )
    cloud.later.record(
        {
            "organisation_id": found[2],
            "at": now,
            "who": name,
            "way": "session",
            "address": address,
            "action": "POST /sign-in",
            "object": "",
            "status": 303,
            "before": None,
            "after": None,
        }
    )
    return secret


async def sign_out(cloud: Cloud, secret: str) -> None:
    """Forgets the session."""
    async with cloud.database.writing() as connection:
        await access.close_session(connection, credentials.digest(secret))


def safe_target(wanted: str) -> str:
    """Where to go after the sign-in: a path of this site, nothing else."""
    fine = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if fine else "/"
