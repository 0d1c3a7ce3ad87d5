"""From the git-based version, whose services are stand-ins here: they do nothing but run under the old names."""

from __future__ import annotations

import pytest

from tests.pi_host.cloud import Cloud
from tests.pi_host.conftest import NewPi
from tests.pi_host.pi import FROM_KIT, INSTALL, Pi
from tests.pi_host.ways import connected, picture

STAND_IN = '#!/bin/sh\n# stand-in for the old program\necho "stand-in runs: $*"\nexec sleep infinity\n'
V1, V2 = "visant-device.service", "visant-device-v2.service"


def old_unit(program: str) -> str:
    return f"""[Unit]
Description=stand-in of the git-based service
[Service]
User=tech
WorkingDirectory=/opt/visant
EnvironmentFile=/opt/visant/.env.device
ExecStart=/opt/visant/venv/bin/python -m {program} \\
    --api-url ${{API_URL}} --device-id ${{DEVICE_ID}} --camera-source ${{CAMERA_SOURCE}} \\
    --camera-resolution 1280x720
Restart=always
[Install]
WantedBy=multi-user.target
"""


def make_old(pi: Pi, unit: str, settings: str) -> None:
    """The old checkout in /opt/visant, its settings, its service and its updater, running."""
    pi.sh("useradd -m tech; cd /opt && mkdir -p visant/.git visant/venv/bin visant/deployment visant/debug_captures")
    pi.write("/opt/visant/venv/bin/python", STAND_IN, mode="755")
    pi.write("/opt/visant/deployment/update_device.sh", STAND_IN, mode="755")
    pi.write("/opt/visant/.env.device", settings)
    program = "device.main" if unit == V1 else "device.main_v2"
    pi.write(f"/etc/systemd/system/{unit}", old_unit(program))
    pi.write(f"/etc/systemd/system/{unit}.d/limits.conf", "[Service]\nMemoryMax=512M\n")
    pi.write(
        "/etc/systemd/system/visant-update.service",
        "[Service]\nType=oneshot\nExecStart=/opt/visant/deployment/update_device.sh\n",
    )
    pi.write(
        "/etc/systemd/system/visant-update.timer", "[Timer]\nOnCalendar=02:00\n[Install]\nWantedBy=timers.target\n"
    )
    pi.sh(f"chown -R tech: /opt/visant; systemctl daemon-reload; systemctl enable --now {unit} visant-update.timer")


def everything(pi: Pi) -> str:
    """What a restored host must have again, to the byte."""
    return pi.sh(
        "exec 2>/dev/null; cd /opt/visant; find .git venv deployment debug_captures .env.device"
        " /etc/systemd/system/visant-* -printf '%p %y %m %u\\n' | sort; find /etc/systemd/system/visant-* -type f"
        f" | sort | xargs cat .env.device; for one in {V1} {V2} visant-update.timer; do"
        " echo $one $(systemctl is-enabled $one) $(systemctl is-active $one); done"
    ).out


@pytest.fixture(scope="module")
def pi(new_pi: NewPi) -> Pi:
    return new_pi("OLD", engine=True)


@pytest.mark.short
def test_a_release_that_cannot_be_had_leaves_the_old_service_alone(pi: Pi, cloud: Cloud) -> None:
    make_old(
        pi, V2,
        f"# by hand\nDEVICE_ID={pi.device}\nAPI_URL=http://127.0.0.1:9\nCAMERA_SOURCE=fake\nUPLOAD_TIMEOUT=25\nSTREAM_TIMEOUT=65\n"
        "SAVE_FRAMES_DIR=debug_captures\nENABLE_TIMING_DEBUG=false\nMIGRATION_PATIENCE=20\n",
    )  # fmt: skip
    before = pi.sh(f"systemctl show -p MainPID {V2}").out
    pi.sh("head -c 100000 /root/visant/release.tar >/tmp/half.tar")
    done = pi.sh(f"{INSTALL} --from /tmp/half.tar --allowed-signers /root/visant/allowed_signers", check=False)
    assert done.code == 1, done.out
    assert "take over from visant-device-v2.service" in done.out
    assert "the old service was not touched" in done.out
    assert pi.sh(f"systemctl show -p MainPID {V2}").out == before


def as_before_the_first_try(pi: Pi) -> None:
    """The settings as they were found; a try that failed has put them into today's form."""
    kept = "/opt/visant/state/take_over/env.device"
    pi.sh(f"test ! -e {kept} || cp -a {kept} /opt/visant/.env.device")


