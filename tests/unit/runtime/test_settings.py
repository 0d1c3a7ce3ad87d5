from pathlib import Path

import pytest
from pydantic import Field, TypeAdapter

from visant_runtime.settings import EX_CONFIG, BaseUrl, Settings, SettingsError, Token, load, read_secret_file, show


class Example(Settings):
    name: str = Field(min_length=2, description="set it in the file, e.g. NAME=FLOOR1")
    url: BaseUrl = "http://localhost"
    wait: float = Field(5, gt=0, description="seconds above 0")
    token: Token | None = None


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("NAME", "URL", "WAIT", "TOKEN", "LOG_FORMAT", "LOG_LEVEL"):
        monkeypatch.delenv(key, raising=False)


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        ({}, "NAME is not set: set it in the file, e.g. NAME=FLOOR1"),
        ({"NAME": ""}, "NAME is not set: set it in the file"),
        ({"NAME": "x"}, "NAME='x' is not valid"),
        ({"NAME": "ok", "WAIT": "soon"}, "WAIT='soon' is not valid"),
        ({"NAME": "ok", "WAIT": "0"}, "seconds above 0"),
        ({"NAME": "ok", "URL": "ftp://x"}, "URL='ftp://x' is not valid (it must begin with http:// or https://"),
        ({"NAME": "ok", "URL": "https://u:p@x"}, "user name"),
        ({"NAME": "ok", "URL": "https://x:port"}, "URL="),
        ({"NAME": "ok", "URL": "https://x.example\u200b"}, "URL='https://x.example\\u200b' is not valid (it holds"),
        ({"NAME": "ok", "URL": "https://x .example"}, "URL='https://x .example' is not valid (it holds"),
        ({"NAME": "ok", "URL": "https://x..example"}, "URL='https://x..example' is not valid ('x..example' cannot"),
        ({"NAME": "ok", "URL": "https://" + "x" * 64}, "cannot be a host's name"),
        ({"NAME": "ok", "TOKEN": "tök"}, "TOKEN is not valid (it holds a space or a character that no token has"),
        ({"NAME": "ok", "TOKEN": "two words"}, "TOKEN is not valid"),
        ({"NAME": "ok", "LOG_FORMAT": "xml"}, "LOG_FORMAT='xml' is not valid"),
    ],
)
def test_a_wrong_value_ends_the_start_with_one_line(
    environment: dict[str, str], line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(SystemExit) as stop:
        load(Example)
    printed = capsys.readouterr().err
    assert stop.value.code == EX_CONFIG
    assert line in printed
    assert printed.count("\n") == 1
    assert "Traceback" not in printed


def test_every_wrong_key_is_named_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("URL", "nonsense")
    with pytest.raises(SystemExit):
        load(Example)
    assert [line.split()[1].split("=")[0] for line in capsys.readouterr().err.splitlines()] == ["NAME", "URL"]


@pytest.mark.parametrize(
    "typed",
    ["http://x.example", "http://x.example/", "http://x.example/v1", "http://x.example/v1/", " http://x.example/\t"],
)
def test_an_address_is_the_same_however_it_is_typed(typed: str) -> None:
    assert TypeAdapter(BaseUrl).validate_python(typed) == "http://x.example"


def test_show_masks_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", "FLOOR1")
    monkeypatch.setenv("TOKEN", "very-secret")
    shown = show(load(Example))
    assert "NAME=FLOOR1" in shown
    assert "TOKEN=****" in shown
    assert "very-secret" not in shown


def test_a_secret_file_that_cannot_serve_is_named(tmp_path: Path) -> None:
    path = tmp_path / "token"
    for content in (None, b"", b"two words", "tök".encode(), b"\xff\xfe\x00", b"x" * 5000):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(SettingsError, match=f"TOKEN_FILE={path}"):
            read_secret_file("TOKEN_FILE", path)
    path.write_text("  abc123\n")
    assert read_secret_file("TOKEN_FILE", path).get_secret_value() == "abc123"


def _unreadable(path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is said of a file that only somebody else may read (root, who runs some of these tests, may read all)."""

    def denied(_path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", denied)
    monkeypatch.setattr("os.geteuid", lambda: 10001)
    monkeypatch.setattr("os.getegid", lambda: 10001)
    with pytest.raises(SettingsError) as caught:
        read_secret_file("DEVICE_TOKEN_FILE", path)
    return str(caught.value)


def test_a_token_that_the_container_may_not_read_is_named_with_the_hosts_commands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = _unreadable(Path("/run/secrets/device_token"), monkeypatch)
    assert said.startswith("DEVICE_TOKEN_FILE=/run/secrets/device_token cannot be read (Permission denied): user 10001")
    assert said.endswith("beside compose.yaml: sudo chgrp -R 10001 secrets && sudo chmod -R u+rwX,g+rX secrets")


def test_a_token_elsewhere_is_named_with_its_own_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    assert _unreadable(path, monkeypatch).endswith(f"sudo chgrp 10001 {path} && sudo chmod 640 {path}")


def test_what_may_be_why_a_key_is_missing_is_said_before_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        load(Example, ["NAEM is no setting"])
    assert [line.split(" ", 2)[:2] for line in capsys.readouterr().err.splitlines()] == [
        ["[WARNING]", "NAEM"],
        ["[ERROR]", "NAME"],
    ]
    monkeypatch.setenv("NAME", "FLOOR1")
    load(Example, ["NAEM is no setting"])
    assert capsys.readouterr().err == "", "it is the caller's to log where the start goes on"
