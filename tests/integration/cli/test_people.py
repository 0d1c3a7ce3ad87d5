"""`visant users`, `tokens` and `audit`: who may act, and who did what."""

import pytest

from tests.integration.cli.conftest import Visant
from visant_cli.failure import ExitStatus


def test_somebody_is_invited_and_the_invite_is_taken_back(visant: Visant) -> None:
    made = visant("users", "invite", "anna", "--role", "operator", "--for", "2h")
    assert made.status == ExitStatus.DONE, made.err
    assert "/invite?code=" in made.out
    assert made.out.strip() not in made.err
    assert [row["name"] for row in visant("users", "invites", "--json").json] == ["anna"]
    assert visant("users", "uninvite", "anna").status == ExitStatus.DONE
    assert visant("users", "uninvite", "anna").status == ExitStatus.NOT_FOUND
    assert visant("users", "ls", "--json").json == []
    assert visant("users", "set", "anna", "--role", "viewer").status == ExitStatus.NOT_FOUND
    assert visant("users", "invite", "anna", "--role", "king").status == ExitStatus.USAGE


def test_a_token_has_a_role_and_an_end(visant: Visant, monkeypatch: pytest.MonkeyPatch) -> None:
    made = visant("tokens", "add", "screen", "--role", "viewer", "--for", "30d", "--json").json
    assert {row["name"]: row["role"] for row in visant("tokens", "ls", "--json").json}["screen"] == "viewer"
    monkeypatch.setenv("VISANT_TOKEN", made["token"])
    assert visant("status", "--json").json["role"] == "viewer"
    refused = visant("tokens", "ls")
    assert refused.status == ExitStatus.NOT_ALLOWED
    assert "admin" in refused.err
    monkeypatch.undo()


def test_a_token_that_was_revoked_is_worth_nothing_and_all_of_it_is_on_record(visant: Visant) -> None:
    visant("tokens", "add", "old", "--role", "operator")
    assert visant("tokens", "rm", "old").status == ExitStatus.USAGE
    assert visant("tokens", "rm", "old", "--yes").status == ExitStatus.DONE
    assert visant("tokens", "rm", "old", "--yes").status == ExitStatus.NOT_FOUND
    rows = visant("audit", "--since", "1h", "--json").json
    assert [row["action"].split()[0] for row in rows if "tokens" in row["action"]][:2] == ["DELETE", "POST"]
    assert {row["who"] for row in visant("audit", "--all", "--json").lines} == {"tests of visant"}
