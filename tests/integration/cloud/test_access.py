"""AUTH=required: who gets in, and who does not."""

import asyncio
import json
import re
import time as wall
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from visant_cloud.access import credentials, revocation
from visant_cloud.store import access, devices, people

PASSWORD = "correct horse battery"


async def closed(start: Any, **chosen: Any) -> tuple[Any, dict[str, str]]:
    """A cloud with AUTH=required, and the headers of an API token."""
    cloud = await start(auth="required", **chosen)
    token = credentials.api_token()
    async with cloud.cloud.database.writing() as connection:
        await access.add_api_token(connection, "default", "test", credentials.digest(token), cloud.time())
    return cloud, {"Authorization": f"Bearer {token}"}


async def device(cloud: Any, api: dict[str, str], device_id: str, **more: Any) -> str:
    answer = await cloud.client.post("/v1/devices", json={"device_id": device_id, **more}, headers=api)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def status_of_stream(cloud: Any, device_id: str, token: str | None) -> int:
    try:
        async with cloud.stream(device_id, token) as stream:
            assert (await stream.next())["event"] == "connected"
            return 200
    except httpx.HTTPStatusError as error:
        refused = error.response
    assert refused.headers["content-type"] == "application/problem+json"
    return refused.status_code


async def test_every_operator_endpoint_is_closed_to_strangers_and_to_devices(start: Any) -> None:
    cloud, api = await closed(start)
    token = await device(cloud, api, "D1")
    described = (await cloud.client.get("/openapi.json", headers=api)).json()["paths"]
    tried = 0
    for path, methods in described.items():
        for method, operation in methods.items():
            if "operator" not in operation["tags"] and path != "/metrics":
                continue
            url = path.replace("{device_id}", "D1").replace("{record_id}", "r").replace("{trigger_id}", "t")
            url = url.replace("{schedule_id}", "1")
            for headers in ({}, bearer(token), bearer("nonsense"), {"Authorization": "Basic eDp5"}):
                answer = await cloud.client.request(method, url, headers=headers, json={})
                assert answer.status_code == 401, (method, path)
                assert answer.headers["www-authenticate"] == "Bearer"
            tried += 1
    assert tried >= 14
    for page in ("/", "/devices/D1", "/docs"):
        answer = await cloud.client.get(page)
        assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in?next=")
    for path in ("/parts/fleet", "/openapi.json"):
        for headers in ({}, bearer(token)):
            assert (await cloud.client.get(path, headers=headers)).status_code == 401, path


async def test_a_device_gets_in_with_its_own_token_only(start: Any) -> None:
    cloud, api = await closed(start)
    one, two = await device(cloud, api, "D1"), await device(cloud, api, "D2")
    assert await status_of_stream(cloud, "D1", one) == 200
    assert await status_of_stream(cloud, "D1", two) == 403
    assert await status_of_stream(cloud, "D1", "vd_wrong") == 401
    assert await status_of_stream(cloud, "D1", None) == 401
    assert await status_of_stream(cloud, "NEW", None) == 401, "nobody registers itself here"
    assert (await cloud.capture("D1", "t", headers=bearer(two))).status_code == 403
    assert (await cloud.capture("D1", "t")).status_code == 401
    assert (await cloud.capture("D1", "t", headers=bearer(one))).status_code == 201
    telemetry = {"device_version": "2"}
    for headers, status in ((bearer(two), 403), ({}, 401), (bearer(one), 204)):
        answer = await cloud.client.post("/v1/devices/D1/telemetry", json=telemetry, headers=headers)
        assert answer.status_code == status
    outcome = {"status": "failed", "reason": "camera_absent"}
    for headers, status in ((bearer(two), 403), ({}, 401), (bearer(one), 200)):
        answer = await cloud.client.post("/v1/devices/D1/triggers/x/outcome", json=outcome, headers=headers)
        assert answer.status_code == status


