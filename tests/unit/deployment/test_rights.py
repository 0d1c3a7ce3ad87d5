"""What a container may do beyond what compose.yaml gives it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from visantctl.doctor.checks.rights import beyond

ROOT = Path("/opt/visant")
CAMERA: dict[str, Any] = {
    "HostConfig": {
        "Privileged": False, "CapAdd": None, "CapDrop": ["ALL"], "Devices": [], "DeviceCgroupRules": ["c 81:* rmw"],
        "NetworkMode": "visant_camera", "PidMode": "", "IpcMode": "none", "UTSMode": "", "UsernsMode": "",
        "SecurityOpt": ["no-new-privileges:true"], "ReadonlyRootfs": True,
        "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
    },
    "Config": {"User": "10001:10001"},
    "Mounts": [
        {"Type": "bind", "Source": "/dev", "RW": False},
        {"Type": "bind", "Source": "/opt/visant/secrets", "RW": False},
        {"Type": "bind", "Source": "/run/visant-host", "RW": False},
        {"Type": "bind", "Source": "/data/spool", "RW": True},
        {"Type": "volume", "Source": "/var/lib/docker/volumes/visant_camera/_data", "RW": True},
    ],
}  # fmt: skip


def test_a_container_as_the_release_makes_it_has_nothing_beyond() -> None:
    assert beyond(CAMERA, ROOT, [Path("/data/spool")]) == []


@pytest.mark.parametrize(
    ("part", "key", "value", "said"),
    [
        ("HostConfig", "Privileged", True, "privileged"),
        ("HostConfig", "CapAdd", ["SYS_ADMIN"], "capability SYS_ADMIN"),
        ("HostConfig", "CapDrop", None, "the Engine's default capabilities"),
        ("HostConfig", "Devices", [{"PathOnHost": "/dev/sda"}], "device /dev/sda"),
        ("HostConfig", "DeviceCgroupRules", ["a *:* rwm"], "devices a *:* rwm"),
        ("HostConfig", "NetworkMode", "host", "NetworkMode host"),
        ("HostConfig", "PidMode", "host", "PidMode host"),
        ("HostConfig", "IpcMode", "host", "IpcMode host"),
        ("HostConfig", "SecurityOpt", ["no-new-privileges:true", "seccomp=unconfined"], "seccomp:unconfined"),
        ("HostConfig", "SecurityOpt", [], "new privileges"),
        ("HostConfig", "ReadonlyRootfs", False, "a writable root file system"),
        (
            "HostConfig",
            "PortBindings",
            {"8080/tcp": [{"HostIp": "", "HostPort": "8080"}]},
            "port 8080 for all",
        ),
        ("Config", "User", "", "user root"),
        ("Config", "User", "0", "user 0"),
    ],
)
def test_each_right_that_an_edit_can_add_is_named(part: str, key: str, value: Any, said: str) -> None:
    edited = copy.deepcopy(CAMERA)
    edited[part][key] = value
    assert beyond(edited, ROOT, [Path("/data/spool")]) == [said]


@pytest.mark.parametrize(
    ("source", "writes", "said"),
    [
        ("/var/run/docker.sock", True, "/var/run/docker.sock"),
        ("/", False, "/ (read-only)"),
        ("/dev", True, "/dev"),
        ("/opt/visant/secrets", True, "/opt/visant/secrets"),
        ("/run/visant-host", True, "/run/visant-host"),
        ("/opt/visant/releases", True, "/opt/visant/releases"),
    ],
)
def test_a_folder_of_the_host_that_is_let_in_is_named(source: str, writes: bool, said: str) -> None:
    edited = copy.deepcopy(CAMERA)
    edited["Mounts"].append({"Type": "bind", "Source": source, "RW": writes})
    assert beyond(edited, ROOT, [Path("/data/spool")]) == [said]
