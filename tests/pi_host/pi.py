"""A Pi-like host: a container with systemd, NetworkManager and a Docker Engine of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.pi_host.release import STATE, VERSION, Release, docker
from tests.pi_host.wait import wait_for

SUITE = os.environ.get("PI_HOST_SUITE", "bookworm")
IMAGE = f"visant-lab/pi-host:{SUITE}"
LABEL = "visant.pi-host"
"""Everything a run makes carries it, with the run's number, so that an ended run can be swept away."""
KIT = "/root/visant"
"""What a technician copied onto the host, as DEPLOYMENT.md says: these three, of a release, and nothing else."""
INSTALL = f"{KIT}/deployment/install_device.sh"
FROM_KIT = f"--from {KIT}/release.tar --allowed-signers {KIT}/allowed_signers"
_LEFT_OUT = (
    "proc",
    "sys",
    "run",
    "dev",
    "tmp",
    "var/cache",
    "var/log",
    "var/lib/apt",
    "var/lib/dpkg",
    "var/lib/NetworkManager",
    "var/tmp",
)
"""What apt, the kernel and the journal write by themselves."""
_PARTS = ("etc", "opt", "var")
_DEBS = STATE / f"debs-{SUITE}"
_OPTIONS = (
    # A test's host must never set the clock of the machine that it shares.
    "--cap-add=ALL", "--cap-drop=SYS_TIME",
    "--security-opt=seccomp=unconfined", "--security-opt=systempaths=unconfined",
    "--security-opt=apparmor=unconfined", "--device-cgroup-rule=a *:* rwm", "--cgroupns=host",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw", "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp",
    "--stop-signal=SIGRTMIN+3", "--hostname=raspberrypi",
)  # fmt: skip
# The Engine mounts an /etc/hostname of its own over the card's at each start: a device's name must outlive a power cut.
_BOOT = "cp /etc/hostname /run/; umount /etc/hostname; [ -s /etc/hostname ] || cp /run/hostname /etc/; exec /sbin/init"


@dataclass
class Done:
    """A command that has ended on the host."""

    code: int
    out: str