def test_without_a_stream_the_old_service_comes_back_as_it_was(pi: Pi) -> None:
    """The cloud of the old settings does not answer."""
    as_before_the_first_try(pi)
    before = everything(pi)
    done = pi.sh(f"{INSTALL} {FROM_KIT}", check=False)
    assert done.code == 1, done.out
    assert "no stream within 20 s" in done.out
    assert "the old service runs again" in done.out
    assert everything(pi) == before
    assert not pi.sh("docker ps --all --quiet").out


@pytest.mark.short
def test_a_power_cut_in_the_middle_ends_in_the_new_service_with_the_old_settings(pi: Pi, cloud: Cloud) -> None:
    as_before_the_first_try(pi)
    pi.sh(f"sed -i 's#^API_URL=.*#API_URL={cloud.url}#; s/=20$/=120/' /opt/visant/.env.device")
    cloud.run("create-device", "--old-client", pi.device)
    pi.sh("rm -f /var/log/visant-update.log")
    process = pi.start(f"{INSTALL} {FROM_KIT}")
    try:
        pi.wait_for_line("/var/log/visant-update.log", "the old service is stopped", 120)
        pi.power_cut()
    finally:
        process.kill()
    pi.power_on()
    picture(pi, cloud, 150)
    pi.wait_for_line("/var/log/visant-update.log", "has its stream", 60)
    settings = pi.sh("cat /opt/visant/.env.device").out
    for line in (
        "# by hand", "UPLOAD_TIMEOUT=25", "STREAM_TIMEOUT=65", "CAMERA_SOURCE=fake", "CAMERA_RESOLUTION=1280x720",
        "SAVE_FRAMES_DIR=/opt/visant/debug_captures", f"API_URL={cloud.url}",
    ):  # fmt: skip
        assert f"{line}\n" in settings, settings
    assert "\nENABLE_TIMING_DEBUG" not in settings
    assert "limits.conf" not in pi.sh(f"systemctl cat {V2}").out
    assert pi.sh("ls /opt/visant/old").out.split() == ["deployment", "venv"]
    assert pi.sh("readlink /opt/visant/deployment").out.strip() == "current/deployment"
    done = pi.sh(f"{INSTALL} {FROM_KIT}", check=False)  # the same command again
    assert done.code == 0, done.out
    assert "take over" not in done.out
    assert pi.sh(f"systemctl is-active {V2} visant-update.timer").out.split() == ["active", "active"]


def test_an_operator_goes_back_by_hand_and_forth_again(pi: Pi, cloud: Cloud) -> None:
    pi.sh("visantctl take-over --back")
    assert "stand-in" in pi.sh(f"systemctl cat {V2}").out
    assert pi.sh(f"systemctl is-active {V2}").out.strip() == "active"
    assert pi.sh("test -d /opt/visant/venv && test -d /opt/visant/.git && test ! -L /opt/visant/deployment").code == 0
    assert not pi.sh("docker ps --quiet").out
    done = pi.sh(f"{INSTALL} {FROM_KIT}", check=False)
    assert done.code == 0, done.out
    picture(pi, cloud)


def test_from_the_polling_version(new_pi: NewPi, cloud: Cloud) -> None:
    pi = new_pi("OLD-POLLING", engine=True)
    make_old(
        pi, V1,
        f"DEVICE_ID={pi.device}\nAPI_URL={cloud.url}/\nCAMERA_SOURCE=fake\nCAMERA_WARMUP=3\nAPI_TIMEOUT=20\n"
        "CONFIG_POLL_INTERVAL=5.0\nSAVE_FRAMES_DIR=\n",
    )  # fmt: skip
    cloud.run("create-device", "--old-client", pi.device)
    done = pi.sh(f"{INSTALL} {FROM_KIT}", check=False)
    assert done.code == 0, done.out
    connected(pi, cloud)
    picture(pi, cloud)
    settings = pi.sh("cat /opt/visant/.env.device").out
    assert "UPLOAD_TIMEOUT=20\n" in settings
    assert "CAMERA_WARMUP=3\n" in settings
    assert "\nCONFIG_POLL_INTERVAL" not in settings
    assert not pi.sh(f"ls /etc/systemd/system/{V1}", check=False).out.startswith("/etc")
    assert not [one for one in pi.doctor().values() if one["level"] == "FAIL"]
    pi.remove()
