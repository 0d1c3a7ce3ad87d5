"""`visantctl camera` and `support-bundle`, with a stand-in for the docker command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "deployment/bin/visantctl"
CAMERA = [
    {
        "Id": "c1", "Image": "sha256:0", "RestartCount": 0, "State": {"Status": "running", "StartedAt": "x"},
        "Config": {"Image": "visant/camera:2.0.0", "Labels": {"com.docker.compose.service": "camera"}},
        "NetworkSettings": {"Ports": {}},
    }
]  # fmt: skip


@pytest.fixture
def host(tmp_path: Path) -> dict[str, str]:
    """A device whose Engine knows one running camera container; its picture is six bytes."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "inspect.json").write_text(json.dumps(CAMERA))
    docker = tmp_path / "bin/docker"
    docker.write_text(
        f"""#!/bin/sh
case "$1" in
ps) echo c1 ;;
inspect) cat {tmp_path}/inspect.json ;;
exec) [ "$4" = snapshot ] && printf '\\377\\330ab\\377\\331' || echo "probed $2 $3" ;;
*) echo "no such thing here" >&2; exit 1 ;;
esac
"""
    )
    docker.chmod(0o755)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/device_token").write_text("vd_verysecret1\n")
    (tmp_path / ".env.device").write_text(
        "DEVICE_ID=A1\nAPI_URL=https://c.example\nCAMERA_SOURCE=rtsp://admin:hunter22@10.0.0.9/s\n"
    )
    (tmp_path / "update.log").write_text("something said vd_verysecret1 aloud\n")
    return {
        **os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "VISANT_ROOT": str(tmp_path),
        "VISANT_UPDATE_LOG": str(tmp_path / "update.log"), "VISANT_UNIT_DIR": str(tmp_path / "units"),
    }  # fmt: skip


def ctl(host: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *words], env=host, capture_output=True, text=True, timeout=100, check=False
    )


def test_a_snapshot_is_the_bytes_of_the_camera_service(host: dict[str, str], tmp_path: Path) -> None:
    done = ctl(host, "camera", "snapshot", "--out", str(tmp_path / "x.jpg"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.jpg").read_bytes() == b"\xff\xd8ab\xff\xd9"


def test_without_a_camera_service_the_remedy_is_named(host: dict[str, str], tmp_path: Path) -> None:
    gone = [{**CAMERA[0], "State": {"Status": "exited", "StartedAt": "x"}}]
    (tmp_path / "inspect.json").write_text(json.dumps(gone))
    done = ctl(host, "camera", "probe")
    assert done.returncode == 1
    assert "systemctl start visant-device-v2" in done.stderr


def test_a_support_bundle_is_made_on_a_broken_device_and_holds_no_secret(host: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "bundle.tar.gz"
    done = ctl(host, "support-bundle", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert out.stat().st_mode & 0o777 == 0o600
    with tarfile.open(out) as tar:
        texts = {one.name.split("/")[-1]: (tar.extractfile(one) or out.open("rb")).read().decode() for one in tar}
    assert {"doctor.txt", "settings.txt", "update.log", "journal.txt"} <= set(texts)
    assert "FAIL" in texts["doctor.txt"]
    assert "something said **** aloud" in texts["update.log"]
    everything = "".join(texts.values())
    assert "vd_verysecret1" not in everything
    assert "hunter22" not in everything
