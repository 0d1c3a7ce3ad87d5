import io
import json
import logging
import sys

import pytest
import structlog

from visant_runtime import logs


@pytest.fixture(autouse=True)
def _restore() -> object:
    root = logging.getLogger()
    before = root.handlers, root.level
    yield
    root.handlers, root.level = before[0], before[1]
    structlog.reset_defaults()


def test_text_is_one_line_an_event_with_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    structlog.get_logger().info("✓ Connected to command stream")
    structlog.get_logger().warning("captured", trigger_id="a b", seconds=1.23456, empty="")
    assert capsys.readouterr().out == (
        '[INFO] ✓ Connected to command stream\n[WARNING] captured trigger_id="a b" seconds=1.235 empty=""\n'
    )


def test_a_peers_text_cannot_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    structlog.get_logger().info("broken", text="x\n[ERROR] forged\x1b[31m")
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize("format", ["text", "json"])
def test_a_secret_never_appears_whoever_logs_it(capsys: pytest.CaptureFixture[str], format: logs.LogFormat) -> None:
    logs.configure(format=format, secrets=["s3cr3t-token"])
    structlog.get_logger().info("sending s3cr3t-token", header="Bearer s3cr3t-token", inside={"a": ["s3cr3t-token"]})
    logging.getLogger("somebody").warning("with %s", "s3cr3t-token")
    try:
        raise ValueError("s3cr3t-token")
    except ValueError:
        structlog.get_logger().exception("failed")
    printed = capsys.readouterr().out
    assert "s3cr3t" not in printed
    assert printed.count("****") >= 4


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(format="json")
    structlog.get_logger().info("captured", trigger_id="ü\n")
    logging.getLogger("somebody").error("foreign")
    ours, foreign = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert ours["event"] == "captured"
    assert ours["trigger_id"] == "ü\n"
    assert foreign["event"] == "foreign"
    assert foreign["level"] == "error"
    assert "at" in foreign


def test_a_terminal_without_utf8_loses_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    logs.configure()
    structlog.get_logger().info("✓ done")
    sys.stdout.flush()
    assert raw.getvalue().decode() == "[INFO] ✓ done\n"
