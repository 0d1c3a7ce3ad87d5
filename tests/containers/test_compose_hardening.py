"""What a container may do is little, and each line of it is held: as written, and as the Engine has it."""

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.containers.stack import DEVICE, TREE, Stack, docker, wait_for
from tests.support.product import VERSION

MIB = 1 << 20
EVERY = (*DEVICE, "cloud")


@pytest.fixture(scope="module")
def device_config(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """compose.yaml alone, as a device has it, with the example's settings."""
    folder = tmp_path_factory.mktemp("device")
    (folder / "compose.yaml").write_text((TREE / "compose.yaml").read_text())
    (folder / ".env.device").write_text((TREE / ".env.device.example").read_text())
    return dict(json.loads(docker("compose", "--project-directory", str(folder), "config", "--format", "json")))


@pytest.fixture(scope="module")
def created(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Every container of the emulation, made by the Engine and kept from doing its work: each only sleeps."""
    asleep = {"entrypoint": ["sleep", "900"], "healthcheck": {"disable": True}}
    with Stack(tmp_path_factory.mktemp("created"), {"services": {name: asleep for name in EVERY}}) as stack:
        stack.up(*EVERY, wait=False)
        yield stack


def test_the_device_is_these_four_and_nothing_else(device_config: dict[str, Any]) -> None:
    assert set(device_config["services"]) == set(DEVICE)


@pytest.mark.parametrize("service", DEVICE)
def test_it_is_written_so(device_config: dict[str, Any], service: str) -> None:
    found = device_config["services"][service]
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert "cap_add" not in found
    assert "privileged" not in found
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", found["user"]), "numeric user and group"
    assert 0 < found["pids_limit"] <= 128
    assert 0 < int(found["mem_limit"]) <= 320 * MIB
    assert found["restart"] == "unless-stopped"
    assert found["init"] is True
    assert found["ipc"] == "none"
    assert found["logging"]["driver"] == "local"
    assert {"max-size", "max-file"} <= set(found["logging"]["options"])
    assert found["stop_grace_period"]
    assert all("size=" in line and "noexec" in line for line in found["tmpfs"])
    assert found["pull_policy"] == "never", "a name that is not ours"
    assert "devices" not in found


def test_the_memory_of_all_fits_a_small_pi(device_config: dict[str, Any]) -> None:
    assert sum(int(found["mem_limit"]) for found in device_config["services"].values()) <= 1024 * MIB


@pytest.mark.parametrize("service", DEVICE)
def test_a_container_writes_to_these_places_and_no_others(device_config: dict[str, Any], service: str) -> None:
    found = device_config["services"][service]
    more = {"/dev/shm"} if service == "camera" else set()
    assert {line.partition(":")[0] for line in found["tmpfs"]} == {"/tmp", "/run/visant"} | more
    volumes = {mount["target"]: mount["source"] for mount in found["volumes"] if mount["type"] == "volume"}
    assert (
        volumes
        == {
            "redis": {"/data": "redis", "/run/redis": "redis-socket"},
            "camera": {"/var/lib/visant/camera": "camera", "/run/camera": "camera-socket"},
            "connector": {"/run/redis": "redis-socket"},
            "uploader": {
                "/var/lib/visant/spool": "spool",
                "/opt/visant/debug_captures": "debug_captures",
                "/run/redis": "redis-socket",
                "/run/camera": "camera-socket",
            },
        }[service]
    )
    owner = {"redis-socket": "redis", "camera-socket": "camera"}
    for mount in found["volumes"]:
        if mount["type"] == "volume" and mount["source"] in owner:
            assert mount.get("read_only", False) is (owner[mount["source"]] != service), mount
    binds = {mount["target"] for mount in found["volumes"] if mount["type"] == "bind"}  # read-only, see below
    assert (
        binds
        == {
            "redis": set(),
            "camera": {"/dev"},
            "connector": {"/run/secrets"},
            "uploader": {"/run/secrets", "/run/visant-updates", "/run/visant-host"},
        }[service]
    )


def test_networks_are_as_the_design_says(device_config: dict[str, Any]) -> None:
    networks = {name: set(found.get("networks", ())) for name, found in device_config["services"].items()}
    assert networks == {"redis": set(), "camera": {"camera"}, "connector": {"uplink"}, "uploader": {"uplink"}}
    assert device_config["services"]["redis"]["network_mode"] == "none"
    assert set(device_config["networks"]) == {"camera", "uplink"}


def test_only_the_camera_is_published_and_only_to_the_host_itself(device_config: dict[str, Any]) -> None:
    ports = {name: found["ports"] for name, found in device_config["services"].items() if found.get("ports")}
    assert list(ports) == ["camera"]
    (port,) = ports["camera"]
    assert (port["host_ip"], port["published"], port["target"]) == ("127.0.0.1", "8080", 8080)


def test_the_camera_has_video_devices_and_no_others(device_config: dict[str, Any]) -> None:
    camera = device_config["services"]["camera"]
    assert camera["device_cgroup_rules"] == ["c 81:* rmw"]
    assert camera["group_add"] == ["44"]
    (dev,) = [mount for mount in camera["volumes"] if mount["type"] == "bind"]
    assert (dev["source"], dev["target"], dev["read_only"]) == ("/dev", "/dev", True)
    for name in {*DEVICE} - {"camera"}:
        assert not {"device_cgroup_rules", "group_add"} & set(device_config["services"][name])


def test_no_container_sees_the_engine_or_the_host(device_config: dict[str, Any]) -> None:
    text = json.dumps(device_config)
    assert "docker.sock" not in text
    for found in device_config["services"].values():
        assert found.get("network_mode", "none") == "none"
        assert not {"pid", "userns_mode", "uts"} & set(found)
        for mount in found.get("volumes", []):
            assert mount["type"] == "volume" or mount["read_only"] is True, mount


@pytest.mark.parametrize("service", EVERY)
def test_the_engine_has_it_so(created: Stack, service: str) -> None:
    found = created.inspect(service)
    host = found["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["Privileged"] is False
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["PidsLimit"] > 0
    assert host["Memory"] > 0
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["Init"] is True
    assert host["IpcMode"] == "none"
    assert host["LogConfig"]["Type"] == "local"
    assert {"max-size", "max-file"} <= set(host["LogConfig"]["Config"])
    assert not host["Devices"]
    assert found["Config"]["User"] == "10001:10001"
    assert 10 <= found["Config"]["StopTimeout"] <= 60
    assert not [mount for mount in found["Mounts"] if mount["Type"] == "bind" and mount["RW"]]
    published = {port: binds for port, binds in (host["PortBindings"] or {}).items()}
    assert all(bind["HostIp"] == "127.0.0.1" for binds in published.values() for bind in binds)


@pytest.mark.parametrize("service", EVERY)
def test_the_image_says_what_it_is_and_how_it_fares(created: Stack, service: str) -> None:
    image = json.loads(docker("image", "inspect", created.config()["services"][service]["image"]))[0]
    config = image["Config"]
    assert config["User"] == "10001:10001"
    assert config["Healthcheck"]["Test"][0] == "CMD", "a health check without a shell"
    labels = config["Labels"]
    for name in ("version", "revision", "source", "title"):
        assert labels[f"org.opencontainers.image.{name}"]
    assert labels["org.opencontainers.image.version"] == VERSION
    if service != "redis":  # as its packages say, and the services to the cloud
        assert docker("exec", created.container(service), f"visant-{service}", "version").split()[1] == VERSION


@pytest.mark.parametrize(("service", "most"), [("camera", 250), ("connector", 60), ("uploader", 60)])
def test_an_image_is_small(created: Stack, service: str, most: int) -> None:
    image = created.config()["services"][service]["image"]
    steps = docker("history", "--no-trunc", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", image)
    own = [int(line.partition(" ")[0]) for line in steps.splitlines() if " COPY " in line]
    assert 10 * MIB < sum(own) <= most * 1_000_000


@pytest.mark.parametrize("service", EVERY)
def test_inside_there_is_no_way_to_more(created: Stack, service: str) -> None:
    shell = """
        id -u; id -g
        grep -E '^(CapEff|CapPrm|CapBnd|NoNewPrivs)' /proc/self/status | tr -d '\\t '
        for place in / /app /etc /dev /dev/shm /run /var/tmp; do
            touch $place/probe 2>/dev/null && echo "written: $place"
        done
        cp /bin/true /tmp/probe && /tmp/probe 2>/dev/null && echo "ran from /tmp"
        for tool in pip uv gcc cc curl wget; do command -v $tool; done
        test -S /var/run/docker.sock && echo docker.sock
        true
    """
    lines = docker("exec", created.container(service), "sh", "-c", shell).split("\n")
    assert [line for line in lines if line] == [
        "10001",
        "10001",
        "CapPrm:0000000000000000",
        "CapEff:0000000000000000",
        "CapBnd:0000000000000000",
        "NoNewPrivs:1",
    ]


def test_nothing_of_the_build_is_left_in_a_python_image(created: Stack) -> None:
    code = "import importlib.util as u; print([m for m in ('pip', 'uv', 'setuptools', 'wheel') if u.find_spec(m)])"
    for service in ("camera", "connector", "uploader", "cloud"):
        assert created.python(service, code) == "[]"


def test_the_device_carries_none_of_the_clouds_dependencies(created: Stack) -> None:
    code = "import importlib.util as u; print([m for m in ('fastapi', 'sqlalchemy', 'alembic') if u.find_spec(m)])"
    for service in ("camera", "connector", "uploader"):
        assert created.python(service, code) == "[]"
    assert created.python("cloud", code) != "[]", "the probe can find something"
    assert created.python("connector", "import importlib.util as u; print(u.find_spec('cv2'))") == "None"


def test_redis_has_no_network(created: Stack) -> None:
    routes = docker("exec", created.container("redis"), "cat", "/proc/net/route").split("\n")[1:]
    assert not [line for line in routes if line.strip()], "no route, not even to a neighbour"


@pytest.mark.skipif(os.getuid() != 0, reason="only root makes device nodes")
def test_a_camera_plugged_in_later_is_opened_and_no_other_device_is(created: Stack) -> None:
    """A node without a driver answers ENXIO to whoever may open it, and EPERM to whoever may not."""
    camera, other = Path("/dev/video250"), Path("/dev/visant-test-other")
    code = """
import os
for path in ("/dev/video250", "/dev/visant-test-other", "/dev/kmsg"):
    try:
        print(os.open(path, os.O_RDWR) and "opened")
    except OSError as error:
        print(error.errno if error.errno != 13 else 1)
"""
    assert created.python("camera", code).split() == ["2", "2", "1"], "started without either node"
    try:
        os.mknod(camera, stat.S_IFCHR, os.makedev(81, 250))
        os.chmod(camera, 0o660)
        os.chown(camera, 0, 44)
        os.mknod(other, stat.S_IFCHR, os.makedev(89, 250))  # an I2C bus, open to all by its mode
        os.chmod(other, 0o666)
        enxio, eperm = "6", "1"
        assert created.python("camera", code).split() == [enxio, eperm, eperm]
        assert created.python("connector", code).split()[0] == "2", "the others do not even see it"
    finally:
        camera.unlink(missing_ok=True)
        other.unlink(missing_ok=True)


def test_a_running_container_keeps_its_temporary_files_in_memory(created: Stack) -> None:
    for service in EVERY:
        mounts = docker("exec", created.container(service), "cat", "/proc/mounts")
        kinds = {line.split()[1]: line.split()[2] for line in mounts.splitlines()}
        assert kinds["/tmp"] == "tmpfs"
        assert kinds["/run/visant"] == "tmpfs"


def test_the_volumes_are_the_services_own(created: Stack) -> None:
    places = {
        "redis": ["/data"],
        "camera": ["/var/lib/visant/camera"],
        "uploader": ["/var/lib/visant/spool", "/opt/visant/debug_captures"],
        "cloud": ["/var/lib/visant/cloud"],
    }
    for service, folders in places.items():
        for folder in folders:
            docker("exec", created.container(service), "sh", "-c", f"touch {folder}/probe && rm {folder}/probe")


def test_wrong_settings_end_with_one_line_and_the_engine_does_not_spin(tmp_path: Path) -> None:
    wrong = {"services": {"connector": {"environment": {"DEVICE_ID": "", "API_URL": "https://cloud.example"}}}}
    with Stack(tmp_path, wrong) as stack:
        stack.up("connector", wait=False)
        wait_for("it says what is missing", lambda: "DEVICE_ID" in stack.logs("connector"))
        assert "Traceback" not in stack.logs("connector")
        assert stack.inspect("connector")["State"]["ExitCode"] in (0, 78)
