"""`visant.env`, as people write it on any system."""

from __future__ import annotations

import pytest
from visantctl.errors import Misconfigured
from visantctl.fleet import card

KNOWN = {"DEVICE_ID", "API_URL", "CAMERA_SOURCE", "DEVICE_TOKEN"}


def test_what_is_written_is_read_back() -> None:
    values = {"DEVICE_ID": "A1", "WIFI_SSID": " Hall #3 ", "WIFI_PASSWORD": "'quoted' \"both\" #", "CAMERA_SOURCE": "0"}
    found = card.parse(card.written(values), KNOWN)
    assert (found.device_id, found.wifi_ssid, found.wifi_password) == ("A1", " Hall #3 ", "'quoted' \"both\" #")
    assert found.settings == {"CAMERA_SOURCE": "0"}


@pytest.mark.parametrize(
    "raw",
    [
        b"DEVICE_ID=A1\nAPI_URL=https://c.example/v1\n",
        b"\xef\xbb\xbfDEVICE_ID=A1\r\n\r\n# note\r\nAPI_URL=https://c.example\r\n",
        "DEVICE_ID = 'A1'\nexport API_URL=https://c.example/".encode("utf-16"),
    ],
    ids=["plain", "windows", "utf-16"],
)
def test_line_ends_and_byte_order_marks_of_any_system_are_understood(raw: bytes) -> None:
    found = card.parse(raw, KNOWN)
    assert found.device_id == "A1"
    assert found.settings == {"API_URL": "https://c.example"}


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"", "DEVICE_ID is missing"),
        (b"DEVICE_ID=\n", "DEVICE_ID is missing"),
        (b"DEVICE_ID=no way\n", "DEVICE_ID='no way'"),
        (b"DEVICE_ID=A\nDEVICE_ID=B\n", "line 2: DEVICE_ID is there twice"),
        (b"DEVICE_ID=A\njust words\n", "line 2: must be KEY=VALUE"),
        (b"DEVICE_ID=A\nCAMERA_SORCE=0\n", "CAMERA_SORCE"),
        (b"DEVICE_ID=A\nWIFI_SSID=B\xfcro\n", "line 2: not UTF-8"),
        (b"DEVICE_ID=A\0\n", "zero bytes"),
        (b"DEVICE_ID=A\nWIFI_SSID=x\nWIFI_PASSWORD=seven77\n", "8 to 63"),
        (b"DEVICE_ID=A\nWIFI_SSID=x\nWIFI_PASSWORD='pass word '\n", "WIFI_PASSWORD must not begin or end with a blank"),
        (b"DEVICE_ID=A\nWIFI_PASSWORD=longenough\n", "without WIFI_SSID"),
        (b"DEVICE_ID=A\nWIFI_SSID=" + b"x" * 33, "32 bytes"),
        (b"DEVICE_ID=A\nHOTSPOT_SSID=my hall\n", "HOTSPOT_SSID='my hall'"),
        (b"DEVICE_ID=A\nHOTSPOT_PASSWORD=hundred%%\n", "HOTSPOT_PASSWORD"),
        (b"DEVICE_ID=A\nDEVICE_TOKEN=a\nENROL_CODE=b\n", "keep one"),
        (b"DEVICE_ID=A\nENROL_CODE=two words\n", "ENROL_CODE must be one word"),
        (b"x" * 200_000, "larger than"),
    ],
)
def test_a_bad_file_gets_one_line_that_names_what_is_wrong(raw: bytes, word: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        card.parse(raw, KNOWN)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_neither_an_error_nor_a_trace_shows_a_secret() -> None:
    for line in ("WIFI_SSID=x\nWIFI_PASSWORD=s3cret", "HOTSPOT_PASSWORD=s3cret%", "DEVICE_TOKEN=s3cret word"):
        with pytest.raises(Misconfigured) as caught:
            card.parse(f"DEVICE_ID=A\n{line}\n".encode(), KNOWN)
        assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(card.parse(b"DEVICE_ID=A\nDEVICE_TOKEN=s3cret\n", KNOWN))
