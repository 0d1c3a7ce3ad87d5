import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visant_contract.command import CaptureCommand, UnknownCommand, UnknownEvent, UpdateConfigCommand, parse_message
from visant_contract.errors import BrokenMessage
from visant_contract.sse import Connected, Ping

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_the_plain_forms_are_understood() -> None:
    assert parse_message('{"event":"connected","device_id":"FLOOR1"}') == Connected(device_id="FLOOR1")
    assert parse_message('{"event":"ping"}') == Ping()
    plain = parse_message('{"cmd":"capture","trigger_id":"manual_FLOOR1_20261122_140530_123456","type":"manual"}')
    assert isinstance(plain, CaptureCommand)
    assert plain.expires_at is None
    config = parse_message('{"cmd":"update_config","config":{"brightness":5},"extra":1}')
    assert isinstance(config, UpdateConfigCommand)


def test_a_trigger_id_is_any_text() -> None:
    wanted = "a/../b\u2028 " * 30
    found = parse_message(json.dumps({"cmd": "capture", "trigger_id": wanted}))
    assert isinstance(found, CaptureCommand)
    assert found.trigger_id == wanted


def test_what_is_unknown_is_not_broken() -> None:
    assert parse_message('{"cmd":"reboot","trigger_id":"x"}') == UnknownCommand(cmd="reboot", trigger_id="x")
    assert parse_message('{"event":"party"}') == UnknownEvent(event="party")


@pytest.mark.parametrize(
    "data",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        '"capture"',
        "{}",
        '{"cmd":5}',
        '{"event":{}}',
        '{"cmd":"capture"}',
        '{"cmd":"capture","trigger_id":""}',
        '{"cmd":"capture","trigger_id":7}',
        '{"cmd":"capture","trigger_id":"x","expires_at":"soon"}',
        '{"cmd":"capture","trigger_id":"x","expires_at":"2026-11-22T12:00:00"}',
        '{"cmd":"update_config"}',
        "[" * 100_000,
        '{"cmd":"capture","trigger_id":"' + "x" * 600 + '"}',
    ],
)
def test_what_cannot_be_read_is_broken_in_one_short_line(data: str) -> None:
    with pytest.raises(BrokenMessage) as error:
        parse_message(data)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_a_broken_command_with_a_trigger_id_can_still_be_answered() -> None:
    with pytest.raises(BrokenMessage) as error:
        parse_message('{"cmd":"capture","trigger_id":"x","expires_at":"soon"}')
    assert (error.value.cmd, error.value.trigger_id) == ("capture", "x")


@pytest.mark.parametrize(("field", "cmd"), [("type", "capture"), ("cmd", "x" * 70_000)])
def test_a_word_that_no_spool_file_can_hold_is_broken_at_the_door(field: str, cmd: str) -> None:
    with pytest.raises(BrokenMessage, match=f"{field}: .* at most 100") as error:
        parse_message(json.dumps({"cmd": cmd, "trigger_id": "x", "type": "x" * 70_000}))
    assert (error.value.cmd, error.value.trigger_id) == (cmd[:100], "x")


@pytest.mark.parametrize("data", ['{"cmd":"capture","trigger_id":"\\ud800"}', '{"event":"connected","cloud_id":7}'])
def test_what_has_no_usable_trigger_id_cannot_be_answered(data: str) -> None:
    with pytest.raises(BrokenMessage) as error:
        parse_message(data)
    assert error.value.trigger_id is None


@pytest.mark.parametrize("value", ['"\\ud800"', "[" * 400 + "]" * 400])
def test_settings_that_cannot_be_written_again_are_broken_at_the_door(value: str) -> None:
    with pytest.raises(BrokenMessage) as error:
        parse_message('{"cmd":"update_config","trigger_id":"x","config":{"a":' + value + "}}")
    assert error.value.trigger_id == "x"


@given(st.dictionaries(st.sampled_from(sorted(Connected.model_fields)), json_values))
def test_what_an_event_says_in_one_field_does_not_depend_on_the_others(fields: dict[str, Any]) -> None:
    told = {"event": "connected", "cloud_id": "c", "ping_every": 20} | {"device_id": fields.get("device_id")}
    others = {key: value for key, value in fields.items() if key not in told}
    message = parse_message(json.dumps(others | told))
    assert isinstance(message, Connected)
    assert (message.cloud_id, message.ping_every) == ("c", 20)
    assert not any(line.startswith("unread") for line in message.unread)


@given(json_values)
def test_any_json_is_a_message_or_broken(value: Any) -> None:
    with contextlib.suppress(BrokenMessage):
        parse_message(json.dumps(value))


@given(st.text())
def test_any_text_is_a_message_or_broken(text: str) -> None:
    with contextlib.suppress(BrokenMessage):
        parse_message(text)
