"""What keeps a host going for years: watchdog, journal, security updates, and what all of it writes to the card.

One host whose /etc, /opt and /var lie on a card of their own, made into a device; taken apart at the end.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pi_host.cloud import Cloud
from tests.pi_host.conftest import RUN, NewPi
from tests.pi_host.pi import INSTALL, Pi
from tests.pi_host.ways import install, picture

_SECTOR, _DAY = 512, 86_400.0
_IDLE = 600.0
"""Seconds that are looked at: two of the journal's slices, ten telemetry reports."""
_PICTURES = 10
_PICTURES_A_DAY = 96
_JOBS = ("apt-daily", "apt-daily-upgrade", "logrotate", "dpkg-db-backup", "systemd-tmpfiles-clean", "fstrim")
"""Debian's own work of a day; what is not on this host is left out."""
_MUCH = 1e9
"""Bytes a day that would be a fault."""


@pytest.fixture(scope="module")
def card() -> Iterator[Path]:
    """A file system of its own, mounted as Raspberry Pi OS mounts its root: ext4, noatime."""
    folder = Path(f"/tmp/visant-pi-{RUN}-card")
    folder.mkdir()
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(8 << 30)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop,noatime", str(image), str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=False)
    image.unlink()
    folder.rmdir()


@pytest.fixture(scope="module")
def pi(card: Path, new_pi: NewPi) -> Iterator[Pi]:
    pi = new_pi("UPKEEP", engine=True, card=card)
    yield pi
    pi.remove()


def written(card: Path) -> int:
    """Bytes written to the card so far, everything flushed first."""
    subprocess.run(["sync", "--file-system", str(card)], check=True)
    source = subprocess.check_output(["findmnt", "-no", "SOURCE", str(card)], text=True).strip()
    return int(Path(f"/sys/block/{Path(source).name}/stat").read_text().split()[6]) * _SECTOR


def watchdog(pi: Pi) -> str:
    return pi.sh("systemctl show --property=RuntimeWatchdogUSec --value").out.strip()


def test_the_installer_sets_up_what_keeps_the_host_going(pi: Pi, cloud: Cloud) -> None:
    # Stands for the hardware of a Pi before Linux 6.8; the host here has none.
    pi.write("/root/watchdog/max_timeout", "15\n")
    pi.sh("mkdir -p /usr/lib/systemd/journald.conf.d")
    pi.write("/usr/lib/systemd/journald.conf.d/40-rpi-volatile-storage.conf", "[Journal]\nStorage=volatile\n")
    pi.sh("rm -rf /var/log/journal; systemctl restart systemd-journald.service")  # as there
    off = watchdog(pi)
    out = install(pi, cloud, "--camera fake --security-updates", VISANT_WATCHDOG="/root/watchdog")
    assert "hardware watchdog: a hung system restarts after 15s" in out
    assert (off, watchdog(pi)) == ("0", "15s")
    wanted = pi.sh("unattended-upgrade --dry-run --debug 2>&1", check=False).out
    assert "origin=Debian,codename=bookworm-security,label=Debian-Security" in wanted
    assert "label=Debian,|label=Debian'" not in wanted
    pi.sh("systemctl is-enabled apt-daily.timer apt-daily-upgrade.timer")
    found = pi.doctor()
    assert {one: found[one]["level"] for one in ("journal", "security")} == {"journal": "PASS", "security": "PASS"}
    assert pi.sh("ls /var/log/journal/*/system.journal").code == 0


def test_the_same_command_again_leaves_them_alone(pi: Pi) -> None:
    journald = "systemctl show --property=MainPID systemd-journald.service"
    before = pi.sh(journald).out
    done = pi.sh(f"VISANT_WATCHDOG=/root/watchdog {INSTALL} --yes", check=False)
    assert done.code == 0, done.out
    assert pi.sh(journald).out == before


def test_the_journal_outlives_a_power_cut(pi: Pi, cloud: Cloud) -> None:
    pi.sh("logger -p user.crit before-the-cut")  # what is critical is synced at once
    pi.power_cut()
    pi.power_on()
    # (Without --boot=-1: the host is a container, whose boots all have this machine's boot id.)
    assert "before-the-cut" in pi.sh("journalctl --no-pager -g before-the-cut").out
    picture(pi, cloud, 120)


@pytest.mark.timeout(1500)
def test_what_a_day_writes_to_the_card_is_counted_and_little(pi: Pi, cloud: Cloud, card: Path) -> None:
    time.sleep(60)  # the start's own writes are through
    before, at = written(card), time.monotonic()
    time.sleep(_IDLE)
    idle = (written(card) - before) / (time.monotonic() - at)

    before, at = written(card), time.monotonic()
    for _ in range(_PICTURES):
        picture(pi, cloud)
    one = (written(card) - before - idle * (time.monotonic() - at)) / _PICTURES

    jobs = {}
    for name in _JOBS:
        if pi.sh(f"systemctl cat {name}.service >/dev/null 2>&1", check=False).code == 0:
            before, at = written(card), time.monotonic()
            pi.sh(f"systemctl start {name}.service", check=False)
            jobs[name] = max(0.0, written(card) - before - idle * (time.monotonic() - at))
    day = idle * _DAY + one * _PICTURES_A_DAY + sum(jobs.values())
    print(
        f"\ncard bytes a day, host included (sectors of an ext4 with /etc, /opt and /var): {day / 1e6:.0f} MB"
        f"\n  idle {idle * _DAY / 1e6:.0f} MB ({_IDLE:.0f} s looked at), {_PICTURES_A_DAY} pictures of the fake camera "
        f"{one * _PICTURES_A_DAY / 1e6:.0f} MB ({one / 1e3:.0f} kB each)"
        f"\n  a day's jobs {sum(jobs.values()) / 1e6:.0f} MB: "
        + ", ".join(f"{name} {size / 1e6:.1f}" for name, size in jobs.items())
    )
    assert one > 10_000, "pictures are kept before they are sent: nothing was counted"
    assert day < _MUCH


def test_uninstall_takes_them_back(pi: Pi) -> None:
    pi.sh("/opt/visant/current/deployment/uninstall.sh --yes --delete-undelivered")
    assert watchdog(pi) == "0"
    left = pi.sh(
        "ls -d /etc/systemd/*.conf.d/*visant* /etc/apt/apt.conf.d/*visant* "
        "/var/log/journal /usr/bin/unattended-upgrade",
        check=False,
    ).out
    assert left.count("No such file") == 4, left
