"""Downloads that are cut off go on, and say how far they are."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from visantctl.errors import EngineFailed, Refused, Unreachable
from visantctl.host.engine import Engine
from visantctl.host.log import Log
from visantctl.host.progress import Progress, told
from visantctl.releases import fetch
from visantctl.releases.layers import Layers
from visantctl.releases.manifest import Blob

CONTENT = bytes(range(256)) * 400
WANTED = Blob("visant-host-2.0.0.tar.gz", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
SHOWN = (
    "sha256:0123: Pulling from visant/camera\r\n\r\n\x1b[1A\x1b[2K\raaaaaaaaaaa1: Pulling fs layer \r\x1b[1B\r\n"
    "\x1b[3A\x1b[2K\raaaaaaaaaaa1: Already exists \r\x1b[3B\x1b[1A\x1b[2K\rccccccccccc3: Waiting \r\x1b[1B"
    "\x1b[2A\x1b[2K\rbbbbbbbbbbb2: Downloading       0B/40MB\r\x1b[2B"
    "\x1b[2A\x1b[2K\rbbbbbbbbbbb2: Downloading [=====>       ]     12.5MB/40MB\r\x1b[2B"
    "\x1b[1A\x1b[2K\rccccccccccc3: Downloading    4.5kB/6.234kB\r\x1b[1B"
)
"""What docker 28.2 printed on a terminal of 200 and of 80 columns, shortened."""


class Site:
    """A web server that cuts each answer after `each` bytes, and knows ranges or not."""

    def __init__(self) -> None:
        self.content, self.each, self.ranges = CONTENT, 0, True
        self.asked: list[str | None] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers.get("Range")
                site.asked.append(asked)
                begin = int(asked.split("=")[1].rstrip("-")) if asked and site.ranges else 0
                if begin >= len(site.content):
                    self.send_error(416)
                    return
                body = site.content[begin:]
                self.send_response(206 if begin else 200)
                if begin:
                    self.send_header("Content-Range", f"bytes {begin}-{len(site.content) - 1}/{len(site.content)}")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: site.each] if site.each else body)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/x"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(fetch, "_PAUSE", 0.0)
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


def test_a_download_that_is_cut_again_and_again_comes_whole_and_no_byte_twice(site: Site, tmp_path: Path) -> None:
    site.each = 40_000
    heard: list[int] = []
    fetch.blob(site.url, WANTED, tmp_path / "x", {}, lambda done, total: heard.append(done))
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert site.asked == [None, "bytes=40000-", "bytes=80000-"]
    assert heard == sorted(heard) and heard[-1] == WANTED.bytes


def test_a_try_on_another_day_goes_on_where_the_first_one_ended(site: Site, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(CONTENT[:100_000])
    fetch.blob(site.url, WANTED, tmp_path / "x", {})
    assert (tmp_path / "x").read_bytes() == CONTENT
    assert site.asked == ["bytes=100000-"]


def test_what_has_come_stays_when_the_server_goes(site: Site, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(CONTENT[:1000])
    site.server.server_close()
    with pytest.raises(Unreachable):
        fetch.blob(site.url, WANTED, tmp_path / "x", {})
    assert (tmp_path / "x").read_bytes() == CONTENT[:1000]


def test_a_server_without_ranges_gives_it_from_the_beginning(site: Site, tmp_path: Path) -> None:
    site.ranges = False
    (tmp_path / "x").write_bytes(CONTENT[:1000])
    fetch.blob(site.url, WANTED, tmp_path / "x", {})
    assert (tmp_path / "x").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"\0" * 1000, b"\0" * len(CONTENT), b"\0" * (len(CONTENT) + 1)])
def test_what_a_power_cut_left_is_fetched_anew(site: Site, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "x").write_bytes(left)
    fetch.blob(site.url, WANTED, tmp_path / "x", {})
    assert (tmp_path / "x").read_bytes() == CONTENT


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b"y" * len(CONTENT)])
def test_another_file_than_the_manifest_names_is_refused_and_leaves_nothing(
    site: Site, tmp_path: Path, content: bytes
) -> None:
    site.content = content
    with pytest.raises(Refused, match="is not what the manifest names"):
        fetch.blob(site.url, WANTED, tmp_path / "x", {})
    assert not (tmp_path / "x").exists()


def test_a_folder_serves_as_a_web_server_does(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(CONTENT)
    (tmp_path / "x").write_bytes(CONTENT[:1000])
    fetch.blob((tmp_path / "there").as_uri(), WANTED, tmp_path / "x", {})
    assert (tmp_path / "x").read_bytes() == CONTENT


@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_what_docker_shows_is_added_up_wherever_its_pieces_end(piece: int) -> None:
    layers = Layers()
    for at in range(0, len(SHOWN), piece):
        layers.read(SHOWN[at : at + piece])
    assert (layers.done, layers.total) == (12_504_500, 40_006_234)
    layers.read("\x1b[2A\x1b[2K\rbbbbbbbbbbb2: Verifying Checksum \r\x1b[2B")
    assert (layers.done, layers.total) == (40_004_500, 40_006_234)


def test_a_command_that_shows_progress_on_a_terminal_alone_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(
        '#!/bin/sh\n[ -t 1 ] && echo "as on a terminal: $*"\n[ "$1" = pull ] || { echo why >&2; exit 1; }\n'
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    heard: list[str] = []
    Engine().show("pull", "x", tell=heard.append, timeout=30)
    assert "".join(heard) == "as on a terminal: pull x\r\n"
    with pytest.raises(EngineFailed, match="why"):
        Engine().show("push", "x", tell=heard.append, timeout=30)


def test_a_command_that_says_nothing_is_ended_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\nexec sleep 600\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(EngineFailed, match="no answer within"):
        Engine().show("pull", "x", tell=lambda _: None, timeout=0.1)


def test_the_log_gets_a_line_every_ten_seconds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    progress = Progress(Log(tmp_path / "log"), "image 1 of 4, camera", lambda: now)
    for second in range(25):
        now = float(second)
        progress.at(second * 1_000_000, 40_000_000)
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "[INFO] image 1 of 4, camera: 10.0 of 40.0 MB, 1.00 MB/s, 30 s left",
        "[INFO] image 1 of 4, camera: 20.0 of 40.0 MB, 1.00 MB/s, 20 s left",
    ]
    assert [line.partition(" ")[2] for line in (tmp_path / "log").read_text().splitlines()] == said


def test_a_terminal_gets_one_line_that_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    now, log = 0.0, Log(tmp_path / "log")
    with Progress(log, "x", lambda: now) as progress:
        for second in range(3):
            now = float(second)
            progress.at(second * 1_000_000, 3_000_000)
    log.info("done")
    shown = capsys.readouterr().out
    assert shown.split("\r\x1b[K")[1:] == [
        "[INFO] x: 0.0 of 3.0 MB",
        "[INFO] x: 1.0 of 3.0 MB, 1.00 MB/s, 2 s left",
        "[INFO] x: 2.0 of 3.0 MB, 1.00 MB/s, 1 s left",
        "",
        "[INFO] done\n",
    ]
    assert (tmp_path / "log").read_text().count("\n") == 1


def test_a_slow_network_is_told_in_minutes() -> None:
    assert told(1_000_000, 100_000_000, 50_000.0) == "1.0 of 100.0 MB, 0.05 MB/s, 33 min left"
