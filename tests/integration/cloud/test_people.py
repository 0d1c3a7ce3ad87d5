"""People: invited by a link, signed in and out, given roles and taken out; the last admin stays."""

import asyncio
import re
from typing import Any

import httpx
import pytest

from tests.integration.cloud.test_organisations import program
from visant_cloud.access import cli, credentials
from visant_cloud.store import people

PASSWORD = "correct horse battery"
SQLITE = pytest.mark.parametrize("engine", ["sqlite"])


class Person:
    """A browser in which somebody is signed in."""

    def __init__(self, cloud: Any, name: str) -> None:
        self.cloud = cloud
        self.name = name
        self.client = httpx.AsyncClient(base_url=cloud.url, timeout=20)

    async def sign_in(self, password: str = PASSWORD) -> int:
        answer = await self.client.post("/sign-in", data={"name": self.name, "password": password})
        if answer.status_code == 303:
            page = (await self.client.get("/docs")).text
            found = re.search(r'name="csrf" content="([^"]+)"', page)
            assert found
            self.client.headers["X-CSRF-Token"] = found.group(1)
        return answer.status_code

    async def call(self, method: str, path: str, **body: Any) -> httpx.Response:
        return await self.client.request(method, path, json=body or None)

    async def get(self, path: str) -> Any:
        answer = await self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def someone(start: Any) -> Any:
    """`await someone("Ada", "admin")`: a person of the default organisation, signed in."""
    cloud = await start(auth="required")
    known: list[Person] = []

    async def person(name: str, role: str = "admin") -> Person:
        async with cloud.cloud.database.writing() as connection:
            hashed = credentials.hash_password(PASSWORD)
            await people.set_operator(connection, "default", name, hashed, cloud.time(), role=role)
        known.append(Person(cloud, name))
        assert await known[-1].sign_in() == 303
        return known[-1]

    def also(one: Person, name: str | None = None) -> Person:
        known.append(Person(one.cloud, name or one.name))
        return known[-1]

    person.also = also  # type: ignore[attr-defined] # another browser
    yield person
    for one in known:
        await one.client.aclose()


async def ids(admin: Person) -> dict[str, str]:
    """name -> person_id."""
    return {one["name"]: one["person_id"] for one in (await admin.get("/v1/people"))["people"]}


async def test_who_is_invited_chooses_a_password_once(someone: Any) -> None:
    ada = await someone("Ada")
    answer = await ada.call("POST", "/v1/invites", name="Bob", role="viewer")
    assert answer.status_code == 201, answer.text
    link, invite_id = answer.json()["link"], answer.json()["invite_id"]
    assert link.startswith(f"{ada.cloud.url}/invite?code=vi_")
    [waiting] = (await ada.get("/v1/invites"))["invites"]
    assert waiting["invite_id"] == invite_id and "link" not in waiting

    bob = someone.also(ada, "Bob")
    page = await bob.client.get(link)
    assert page.status_code == 200 and "Welcome, Bob" in page.text and page.headers["referrer-policy"] == "same-origin"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    code = link.partition("code=")[2]
    for password, again, wrong in (("short", "short", "at least 10"), (PASSWORD, "else", "two passwords differ")):
        answer = await bob.client.post("/invite", data={"code": code, "password": password, "again": again})
        assert answer.status_code == 422 and wrong in answer.text and "Welcome, Bob" in answer.text
    form = {"code": code, "password": PASSWORD, "again": PASSWORD}
    evil = {"Origin": "https://evil.example"}
    assert (await bob.client.post("/invite", data=form, headers=evil)).status_code == 403
    answers = await asyncio.gather(*(bob.client.post("/invite", data=form) for _ in range(3)))
    assert sorted(one.status_code for one in answers) == [303, 404, 404], "one link, one person"
    assert (await bob.client.get(link)).status_code == 404
    assert await bob.sign_in() == 303
    assert (await bob.get("/v1/me"))["role"] == "viewer"
    assert (await bob.call("GET", "/v1/people")).status_code == 403
    assert (await ada.get("/v1/invites"))["invites"] == []
    log = (await ada.get("/v1/audit"))["records"]
    assert [one["action"] for one in log if one["who"] == "Bob"][-1] == "POST /invite"