async def test_an_old_client_gets_in_by_id_until_it_first_presents_a_token(start: Any) -> None:
    cloud, api = await closed(start)
    token = await device(cloud, api, "OLD", old_client=True)
    assert await status_of_stream(cloud, "OLD", None) == 200
    assert (await cloud.capture("OLD", "t1")).status_code == 201
    page = await cloud.client.get("/v1/devices/OLD", headers=api)
    assert page.json()["access"] == "id_alone"
    assert await status_of_stream(cloud, "OLD", token) == 200
    assert await status_of_stream(cloud, "OLD", None) == 401
    assert (await cloud.capture("OLD", "t2")).status_code == 401
    assert (await cloud.client.get("/v1/devices/OLD", headers=api)).json()["access"] == "token"


async def test_revoking_an_old_client_keeps_it_out_with_and_without_its_token(start: Any) -> None:
    cloud, api = await closed(start)
    token = await device(cloud, api, "OLD", old_client=True)
    async with cloud.stream("OLD") as stream:
        await stream.next()
        answer = await cloud.client.patch("/v1/devices/OLD", json={"token_revoked": True}, headers=api)
        assert answer.json()["access"] == "revoked"
        assert await stream.ended()
    for presented in (None, token):
        assert await status_of_stream(cloud, "OLD", presented) == 401
    await cloud.client.patch("/v1/devices/OLD", json={"token_revoked": False}, headers=api)
    assert await status_of_stream(cloud, "OLD", None) == 200
    await cloud.client.patch("/v1/devices/OLD", json={"token_revoked": True}, headers=api)
    await cloud.client.post("/v1/devices/OLD/token", headers=api)
    assert await status_of_stream(cloud, "OLD", None) == 401, "a new token does not take the revocation back"


async def test_a_new_token_does_not_let_an_old_client_in_by_its_id_again(start: Any) -> None:
    cloud, api = await closed(start)
    for device_id in ("A", "B"):
        assert await status_of_stream(cloud, device_id, await device(cloud, api, device_id, old_client=True)) == 200
    token = (await cloud.client.post("/v1/devices/A/token", headers=api)).json()["token"]
    enrolled = await enrol(cloud, code=await code(cloud, replace=True), device_id="B")
    for device_id, new in (("A", token), ("B", enrolled.json()["token"])):
        assert await status_of_stream(cloud, device_id, None) == 401
        assert (await cloud.client.get(f"/v1/devices/{device_id}", headers=api)).json()["access"] == "token"
        assert await status_of_stream(cloud, device_id, new) == 200


async def test_a_new_token_that_nobody_has_presented_leaves_an_old_client_its_id(start: Any) -> None:
    cloud, api = await closed(start)
    await device(cloud, api, "OLD", old_client=True)
    await cloud.client.post("/v1/devices/OLD/token", headers=api)
    assert await status_of_stream(cloud, "OLD", None) == 200


async def test_a_stream_by_id_alone_ends_when_the_device_presents_its_token(start: Any) -> None:
    cloud, api = await closed(start)
    token = await device(cloud, api, "OLD", old_client=True)
    async with cloud.stream("OLD") as stranger:
        await stranger.next()
        async with cloud.stream("OLD", token) as stream:
            await stream.next()
            assert await stranger.ended()
            trigger = await cloud.client.post("/v1/devices/OLD/trigger", headers=api)
            assert (await stream.command())["trigger_id"] == trigger.json()["trigger_id"]


async def test_a_stream_by_id_alone_ends_when_the_token_was_presented_to_another_process(start: Any) -> None:
    cloud, api = await closed(start)
    await device(cloud, api, "OLD", old_client=True)
    async with cloud.stream("OLD") as stranger:
        await stranger.next()
        await revocation.check_streams(cloud.cloud)
        async with cloud.cloud.database.writing() as connection:
            await devices.change(connection, "OLD", token_seen_at=cloud.time())
        await revocation.check_streams(cloud.cloud)
        assert await stranger.ended()