@dataclass
class Pi:
    """One host, and the id under which the cloud shall know it."""

    name: str
    network: str
    run: str
    device: str = ""
    image: str = IMAGE
    disk: Path | None = None
    """An empty folder whose file system holds /etc, /opt and /var, for one who counts what is written there."""

    def create(self, card: Mapping[str, str] | None = None) -> None:
        """First boot; `card`: path and text of files that were written onto its card before."""
        docker(
            "create", f"--name={self.name}", f"--network={self.network}", f"--label={LABEL}={self.run}",
            *_OPTIONS, *self._volumes(), self.image,
            "sh", "-c", _BOOT,
        )  # fmt: skip
        for path, text in (card or {}).items():
            with tempfile.NamedTemporaryFile("w", newline="") as file:
                file.write(text)
                file.flush()
                docker("cp", file.name, f"{self.name}:{path}")
        docker("start", self.name)
        self.booted()
        bundle = Path("/etc/ssl/certs/ca-certificates.crt")
        if bundle.is_file():  # a site with an inspecting proxy has its CA on every host
            docker("cp", "--follow-link", str(bundle), f"{self.name}:/etc/ssl/certs/ca-certificates.crt")
        # Packages that an earlier run downloaded; apt checks them against its lists.
        _DEBS.mkdir(parents=True, exist_ok=True)
        self.put(_DEBS, "/var/cache/apt/archives", contents=True)

    def _volumes(self) -> list[str]:
        """Options; what the image has in a folder is copied when a volume is first used."""
        if self.disk is None:
            return [f"--volume={self.name}-docker:/var/lib/docker"]
        for part in _PARTS:
            (self.disk / part).mkdir()
            place = ("--opt=type=none", "--opt=o=bind", f"--opt=device={self.disk / part}")
            docker("volume", "create", "--driver=local", *place, f"{self.name}-{part}")
        return [f"--volume={self.name}-{part}:/{part}" for part in _PARTS]

    def booted(self) -> None:
        """systemd has started what it should."""
        wait_for(
            lambda: self.sh("systemctl is-system-running", check=False).out.strip() in ("running", "degraded"),
            120,
            "the host's boot",
        )

    def take_kit(self, release: Release) -> None:
        """Copy onto it what a technician brings along."""
        self.sh(f"mkdir -p {KIT}")
        self.put(release.signers, f"{KIT}/{release.signers.name}")
        self.put(release.archive, f"{KIT}/release.tar")
        self.sh(f"cd {KIT}; tar -xOf release.tar visant-host-{VERSION}.tar.gz | tar -xz deployment")
        assert self.sh(f"ls -A {KIT}").out.split() == ["allowed_signers", "deployment", "release.tar"]

    def sh(
        self, script: str, *, check: bool = True, stdin: str | None = None, timeout: float = 900, terminal: bool = False
    ) -> Done:
        """Run on the host as root, without a terminal unless asked for one (then stderr and stdout are one)."""
        if terminal:
            script = f"script --quiet --return --command {_quoted(script)} /dev/null"
        done = subprocess.run(
            ["docker", "exec", *(["--interactive"] if stdin is not None else []), self.name, "bash", "-c", script],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=timeout,
        )
        assert done.returncode == 0 or not check, f"{script}: exit {done.returncode}\n{done.stdout}"
        return Done(done.returncode, done.stdout)

    def start(self, script: str) -> subprocess.Popen[str]:
        """As `sh`, without waiting for it; end what it starts on the host there."""
        words = ["docker", "exec", self.name, "bash", "-c", script]
        return subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def put(self, what: Path, to: str, *, contents: bool = False) -> None:
        """Copy a file or folder onto the host, as scp would; `contents`: what is in the folder."""
        docker("cp", f"{what}/." if contents else str(what), f"{self.name}:{to}")

    def write(self, path: str, text: str, mode: str = "644") -> None:
        """A file with this text."""
        self.sh(f"install -D -m {mode} /dev/stdin {_quoted(path)}", stdin=text)

    def wait_for_line(self, file: str, line: str, seconds: float) -> None:
        """Until a file says `line`."""
        wait_for(lambda: line in self.sh(f"cat {file}", check=False).out, seconds, f"{line!r} in {file}")

    def power_cut(self) -> None:
        """Everything stops in the middle."""
        docker("kill", self.name)

    def power_on(self) -> None:
        """Boot after a power cut."""
        docker("start", self.name)
        self.booted()

    def cut_network(self) -> None:
        """Pull the cable."""
        docker("network", "disconnect", self.network, self.name)

    def join_network(self) -> None:
        """Plug it in again."""
        docker("network", "connect", self.network, self.name)

    def files(self) -> set[str]:
        """Every path that an installation could leave behind."""
        pruned = " -o ".join(f"-path /{one}" for one in _LEFT_OUT)
        out = self.sh(f"find / -xdev \\( {pruned} -o -name __pycache__ \\) -prune -o -print").out
        return set(out.splitlines())

    def doctor(self) -> dict[str, Any]:
        """check -> the worst finding of it."""
        worst: dict[str, Any] = {}
        for one in json.loads(self.sh("visantctl doctor --json", check=False).out)["findings"]:
            before = worst.get(one["check"])
            if before is None or "PASS WARN FAIL".index(one["level"]) > "PASS WARN FAIL".index(before["level"]):
                worst[one["check"]] = one
        return worst

    def remove(self) -> None:
        """It and its disk; the packages it downloaded are kept for the next."""
        self.keep_packages()
        docker("rm", "--force", "--volumes", self.name, check=False)
        for part in _PARTS if self.disk else ("docker",):
            docker("volume", "rm", f"{self.name}-{part}", check=False)

    def keep_packages(self) -> None:
        """Copy what apt downloaded here to where the next host finds it."""
        mine = _DEBS.with_name(f".{_DEBS.name}-{os.getpid()}-{threading.get_ident()}")
        docker("cp", f"{self.name}:/var/cache/apt/archives/.", str(mine), check=False)
        for one in mine.glob("*.deb"):
            if not (_DEBS / one.name).exists():
                one.rename(_DEBS / one.name)
        shutil.rmtree(mine, ignore_errors=True)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
