import contextlib
import io
import json
import logging
import os
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


def test_a_reader_that_went_costs_lines_and_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        logs.configure()
        structlog.get_logger().info("heard")
        assert os.read(reading, 100) == b"[INFO] heard\n"
        os.close(reading)
        structlog.get_logger().info("to nobody")
        logging.getLogger("somebody").warning("to nobody")
        logs.flush()
        with contextlib.suppress(BrokenPipeError):
            pipe.close()
    structlog.get_logger().info("into a closed file")


def test_a_full_disk_under_the_log_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.suppress(OSError), open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        logs.configure()
        structlog.get_logger().info("no room")
        logging.getLogger("somebody").warning("no room")
        done = True
    assert done


def test_a_reader_that_does_not_read_costs_lines_not_time_and_is_told_how_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without that the first line which finds the pipe full holds up the event loop for ever."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        monkeypatch.setattr(logs, "_PATIENCE", 0.01)
        logs.configure()
        for _ in range(100):
            structlog.get_logger().info("x" * 2000)
        taken = os.read(reading, 1 << 20)
        structlog.get_logger().info("heard again")
        said = os.read(reading, 1 << 20).decode().splitlines()
        lost = 100 - taken.count(b"\n")
        assert lost > 0 and taken.endswith(b"\n")
        assert said == [f"[WARNING] log lines were lost: nobody took them count={lost}", "[INFO] heard again"]
    os.close(reading)