async def test_the_body_of_a_capture_is_not_read_from_who_can_be_no_device(start: Any) -> None:
    cloud, api = await closed(start)
    revoked = await device(cloud, api, "D1")
    await cloud.client.patch("/v1/devices/D1", json={"token_revoked": True}, headers=api)
    for headers in ({}, bearer("vd_wrong"), bearer(revoked)):
        answer = await cloud.client.post("/v1/captures", content=b"not even JSON", headers=headers)
        assert answer.status_code == 401, answer.text
    await device(cloud, api, "OLD", old_client=True)
    assert (await cloud.client.post("/v1/captures", content=b"not even JSON")).status_code == 400


async def test_who_may_not_upload_is_told_the_first_thing_that_is_wrong(start: Any) -> None:
    cloud, api = await closed(start)
    token, old = await device(cloud, api, "D1"), await device(cloud, api, "OLD", old_client=True)
    await device(cloud, api, "D2")
    await device(cloud, api, "BARRED", old_client=True)
    await cloud.client.patch("/v1/devices/BARRED", json={"active": False}, headers=api)
    elsewhere = {"X-Visant-Cloud": "another"}
    for named, headers, status in (
        ("NOPE", elsewhere, 412),
        ("D1", bearer("vd_wrong") | elsewhere, 412),
        ("NOPE", bearer("vd_wrong"), 401),
        ("NOPE", bearer(token), 404),
        ("NOPE", {}, 404),
        ("D2", bearer(token), 403),
        ("D2", {}, 401),
        ("BARRED", bearer(token), 403),
        ("BARRED", {}, 403),
        ("OLD", {}, 201),
    ):
        answer = await cloud.capture(named, None, headers=headers)
        assert answer.status_code == status, (named, headers, answer.text)
    assert (await cloud.client.post("/v1/captures", content=b"{", headers=bearer(old))).status_code == 400
    assert (await cloud.capture("D1", None, headers=bearer(old))).status_code == 403
    assert (await cloud.capture("OLD", None)).status_code == 201, "a token counts as presented only by its own device"
    assert (await cloud.capture("OLD", None, headers=bearer(old))).status_code == 201
    assert (await cloud.capture("OLD", None)).status_code == 401


@contextmanager
def reads_of_devices(cloud: Any) -> Iterator[list[str]]:
    """The statements that ask who a device is, while the block runs."""
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *others: Any) -> None:
        if statement.startswith("SELECT") and "FROM devices" in " ".join(statement.split()):
            asked.append(statement)

    engines = [one.sync_engine for one in (cloud.cloud.database.engine, cloud.cloud.database.single)]
    for engine in engines:
        event.listen(engine, "after_cursor_execute", note)
    try:
        yield asked
    finally:
        for engine in engines:
            event.remove(engine, "after_cursor_execute", note)


async def test_an_upload_authenticates_with_one_read_of_the_database(start: Any) -> None:
    cloud, api = await closed(start)
    token = await device(cloud, api, "D1")
    for _ in range(2):  # the first presents the token, which is written down
        with reads_of_devices(cloud) as asked:
            assert (await cloud.capture("D1", None, headers=bearer(token))).status_code == 201
        assert len(asked) == 1, asked
    await device(cloud, api, "OLD", old_client=True)
    with reads_of_devices(cloud) as asked:
        assert (await cloud.capture("OLD", None)).status_code == 201
    assert len(asked) <= 2, "before the body: whether anybody may come without a token; at its first words: who this is"
    cloud = await start(auth="open")
    with reads_of_devices(cloud) as asked:
        assert (await cloud.capture("OLD", None)).status_code == 201
    assert len(asked) == 1, asked


async def test_a_first_upload_whose_token_is_replaced_meanwhile_does_not_present_the_new_one(
    start: Any, upload_body: Any
) -> None:
    cloud, api = await closed(start)
    token = await device(cloud, api, "OLD", old_client=True)
    body = json.dumps(upload_body("OLD", None)).encode()
    with reads_of_devices(cloud) as asked:

        async def slowly() -> Any:
            yield body[:100]
            while not asked:
                await asyncio.sleep(0.01)
            assert (await cloud.client.post("/v1/devices/OLD/token", headers=api)).status_code == 200
            yield body[100:]

        answer = await cloud.client.post("/v1/captures", content=slowly(), headers=bearer(token))
    assert answer.status_code == 401, answer.text
    assert (await cloud.client.get("/v1/devices/OLD", headers=api)).json()["access"] == "id_alone"