async def test_an_invite_expires_is_taken_back_and_is_for_a_name_that_is_free(someone: Any) -> None:
    ada = await someone("Ada")
    assert (await ada.call("POST", "/v1/invites", name="Ada", role="viewer")).status_code == 409
    late = (await ada.call("POST", "/v1/invites", name="Late", role="viewer", hours=1)).json()["link"]
    back = (await ada.call("POST", "/v1/invites", name="Back", role="viewer")).json()
    taken = (await ada.call("POST", "/v1/invites", name="Cleo", role="viewer")).json()
    assert (await ada.call("DELETE", f"/v1/invites/{back['invite_id']}")).status_code == 204
    assert (await ada.call("DELETE", f"/v1/invites/{back['invite_id']}")).status_code == 404
    await someone("Cleo", "viewer")
    ada.cloud.time.pass_(3601)
    for link, status in ((late, 404), (back["link"], 404), (taken["link"], 409)):
        form = {"code": link.partition("code=")[2], "password": PASSWORD, "again": PASSWORD}
        answer = await ada.cloud.client.post("/invite", data=form)
        assert answer.status_code == status, link
    assert [one["name"] for one in (await ada.get("/v1/invites"))["invites"]] == ["Cleo"], "refused, not spent"


async def test_the_last_admin_is_neither_removed_nor_made_something_else(someone: Any) -> None:
    ada, bob = await someone("Ada"), await someone("Bob")
    known = await ids(ada)
    answers = await asyncio.gather(  # each thinks that the other one stays
        ada.call("PATCH", f"/v1/people/{known['Bob']}", role="viewer"),
        bob.call("PATCH", f"/v1/people/{known['Ada']}", role="viewer"),
    )
    # who is demoted first is refused by its role, or finds itself facing the last
    assert sorted(one.status_code for one in answers)[0] == 200
    assert sorted(one.status_code for one in answers)[1] in (403, 409)
    admin = ada if answers[0].status_code == 200 else bob
    mine = known[admin.name]
    for answer in (
        await admin.call("PATCH", f"/v1/people/{mine}", role="operator"),
        await admin.call("DELETE", f"/v1/people/{mine}"),
    ):
        assert (answer.status_code, answer.json()["reason"]) == (409, "last_admin"), answer.text
    assert (await admin.call("PATCH", f"/v1/people/{mine}", role="admin")).status_code == 200


async def test_a_changed_role_counts_at_once_and_who_is_taken_out_is_out(someone: Any) -> None:
    ada, bob = await someone("Ada"), await someone("Bob", "operator")
    known = await ids(ada)
    assert (await bob.call("POST", "/v1/devices", device_id="D1")).status_code == 201
    assert (await ada.call("PATCH", f"/v1/people/{known['Bob']}", role="viewer")).status_code == 200
    answer = await bob.call("POST", "/v1/devices/D1/trigger")
    assert (answer.status_code, answer.json()["reason"]) == (403, "role")
    assert (
        "Bob is viewer here, and this is for operator or admin"
        in (await bob.call("PATCH", "/v1/devices/D1", active=False)).json()["detail"]
    )
    assert (await ada.call("DELETE", f"/v1/people/{known['Bob']}")).status_code == 204
    assert (await bob.call("GET", "/v1/me")).status_code == 401
    assert await bob.sign_in() == 401
    assert (await ada.call("GET", f"/v1/people/{known['Bob']}")).status_code == 404


