"""uninstall.sh: what it refuses, and that it comes to its end, with stand-ins for Docker. On a host: tests/pi_host."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from visantctl.fleet import clone
from visantctl.wiring import Device

DEPLOYMENT = Path(__file__).resolve().parents[3] / "deployment"
DOCKER = """#!/bin/sh
case "$*" in
version*) [ ! -e {tmp}/no-engine ] ;;
"volume ls --quiet --filter"*) ls {tmp}/volumes ;;
"volume inspect"*) for name; do :; done; [ -d {tmp}/volumes/$name ] && echo {tmp}/volumes/$name ;;
esac
"""
INSIDE = """#!/bin/sh
# Outside of the test's folder nothing is removed.
for one; do case $one in -*|{tmp}/*) ;; *) shift; continue ;; esac; shift; set -- "$@" "$one"; done
exec {real} "$@"
"""


class Host:
    """A device to uninstall, below `tmp_path`."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tmp = tmp_path
        self.root = tmp_path / "visant"
        self.volume = tmp_path / "volumes/visant_spool"
        for folder in (self.root / "state/install", self.root / "secrets", self.volume):
            folder.mkdir(parents=True)
        self.added = self.root / "state/install/added"
        self.env = self.root / ".env.device"
        self.env.write_text("DEVICE_ID=A\n")
        stand_ins = tmp_path / "bin"
        stand_ins.mkdir()
        texts = dict.fromkeys(("systemctl", "nmcli", "apt-get", "apt-mark"), "#!/bin/sh\n")
        texts |= {"id": "#!/bin/sh\necho 0\n", "docker": DOCKER.format(tmp=tmp_path)}
        texts |= {one: INSIDE.format(tmp=tmp_path, real=shutil.which(one)) for one in ("rm", "rmdir")}
        for name, text in texts.items():
            (stand_ins / name).write_text(text)
            (stand_ins / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{stand_ins}:{os.environ['PATH']}")
        monkeypatch.setenv("VISANT_ROOT", str(self.root))
        monkeypatch.setenv("VISANT_UNIT_DIR", str(tmp_path / "units"))

    def picture(self, folder: Path) -> None:
        (folder / "outbox").mkdir(parents=True, exist_ok=True)
        (folder / "outbox/x.picture").touch()

    def uninstall(self, *flags: str, deployment: Path = DEPLOYMENT) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", str(deployment / "uninstall.sh"), "--yes", *flags],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        return done.returncode, done.stdout


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_it_takes_everything_that_it_remembers(host: Host) -> None:
    assert host.uninstall() == (0, "This removes the services, their units and images\nremoved\n")
    assert not host.root.exists()


@pytest.mark.parametrize(
    "line",
    [
        "VISANT_SPOOL={}", "VISANT_SPOOL='{}'", 'VISANT_SPOOL="{}"', "export VISANT_SPOOL={}", " VISANT_SPOOL = {}",
        "VISANT_SPOOL={} # the stick", "VISANT_SPOOL='{}' # the stick",
    ],
)  # fmt: skip
@pytest.mark.parametrize("folder", ["visant/spool", "stick/the spool"])
def test_pictures_are_counted_however_their_folder_is_written(host: Host, line: str, folder: str) -> None:
    host.env.write_text(f"DEVICE_ID=A\n{line.format(host.tmp / folder)}\n")
    host.picture(host.tmp / folder)
    code, out = host.uninstall()
    assert code == 1
    assert "1 pictures are not delivered yet" in out
    assert clone.undelivered(Device.here()) == 1
    assert host.env.exists()
    assert host.uninstall("--delete-undelivered")[0] == 0
    assert not host.root.exists()


def test_pictures_from_before_the_folder_was_set_or_taken_back_are_counted(host: Host) -> None:
    stick = host.tmp / "stick"
    host.env.write_text(f"VISANT_SPOOL={stick}\n")
    for folder in (stick, host.volume, host.root / "spool"):
        host.picture(folder)
    assert clone.undelivered(Device.here()) == 3
    assert "3 pictures are not delivered yet" in host.uninstall()[1]
    (host.tmp / "no-engine").touch()
    code, out = host.uninstall()
    assert code == 1
    assert ("Docker does not answer" if Path("/var/lib/docker/volumes").exists() else "2 pictures are not") in out


def test_a_volume_alone_is_counted(host: Host) -> None:
    host.picture(host.volume)
    assert "1 pictures are not delivered yet" in host.uninstall()[1]
    assert clone.undelivered(Device.here()) == 1


@pytest.mark.parametrize("value", ["./spool", "~/spool", "${HOME}/spool"])
def test_it_refuses_where_it_cannot_tell_which_folder_is_meant(host: Host, value: str) -> None:
    host.env.write_text(f"VISANT_SPOOL={value}\n")
    code, out = host.uninstall()
    assert code == 1
    assert "cannot be counted" in out
    assert host.env.exists()


@pytest.mark.parametrize("damage", ["absent", "cut short"])
def test_it_refuses_where_visantctl_is_damaged_until_it_is_told_to_delete(host: Host, damage: str) -> None:
    kit = host.tmp / "kit"
    shutil.copytree(DEPLOYMENT, kit)
    if damage == "absent":
        shutil.rmtree(kit / "visantctl")
    else:
        (kit / "visantctl/host/env_file.py").write_text("def read_env_file(")
    code, out = host.uninstall(deployment=kit)
    assert code == 1
    assert "cannot be counted" in out
    assert len(out.splitlines()) == 1
    assert host.uninstall("--delete-undelivered", deployment=kit)[0] == 0
    assert not host.root.exists()


@pytest.mark.parametrize("backup", [True, False])
def test_it_comes_to_its_end_also_where_the_backup_of_the_command_line_is_gone(host: Host, backup: bool) -> None:
    cmdline, launcher = host.tmp / "cmdline.txt", host.tmp / "visantctl"
    cmdline.write_text("root=x cgroup_enable=memory\n")
    launcher.touch()
    host.added.write_text(f"file {launcher}\ncmdline {cmdline}\n")
    if backup:
        (host.tmp / "cmdline.txt.before-visant").write_text("root=x\n")
    code, out = host.uninstall()
    assert code == 0, out
    assert cmdline.read_text() == ("root=x\n" if backup else "root=x cgroup_enable=memory\n")
    assert not launcher.exists()
    assert not host.root.exists()
    assert not (host.tmp / "cmdline.txt.before-visant").exists()


def test_it_comes_to_its_end_also_where_the_hotspot_s_file_is_gone(host: Host) -> None:
    host.added.write_text("package comitup\n")
    code, out = host.uninstall()
    assert code == 0, out
    assert not host.root.exists()