async def test_a_revoked_token_ends_the_stream_and_works_again_when_restored(start: Any) -> None:
    cloud, api = await closed(start)
    token = await device(cloud, api, "D1")
    async with cloud.stream("D1", token) as stream:
        await stream.next()
        answer = await cloud.client.patch("/v1/devices/D1", json={"token_revoked": True}, headers=api)
        assert answer.json()["access"] == "revoked"
        assert await stream.ended()
    assert await status_of_stream(cloud, "D1", token) == 401
    assert (await cloud.capture("D1", "t", headers=bearer(token))).status_code == 401
    await cloud.client.patch("/v1/devices/D1", json={"token_revoked": False}, headers=api)
    assert await status_of_stream(cloud, "D1", token) == 200


async def test_a_change_by_another_process_ends_the_stream_at_the_next_check(start: Any) -> None:
    cloud, api = await closed(start)
    token, other = await device(cloud, api, "D1"), await device(cloud, api, "D2")
    async with cloud.stream("D1", token) as stream, cloud.stream("D2", other) as untouched:
        await stream.next()
        await untouched.next()
        await revocation.check_streams(cloud.cloud)
        async with cloud.cloud.database.writing() as connection:
            await devices.change(connection, "D1", token_revoked=True)
        await revocation.check_streams(cloud.cloud)
        assert await stream.ended()
        assert (await cloud.client.get("/v1/devices/connected", headers=api)).json()["count"] == 1


async def test_a_barred_device_is_told_403_and_its_triggers_are_refused(start: Any) -> None:
    cloud, api = await closed(start)
    token = await device(cloud, api, "D1")
    await cloud.client.patch("/v1/devices/D1", json={"active": False}, headers=api)
    assert await status_of_stream(cloud, "D1", token) == 403
    assert (await cloud.client.post("/v1/devices/D1/trigger", headers=api)).status_code == 409
    assert (await cloud.client.get("/v1/devices?state=inactive", headers=api)).json()["count"] == 1


async def enrol(cloud: Any, **body: Any) -> httpx.Response:
    answer: httpx.Response = await cloud.client.post("/v1/enrol", json=body)
    return answer


async def code(cloud: Any, device_id: str | None = None, replace: bool = False, seconds: float = 60) -> str:
    from datetime import timedelta

    made = credentials.enrol_code()
    async with cloud.cloud.database.writing() as connection:
        await access.add_enrol_code(
            connection,
            "default",
            credentials.digest(credentials.tidy_code(made)),
            device_id=device_id,
            replace=replace,
            now=cloud.time(),
            expires_at=cloud.time() + timedelta(seconds=seconds),
        )
    return made


async def test_an_enrolment_code_gives_one_device_its_token_once(start: Any) -> None:
    cloud, _ = await closed(start)
    bound, free = await code(cloud, "D1"), await code(cloud)
    assert (await enrol(cloud, code=bound, device_id="D2")).status_code == 403
    answer = await enrol(cloud, code=f" {bound.lower().replace('-', ' ')} ")
    assert answer.status_code == 201 and answer.json()["device_id"] == "D1"
    assert await status_of_stream(cloud, "D1", answer.json()["token"]) == 200
    again = await enrol(cloud, code=bound)
    assert again.status_code == 403 and "used already" in again.json()["detail"]
    assert (await enrol(cloud, code=free)).status_code == 422
    assert (await enrol(cloud, code=free, device_id="no good")).status_code == 422
    answer = await enrol(cloud, code=free, device_id="D7")
    assert answer.status_code == 201 and answer.json()["device_id"] == "D7"


async def test_an_expired_or_unknown_code_is_refused(start: Any) -> None:
    cloud, _ = await closed(start)
    late = await code(cloud, "D1", seconds=5)
    cloud.time.pass_(6)
    assert (await enrol(cloud, code=late)).status_code == 403
    assert (await enrol(cloud, code="AAAAA-AAAAA", device_id="D1")).status_code == 403


