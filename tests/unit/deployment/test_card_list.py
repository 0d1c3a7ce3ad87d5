"""`prepare-clone --ids`: a fleet's list becomes files and labels."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from visantctl import cli
from visantctl.errors import Misconfigured
from visantctl.fleet import card, card_list
from visantctl.fleet.card import Card
from visantctl.host import qr
from visantctl.network.host_name import host_name

KNOWN = {"DEVICE_ID", "API_URL", "DEVICE_TOKEN"}
needs_qrencode = pytest.mark.skipif(
    not shutil.which("qrencode"), reason="qrencode is missing: apt-get install qrencode"
)


def cards(raw: bytes, out: Path) -> dict[str, Card]:
    found = [card.parse(file.read_bytes(), KNOWN) for file in card_list.write(raw, "list.csv", out, KNOWN)]
    return {one.device_id: one for one in found}


@pytest.mark.parametrize(
    "raw",
    [
        b"A1\nB.2\n",
        b"id\r\nA1\r\n\r\nB.2\r\n",
        b"\xef\xbb\xbfDevice ID;API_URL\r\nA1;https://c.example\r\nB.2;\r\n",
        "device_id\tapi_url\nA1\t\n# later\nB.2\t\n".encode("utf-16"),
        b'"id","enrol-code"\n"A1","AAAAA-BBBBB"\n"B.2",\n',
    ],
    ids=["ids-alone", "windows", "german-excel", "excel-unicode", "quoted"],
)
def test_lists_as_spreadsheets_write_them(tmp_path: Path, raw: bytes) -> None:
    found = cards(raw, tmp_path / "out")
    assert list(found) == ["A1", "B.2"]
    assert len({one.hotspot_ssid for one in found.values()}) == 2
    for one in found.values():
        assert re.fullmatch("visant-[a-z2-9]{4}", one.hotspot_ssid)
        assert len(one.hotspot_password) == 14


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"", "names no device"),
        (b"\n\n", "names no device"),
        (b"id\n", "a header line and no device"),
        (b"A\nB\nA\n", "line 3: the id A is there already, in line 1"),
        (b"Hall.1\nhall-1\n", "line 2: the host name visant-hall-1"),
        (b"not an id\n", "line 1: DEVICE_ID='not an id'"),
        (b"A,B\nC,D\n", "need a header line"),
        (b"id,colour\nA,red\n", "line 2: unknown: COLOUR"),
        (b"id,id\nA,B\n", "one name of its own"),
        (b"id\nA,extra\n", "line 2: more columns"),
        (b"id\nB\xfcro\n", "line 2: not UTF-8"),
        (b'id,wifi_ssid\nA,"open\n', "is a quote missing"),
        (b"id,enrol_code\nA,X\nB,X\n", "line 3: ENROL_CODE is there already, in line 2"),
        (b"id,api_url\nA,cloud\n", "line 2: API_URL='cloud'"),
        (b"id,wifi_ssid\n,Hall\n", "line 2: DEVICE_ID is missing"),
    ],
)
def test_a_bad_list_gets_one_line_and_nothing_is_written(tmp_path: Path, raw: bytes, word: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        cards(raw, tmp_path / "out")
    assert word in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_same_list_again_keeps_the_printed_passwords(tmp_path: Path) -> None:
    first = cards(b"A\nB\n", tmp_path)
    again = cards(b"B\nC\nA\n", tmp_path)
    assert (again["A"], again["B"]) == (first["A"], first["B"])


def test_five_hundred_cards_have_five_hundred_identities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qr, "svg", lambda text: None)  # half a second a hundred
    found = cards("".join(f"CAM-{n}\n" for n in range(500)).encode(), tmp_path)
    assert len(found) == len({one.hotspot_ssid for one in found.values()}) == 500
    assert len({one.hotspot_password for one in found.values()}) == 500
    assert (tmp_path / "labels.html").read_text().count("<section") == 500


def test_only_their_owner_reads_the_files(tmp_path: Path) -> None:
    cards(b"A\n", tmp_path / "out")
    modes = {path.name: path.stat().st_mode & 0o777 for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")]}
    assert modes == {"out": 0o700, "A": 0o700, "visant.env": 0o600, "labels.html": 0o600}


def test_the_command_needs_neither_root_nor_an_installed_device(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISANT_ROOT", str(tmp_path / "nothing"))
    (tmp_path / "list.csv").write_text("id,camera_source\nA1,rtsp://10.0.0.1/s\n")
    assert cli.main(["prepare-clone", "--ids", str(tmp_path / "list.csv"), "--out", str(tmp_path / "cards")]) == 0
    assert "1 cards in" in capsys.readouterr().out
    assert cli.main(["prepare-clone", "--ids", str(tmp_path / "absent.csv")]) == 2
    assert "absent.csv: No such file" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()


def test_a_label_shows_what_a_technician_needs_and_escapes_what_html_would_read(tmp_path: Path) -> None:
    card_list.write(b"id,hotspot_password\nA1,a<b>&c d e\nB2,open\n", "list.csv", tmp_path, KNOWN)
    text = (tmp_path / "labels.html").read_text()
    assert "a&lt;b&gt;&amp;c d e" in text
    for word in ("A1", "visant-a1", "http://10.41.0.1", "none (open)"):
        assert word in text
    assert "http" not in text.replace("http://10.41.0.1", "").replace("http://www.w3.org/2000/svg", "")


@needs_qrencode
@pytest.mark.parametrize("password", ["plain-pass-word", 'semi;colon:comma,back\\slash"'])
def test_a_phone_reads_the_network_from_the_code(password: str) -> None:
    drawn = qr.terminal(qr.wifi("visant-ab12", password))
    assert drawn
    halves = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}
    rows = [[halves[one] for one in line] for line in drawn.splitlines()]
    dots = np.array([[pair[half] for pair in row] for row in rows for half in (0, 1)], dtype=np.uint8) * 255
    picture = np.kron(np.pad(dots, 4, constant_values=255), np.ones((8, 8))).astype(np.uint8)
    text, _, _ = cv2.QRCodeDetector().detectAndDecode(picture)
    escaped = re.sub(r'([\\;,":])', r"\\\1", password)
    assert text == f"WIFI:T:WPA;S:visant-ab12;P:{escaped};;"


def test_without_qrencode_the_labels_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    card_list.write(b"A1\n", "list.csv", tmp_path / "out", KNOWN)
    assert "apt-get install qrencode" in (tmp_path / "out/labels.html").read_text()


@pytest.mark.parametrize(
    ("device_id", "name"),
    [
        ("FLOOR1", "visant-floor1"),
        ("Hall_3.B", "visant-hall-3-b"),
        ("a__b", "visant-a-b"),
        ("ends-", "visant-ends"),
        ("x" * 64, "visant-" + "x" * 56),
        ("x" * 55 + "_y", "visant-" + "x" * 55),
    ],
)
def test_host_names_lack_what_ids_may_have(device_id: str, name: str) -> None:
    assert host_name(device_id) == name
    assert len(name) <= 63