async def test_people_see_and_end_their_own_sessions_and_admins_those_of_others(someone: Any) -> None:
    ada, bob = await someone("Ada"), await someone("Bob", "viewer")
    other = someone.also(bob)
    other.client.headers["User-Agent"] = "the other one"
    assert await other.sign_in() == 303
    mine = (await bob.get("/v1/sessions"))["sessions"]
    assert [(one["this"], one["name"]) for one in mine] == [(False, "Bob"), (True, "Bob")]
    assert mine[0]["agent"] == "the other one" and mine[0]["address"] == "127.0.0.1" and mine[0]["seen_at"]
    assert (await bob.call("GET", "/v1/sessions?of=everyone")).status_code == 403
    everyone = (await ada.get("/v1/sessions?of=everyone"))["sessions"]
    assert sorted(one["name"] for one in everyone) == ["Ada", "Bob", "Bob"]
    ours = next(one["session_id"] for one in everyone if one["name"] == "Ada")
    assert (await bob.call("DELETE", f"/v1/sessions/{ours}")).status_code == 404
    assert (await bob.call("DELETE", f"/v1/sessions/{mine[0]['session_id']}")).status_code == 204
    assert (await other.call("GET", "/v1/me")).status_code == 401 and (await bob.get("/v1/me"))["name"] == "Bob"
    assert (await ada.call("DELETE", f"/v1/sessions/{mine[1]['session_id']}")).status_code == 204
    assert (await bob.call("GET", "/v1/me")).status_code == 401


async def test_a_new_own_password_ends_all_other_sessions(someone: Any) -> None:
    ada = await someone("Ada")
    other = someone.also(ada)
    assert await other.sign_in() == 303
    answer = await ada.call("PUT", "/v1/me/password", current="wrong", new="another long one")
    assert (answer.status_code, answer.json()["reason"]) == (403, "wrong_password")
    assert (await ada.call("PUT", "/v1/me/password", current=PASSWORD, new="short")).status_code == 422
    answer = await ada.call("PUT", "/v1/me/password", current=PASSWORD, new="another long one")
    assert answer.status_code == 204
    assert (await ada.get("/v1/me"))["name"] == "Ada"
    assert (await other.call("GET", "/v1/me")).status_code == 401
    assert await other.sign_in() == 401 and await other.sign_in("another long one") == 303
    api = await program(ada.cloud, "acme")
    body = {"current": PASSWORD, "new": PASSWORD}
    assert (await ada.cloud.client.put("/v1/me/password", json=body, headers=api)).status_code == 409


def test_the_commands_list_and_remove_people_and_tokens(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setattr(credentials, "hash_password", lambda password: "hash")

    def run(*words: str) -> tuple[int, str, str]:
        status = cli.main(words[0], words[1:])
        said = capsys.readouterr()
        return status, said.out, said.err

    class Typed:
        def isatty(self) -> bool:
            return False

        def readline(self) -> str:
            return PASSWORD + "\n"

    monkeypatch.setattr("sys.stdin", Typed())
    assert run("create-operator", "ada")[0] == 0
    assert run("create-operator", "bob", "--role", "viewer")[0] == 0
    assert run("list-operators")[1] == "ada\tadmin\town\nbob\tviewer\town\n"
    for wrong, line in (
        (("remove-operator", "ada"), "operator ada is the last admin of default"),
        (("set-role", "ada", "--role", "viewer"), "operator ada is the last admin of default"),
        (("remove-operator", "eve"), "there is no operator 'eve'"),
        (("create-token", "ci", "--days", "0"), "--days: more than 0"),
        (("remove-member", "bob"), "it loses by `visant-cloud remove-operator`"),
    ):
        status, out, err = run(*wrong)
        assert status == 1 and out == "" and line in err and err.count("\n") == 1, (wrong, err)
    assert run("set-role", "bob", "--role", "admin")[0] == 0
    assert run("remove-operator", "ada")[0] == 0
    assert run("list-operators")[1] == "bob\tadmin\town\n"
    assert run("create-token", "ci", "--role", "viewer", "--days", "30")[1].startswith("va_")
    said = run("list-tokens")[1]
    assert said.startswith("ci\tviewer\tlast used never\texpires 20") and said.count("\n") == 1
    assert run("revoke-token", "ci")[0] == 0 and run("list-tokens")[1] == ""