async def test_replacing_a_dead_device_is_only_done_on_purpose_and_ends_the_old_token(start: Any) -> None:
    cloud, api = await closed(start)
    old = await device(cloud, api, "D1")
    assert await status_of_stream(cloud, "D1", old) == 200
    stray = await code(cloud)
    answer = await enrol(cloud, code=stray, device_id="D1", replace=True)
    assert answer.status_code == 409 and "--replace" in answer.json()["detail"]
    bound = await code(cloud, "D1")
    assert (await enrol(cloud, code=bound)).status_code == 409
    assert await status_of_stream(cloud, "D1", old) == 200
    answer = await enrol(cloud, code=bound, device_id="D1", replace=True)
    assert answer.status_code == 201, "a refused code is not spent"
    assert await status_of_stream(cloud, "D1", old) == 401
    assert await status_of_stream(cloud, "D1", answer.json()["token"]) == 200
    meant = await code(cloud, replace=True)
    assert (await enrol(cloud, code=meant, device_id="D1")).status_code == 201


async def test_a_token_that_was_never_used_is_replaced_without_ado(start: Any) -> None:
    cloud, api = await closed(start)
    await device(cloud, api, "D1")
    assert (await enrol(cloud, code=await code(cloud, "D1"))).status_code == 201


async def test_guessing_codes_is_slowed_down_and_a_good_code_at_the_same_address_is_not(start: Any) -> None:
    cloud, _ = await closed(start)
    answers = [await enrol(cloud, code=f"GUESS-{n:05}", device_id="D1") for n in range(15)]
    assert answers[-1].status_code == 429 and int(answers[-1].headers["retry-after"]) >= 1
    used = await code(cloud, "D1")
    assert (await enrol(cloud, code=used)).status_code == 201
    assert (await enrol(cloud, code=used)).status_code == 429
    assert (await enrol(cloud, code=await code(cloud, "D2", seconds=-1))).status_code == 429
    for number in range(15):
        assert (await enrol(cloud, code=await code(cloud, f"N{number}"))).status_code == 201, (
            "a site enrols its devices"
        )


class Browser:
    """Keeps cookies, as a browser does, and reads the page's CSRF token."""

    def __init__(self, cloud: Any) -> None:
        self.cloud = cloud
        self.client = httpx.AsyncClient(base_url=cloud.url, timeout=20)

    async def sign_in(self, name: str, password: str, target: str = "/") -> httpx.Response:
        form = {"name": name, "password": password, "next": target}
        return await self.client.post("/sign-in", data=form, headers={"Origin": self.cloud.url})

    async def csrf(self) -> str:
        found = re.search(r'name="csrf" content="([^"]+)"', (await self.client.get("/")).text)
        assert found
        return found.group(1)


@pytest.fixture
async def browser(start: Any) -> Any:
    cloud, api = await closed(start)
    async with cloud.cloud.database.writing() as connection:
        await people.set_operator(connection, "default", "Ada", credentials.hash_password(PASSWORD), cloud.time())
    await device(cloud, api, "D1")
    one = Browser(cloud)
    yield one
    await one.client.aclose()


async def test_an_operator_signs_in_triggers_and_signs_out(browser: Any) -> None:
    answer = await browser.sign_in("Ada", PASSWORD, "/devices/D1")
    assert answer.status_code == 303 and answer.headers["location"] == "/devices/D1"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Secure" not in cookie
    assert "D1" in (await browser.client.get("/")).text
    csrf = await browser.csrf()
    refused = await browser.client.post("/v1/devices/D1/trigger")
    assert refused.status_code == 403 and "reload" in refused.json()["detail"]
    wrong = await browser.client.post("/v1/devices/D1/trigger", headers={"X-CSRF-Token": "x"})
    assert wrong.status_code == 403
    fine = await browser.client.post("/v1/devices/D1/trigger", headers={"X-CSRF-Token": csrf})
    assert fine.status_code == 200
    assert (await browser.client.post("/sign-out")).status_code == 403
    assert (await browser.client.post("/sign-out", data={"csrf": csrf})).status_code == 303
    assert (await browser.client.get("/")).status_code == 303


