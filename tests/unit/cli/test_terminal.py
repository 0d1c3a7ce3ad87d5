"""What a terminal shows: narrow ones, none at all, NO_COLOR; and which token goes to which address."""

import io
import json
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from visant_cli import profiles, token_store
from visant_cli.failure import Failure
from visant_cli.output import Column, Output
from visant_cli.profiles import Profile, Profiles
from visant_cli.session import Session

COLUMNS = [
    Column("DEVICE", lambda row: row["id"]),
    Column("STATE", lambda row: row["state"], state=True),
    Column("NAME", lambda row: row["name"], spare=True),
    Column("SITE", lambda row: row["site"], spare=True),
]
ROWS: list[dict[str, Any]] = [
    {"id": "CAM1", "state": "connected", "name": "カメラ at the gate \x1b[2J", "site": "north"},
    {"id": "CAM2", "state": "offline", "name": "[red]not markup[/red]", "site": None},
]


class Terminal(io.StringIO):
    """A fake of a terminal."""

    def isatty(self) -> bool:
        return True


def printed(monkeypatch: pytest.MonkeyPatch, columns: int, **environment: str) -> str:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": str(columns), **environment}.items():
        monkeypatch.setenv(name, value)
    Output().table(ROWS, COLUMNS, empty="none")
    return terminal.getvalue()


def test_a_wide_terminal_shows_all_columns_in_colour_and_obeys_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed(monkeypatch, 120)
    assert "SITE" in text and "[red]not markup[/red]" in text
    assert "\x1b[2J" not in text and r"\x1b[2J" in text
    assert "\x1b[32mconnected" in text


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_is_heeded(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    assert "\x1b[32m" not in printed(monkeypatch, 120, **environment)


def test_a_narrow_terminal_loses_columns_and_no_line_is_wider(monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed(monkeypatch, 24, NO_COLOR="1")
    assert "SITE" not in text and "NAME" not in text
    assert "CAM1" in text and "connected" in text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert max(len(line.rstrip()) for line in plain.splitlines()) <= 24


def test_a_pipe_gets_tabs_no_header_and_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table(ROWS, COLUMNS, empty="none")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t") for line in lines] == [
        ["CAM1", "connected", r"カメラ at the gate \x1b[2J", "north"],
        ["CAM2", "offline", "[red]not markup[/red]", "-"],
    ]


def test_progress_is_shown_to_nobody_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    with output.progress("pictures", 3) as bar:
        bar.to(1)
        bar.note("one is lost")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "one is lost\n")


def test_results_stay_on_standard_output_while_a_bar_is_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, pipe = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", pipe)
    monkeypatch.setenv("TERM", "xterm")
    output = Output(as_json=True)
    with output.progress("pictures", 2) as bar:
        bar.to(1)
        output.record({"n": 1}, "")
        output.note("on the way")
    assert pipe.getvalue() == '{"n": 1}\n'
    assert "on the way" in terminal.getvalue() and "1/2" in terminal.getvalue()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where profiles lie in this test; no setting of the environment."""
    for name in list(os.environ):
        if name.startswith("VISANT_"):
            monkeypatch.delenv(name)
    file = tmp_path / "config/profiles.json"
    monkeypatch.setenv("VISANT_CONFIG", str(file))
    return file


def test_profiles_are_written_whole_and_read_back(file: Path) -> None:
    assert profiles.load(file) == Profiles()
    kept = Profiles(
        "site", {"site": Profile("https://a.example", "t1"), "ring": Profile("https://b.example", keyring=True)}
    )
    profiles.save(file, kept)
    assert profiles.load(file) == kept
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in file.parent.iterdir()] == ["profiles.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"profiles": {"a": {}}}',
        '{"profiles": {"../x": {"url": "https://a"}}}',
        '{"profiles": {"a": {"url": "ftp://x"}}}',
        '{"profiles": {"a": {"url": "https://a", "token": 5}}}',
    ],
)
def test_a_file_that_is_none_of_ours_is_named_with_its_remedy(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(Failure, match="mend it, or remove it and log in anew"):
        profiles.load(file)


def test_a_token_goes_to_the_cloud_it_is_for_and_to_no_other(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles.save(
        file, Profiles("a", {"a": Profile("https://a.example", "of-a"), "b": Profile("https://b.example", "of-b")})
    )
    assert Session().token[0] == "of-a"
    assert Session(profile="b").token[0] == "of-b"
    assert Session(url="https://b.example/").token[0] == "of-b"
    assert Session(url="https://evil.example").token[0] is None
    assert Session(profile="a", url="https://evil.example").token[0] is None
    monkeypatch.setenv("VISANT_URL", "https://b.example")
    assert Session().token[0] == "of-b"
    assert Session(profile="a").token[0] == "of-a"
    monkeypatch.setenv("VISANT_TOKEN", "of-env")
    assert Session(url="https://c.example").token == ("of-env", "VISANT_TOKEN")
    assert "of-a" not in repr(profiles.load(file))


def test_a_tokens_file_is_for_its_owner(file: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(" va_1 \n")
    token.chmod(0o640)
    assert token_store.from_file(token) == "va_1"
    token.chmod(0o644)
    with pytest.raises(Failure, match="chmod 600"):
        token_store.from_file(token)
    token.chmod(0o600)
    for text in ("", "two words\n", "ключ", "x" * 5000):
        token.write_text(text)
        with pytest.raises(Failure) as refused:
            token_store.from_file(token)
        assert not text or text not in refused.value.line


def test_a_keyring_keeps_a_token_by_profile(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring
    from keyring.backend import KeyringBackend
    from keyring.errors import KeyringLocked, PasswordDeleteError

    class Locked(KeyringBackend):
        """A real keyring's interface over a dictionary, None while it is locked."""

        priority = 1
        kept: "dict[tuple[str, str], str] | None" = {}  # noqa: RUF012

        def _open(self) -> dict[tuple[str, str], str]:
            if self.kept is None:
                raise KeyringLocked("unlock me")
            return self.kept

        def get_password(self, service: str, username: str) -> str | None:
            return self._open().get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            self._open()[service, username] = password

        def delete_password(self, service: str, username: str) -> None:
            if self._open().pop((service, username), None) is None:
                raise PasswordDeleteError("none")

    backend = Locked()  # type: ignore[no-untyped-call]
    before = keyring.get_keyring()
    keyring.set_keyring(backend)
    try:
        profiles.save(file, Profiles("a", {"a": Profile("https://a.example", keyring=True)}))
        with pytest.raises(Failure, match="no token for profile a: visant login"):
            _ = Session().token
        token_store.keep_in_keyring("a", "of-ring")
        assert Session().token == ("of-ring", "the keyring")
        assert "of-ring" not in file.read_text()
        backend.kept = None
        with pytest.raises(Failure, match="unlock me"):
            _ = Session().token
        token_store.forget_in_keyring("a")
    finally:
        keyring.set_keyring(before)


def test_json_on_a_terminal_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    Output(as_json=True).table(ROWS, COLUMNS, empty="none")
    assert json.loads(terminal.getvalue()) == ROWS
    assert "\x1b" not in terminal.getvalue()
