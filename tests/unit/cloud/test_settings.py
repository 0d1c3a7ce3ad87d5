"""What the environment may set."""

from pathlib import Path

import pytest

from visant_cloud.captures.s3_url import s3_url
from visant_cloud.settings import CloudSettings, database_url
from visant_runtime.settings import SettingsError, config_command, load

KEYS = {"AWS_ACCESS_KEY_ID": "the-id", "AWS_SECRET_ACCESS_KEY": "the-secret"}


@pytest.mark.parametrize(
    ("given_url", "engine"),
    [
        ("postgres://u:p@h:5433/d", "postgresql://u:p@h:5433/d"),
        ("postgresql://u@h/d?sslmode=require", "postgresql://u@h/d?sslmode=require"),
        ("postgresql+asyncpg://u@h/d?ssl=require", "postgresql://u@h/d?sslmode=require"),
        ("postgres://u:p@ss@h/d", "postgresql://u:p%40ss@h/d"),
        ("postgres://u:p%40ss@h/d", "postgresql://u:p%40ss@h/d"),
        ("postgres://u@h1:5432,h2:5433/d", "postgresql://u@h1:5432,h2:5433/d"),
        ("postgres:///d?host=/run/postgresql&user=u", "postgresql:///d?host=%2Frun%2Fpostgresql&user=u"),
        ("sqlite:////data/c.db", "sqlite+aiosqlite:////data/c.db"),
    ],
)
def test_database_urls_of_platforms_are_understood(given_url: str, engine: str) -> None:
    assert database_url(given_url) == engine


@pytest.mark.parametrize("wrong", ["mysql://h/d", "cloud.db", "", "sqlite:"])
def test_other_databases_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="must begin with"):
        database_url(wrong)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in CloudSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("s3://bucket", ("bucket", "", None, "us-east-1")),
        ("s3://bucket/", ("bucket", "", None, "us-east-1")),
        ("s3://b.c-d/a/b/?region=eu-central-1", ("b.c-d", "a/b", None, "eu-central-1")),
        (
            "s3://bucket/site?endpoint=https://s3.example:8443/",
            ("bucket", "site", "https://s3.example:8443", "us-east-1"),
        ),
        ("s3://bucket?endpoint=http%3A%2F%2F10.0.0.5%3A9000&region=x", ("bucket", "", "http://10.0.0.5:9000", "x")),
    ],
)
def test_a_bucket_is_read_and_shown_as_it_is_read_again(given: str, read: tuple[str, str, str | None, str]) -> None:
    url = s3_url(given)
    assert url is not None
    assert (url.bucket, url.prefix, url.endpoint, url.region) == read
    assert s3_url(str(url)) == url


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("https://bucket.s3.amazonaws.com", "begin with s3://"),
        ("bucket", "begin with s3://"),
        ("s3://", "name a bucket"),
        ("s3://x", "name a bucket"),
        ("s3://KEY:hunter22@bucket", "AWS_ACCESS_KEY_ID"),
        ("s3://hunter22@bucket/site", "AWS_ACCESS_KEY_ID"),
        ("s3://bucket/a//b", "prefix"),
        ("s3://bucket/../b", "prefix"),
        ("s3://bucket/.without-record", "prefix"),
        ("s3://bucket/gr\u00f6\u00dfe", "prefix"),
        ("s3://bucket?secret_access_key=hunter22", "keys are settings"),
        ("s3://bucket?endpoint=https://a&endpoint=https://b", "once each"),
        ("s3://bucket#hunter22", "nothing else"),
        ("s3://bucket?region=", "region"),
        ("s3://bucket?region=eu central", "region"),
        ("s3://bucket?endpoint=", "endpoint"),
        ("s3://bucket?endpoint=s3.example", "endpoint"),
        ("s3://bucket?endpoint=https://KEY:hunter22@s3.example", "endpoint"),
    ],
)
def test_a_bucket_that_cannot_be_meant_is_refused_without_a_word_that_may_be_a_key(
    wrong: str, reason: str, environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for key, value in {**KEYS, "STORAGE_URL": wrong}.items():
        environment.setenv(key, value)
    with pytest.raises(SystemExit):
        load(CloudSettings)
    (line,) = capsys.readouterr().err.splitlines()
    assert "STORAGE_URL" in line and reason in line and "e.g. s3://bucket/prefix" in line
    assert "hunter22" not in line and KEYS["AWS_SECRET_ACCESS_KEY"] not in line


def test_the_keys_are_taken_from_the_environment_or_from_files(
    environment: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("STORAGE_URL", "s3://bucket/site?endpoint=https://s3.example")
    for key, value in KEYS.items():
        (tmp_path / key).write_text(f"{value}\n")
        environment.setenv(f"{key}_FILE", str(tmp_path / key))
    by_file = load(CloudSettings)
    assert by_file.aws_access_key_id == "the-id"
    assert by_file.aws_secret_access_key is not None
    assert by_file.aws_secret_access_key.get_secret_value() == "the-secret" and "the-secret" in by_file.secrets()
    assert not {"bucket", "site", "https://s3.example"} & set(by_file.secrets()), "these are no secrets"
    config_command(CloudSettings)
    shown = capsys.readouterr().out
    assert "STORAGE_URL=s3://bucket/site?endpoint=https://s3.example&region=us-east-1\n" in shown
    assert "the-secret" not in shown and "AWS_SECRET_ACCESS_KEY=****" in shown


@pytest.mark.parametrize("key", KEYS)
def test_a_key_that_is_missing_or_there_twice_is_said_by_name(
    key: str, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in KEYS.items():
        environment.setenv(name, value)
    environment.delenv(key)
    CloudSettings()  # nobody reads them
    environment.setenv("STORAGE_URL", "s3://bucket")
    with pytest.raises(SettingsError, match=rf"^{key} is not set: .*{key}_FILE"):
        CloudSettings()
    (tmp_path / "key").write_text("x")
    environment.setenv(f"{key}_FILE", str(tmp_path / "key"))
    CloudSettings()
    environment.setenv(key, "y")
    with pytest.raises(SettingsError, match=rf"^{key} and {key}_FILE=.* are both set"):
        CloudSettings()
    environment.delenv(key)
    environment.setenv(f"{key}_FILE", str(tmp_path / "gone"))
    with pytest.raises(SettingsError, match=rf"^{key}_FILE=.*gone cannot be read"):
        CloudSettings()