async def test_a_page_of_another_site_can_do_nothing(browser: Any) -> None:
    form = {"name": "Ada", "password": PASSWORD}
    evil = {"Origin": "https://evil.example"}
    assert (await browser.client.post("/sign-in", data=form, headers=evil)).status_code == 403
    await browser.sign_in("Ada", PASSWORD)
    headers = {**evil, "X-CSRF-Token": await browser.csrf()}
    assert (await browser.client.post("/v1/devices/D1/trigger", headers=headers)).status_code == 403


async def test_in_open_mode_a_page_of_another_site_can_do_nothing_either(start: Any) -> None:
    cloud = await start()
    async with cloud.stream("D1") as stream:
        await stream.next()
    for origin in ("https://evil.example", "http://["):
        answer = await cloud.client.post("/v1/devices/D1/trigger", headers={"Origin": origin})
        assert answer.status_code == 403
    assert "OPEN" in (await cloud.client.get("/")).text


async def test_ten_wrong_passwords_from_one_address_lock_nobody_out_elsewhere(browser: Any) -> None:
    answer = await browser.sign_in("Ada", "wrong")
    assert answer.status_code == 401 and "Name or password is wrong" in answer.text
    assert (await browser.sign_in("Nobody", PASSWORD)).status_code == 401
    for _ in range(12):
        answer = await browser.sign_in("Ada", "guess")
        if answer.status_code == 429:
            break
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) >= 1
    assert (await browser.sign_in("ADA", PASSWORD)).status_code == 429, "however the name is written"
    for address, status in (("203.0.113.9", 303), ("127.0.0.1", 429)):
        form = {"name": "Ada", "password": PASSWORD}
        headers = {"Origin": browser.cloud.url, "X-Forwarded-For": address}
        assert (await browser.client.post("/sign-in", data=form, headers=headers)).status_code == status


async def test_a_sign_in_leads_only_to_pages_of_this_site(browser: Any) -> None:
    for target in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:x", "/a\nb"):
        answer = await browser.sign_in("Ada", PASSWORD, target)
        assert answer.status_code == 303 and answer.headers["location"] == "/", target
        browser.client.cookies.clear()


async def test_a_session_ends_with_its_time_and_with_a_new_password(browser: Any) -> None:
    await browser.sign_in("Ada", PASSWORD)
    cloud = browser.cloud
    cloud.time.pass_(cloud.cloud.settings.session_hours * 3600 + 1)
    assert (await browser.client.get("/")).status_code == 303
    await browser.sign_in("Ada", PASSWORD)
    assert (await browser.client.get("/")).status_code == 200
    async with cloud.cloud.database.writing() as connection:
        await people.set_operator(
            connection, "default", "Ada", credentials.hash_password("another long one"), cloud.time()
        )
    assert (await browser.client.get("/")).status_code == 303


async def test_secrets_are_kept_as_hashes_only(browser: Any) -> None:
    from sqlalchemy import select

    from visant_cloud.store.tables import metadata

    answer = await browser.sign_in("Ada", PASSWORD)
    cookie = answer.cookies["visant_session"]
    api = await browser.client.post(
        "/v1/devices", json={"device_id": "D9"}, headers={"X-CSRF-Token": await browser.csrf()}
    )
    token = api.json()["token"]
    async with browser.cloud.cloud.database.reading() as connection:
        for table in metadata.sorted_tables:
            text = repr((await connection.execute(select(table))).all())
            assert PASSWORD not in text and token not in text and cookie not in text


async def test_an_unknown_name_takes_as_long_as_a_wrong_password() -> None:
    kept = credentials.hash_password(PASSWORD)
    credentials.verify_password(None, "warm up")

    def cpu(hashed: str | None) -> float:
        before = wall.thread_time()
        assert not credentials.verify_password(hashed, "wrong")
        return wall.thread_time() - before

    known, unknown = min(cpu(kept) for _ in range(3)), min(cpu(None) for _ in range(3))
    assert unknown > known / 3
