"""OpenStack Swift with its S3 interface: account, container, object and proxy server, one process each.

    /usr/bin/python3 swift_servers.py FOLDER

Runs under Debian's Python (Swift is Debian's package, and no wheel has all of it) and imports nothing of ours. Prints
the proxy's port when all four serve; ends with its standard input. FOLDER must take extended attributes. `--check`:
only says what is missing; `--packages`: the Debian packages that bring it.

One replica, no daemons beside the servers. The account `visant` has the S3 keys KEY_ID and SECRET.
Configuration: https://docs.openstack.org/swift/latest/admin/middleware.html#s3api and the samples in python3-swift.
"""

import os
import pwd
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

PACKAGES = "python3-swift"
KEY_ID, SECRET = "visant:cloud", "only-for-tests"
STRANGER_ID, STRANGER_SECRET = "others:cloud", "only-for-tests-too"
PARTITION_POWER = 2
PATIENCE = 60
"""Seconds; the half second that the servers give each other is too short on a machine that is busy."""
LISTED_AT_ONCE = 10
"""Objects in one answer; 1,000 elsewhere, which no test would fill."""

_SERVER = """[DEFAULT]
devices = {folder}/devices
mount_check = false
swift_dir = {folder}
user = {user}
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
fallocate_reserve = 0
log_level = WARNING

[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}
conn_timeout = {patience}
node_timeout = {patience}
container_update_timeout = {patience}
"""

_PROXY = """[DEFAULT]
swift_dir = {folder}
user = {user}
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
log_level = WARNING

[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache bulk s3api tempauth copy slo dlo proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
conn_timeout = {patience}
node_timeout = {patience}
recoverable_node_timeout = {patience}
error_suppression_limit = 1000000

[filter:cache]
paste.filter_factory = swift_servers:cache

[filter:tempauth]
use = egg:swift#tempauth
user_visant_cloud = {secret} .admin
user_others_cloud = {stranger_secret} .admin

[filter:s3api]
use = egg:swift#s3api
max_bucket_listing = {listed}
"""

_PLAIN = ("catch_errors", "gatekeeper", "healthcheck", "bulk", "copy", "slo", "dlo")


def check() -> str:
    """What is missing, in words; empty where nothing is."""
    try:
        import swift.common.middleware.s3api.s3api
        import swift.obj.server  # noqa: F401
    except ImportError as error:
        return str(error)
    return ""


class _Cache:
    """What Swift wants of memcached, in the proxy's own memory."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Any, float]] = {}

    def get(self, key: str, **_: Any) -> Any:
        """None where it is not there, or no longer."""
        value, ends = self._kept.get(key, (None, 0.0))
        return value if time.time() < ends else None

    def set(self, key: str, value: Any, **more: Any) -> None:
        """`time` in `more`: seconds, 0 or missing: for ever."""
        self._kept[key] = (value, time.time() + (more.get("time") or 1e9))

    def delete(self, key: str, **_: Any) -> None:
        """Nothing happens where it is gone."""
        self._kept.pop(key, None)


def cache(global_conf: dict[str, str], **_: str) -> Callable[[Any], Any]:
    """A filter factory of paste.deploy: each request sees the one cache."""
    kept = _Cache()

    def wrapped(app: Any) -> Any:
        def call(environ: dict[str, Any], start_response: Any) -> Any:
            environ["swift.cache"] = kept
            return app(environ, start_response)

        return call

    return wrapped


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _configure(folder: str, ports: dict[str, int]) -> None:
    from swift.common.ring import RingBuilder

    user = pwd.getpwuid(os.getuid()).pw_name
    with open(f"{folder}/swift.conf", "w") as file:
        file.write("[swift-hash]\nswift_hash_path_prefix = visant\nswift_hash_path_suffix = visant\n")
    os.makedirs(f"{folder}/devices/d1", exist_ok=True)
    for kind in ("account", "container", "object"):
        with open(f"{folder}/{kind}.conf", "w") as file:
            file.write(_SERVER.format(folder=folder, user=user, kind=kind, port=ports[kind], patience=PATIENCE))
        ring = RingBuilder(PARTITION_POWER, 1, 0)
        ring.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": ports[kind], "device": "d1", "weight": 1.0})
        ring.rebalance()
        ring.get_ring().save(f"{folder}/{kind}.ring.gz")
    with open(f"{folder}/proxy.conf", "w") as file:
        file.write(
            _PROXY.format(
                folder=folder,
                user=user,
                port=ports["proxy"],
                secret=SECRET,
                stranger_secret=STRANGER_SECRET,
                listed=LISTED_AT_ONCE,
                patience=PATIENCE,
            )
            + "".join(f"\n[filter:{name}]\nuse = egg:swift#{name}\n" for name in _PLAIN)
        )


def _serve(folder: str, kind: str) -> NoReturn:
    from swift.common.wsgi import run_wsgi

    more: dict[str, Any] = {}
    if kind == "object":
        from swift.obj import server

        more["global_conf_callback"] = server.global_conf_callback
    sys.exit(run_wsgi(f"{folder}/{kind}.conf", f"{kind}-server", verbose=True, **more))


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"GET /healthcheck HTTP/1.0\r\n\r\n")
            return connection.recv(12) != b""
    except OSError:
        return False


def main(folder: str) -> None:
    """Until standard input ends."""
    import swift.common.middleware.s3api.s3api
    import swift.obj.server  # noqa: F401 - imported once, before the four go apart
    from swift.common import utils

    kinds = ("account", "container", "object", "proxy")
    ports = dict(zip(kinds, _free_ports(len(kinds)), strict=True))
    _configure(folder, ports)
    utils.set_swift_dir(folder)
    children = []
    for kind in kinds:
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(2, 1)
            _serve(folder, kind)
        children.append(child)
    try:
        while not all(_answers(ports[kind]) for kind in kinds):
            if any(os.waitpid(child, os.WNOHANG)[0] for child in children):
                sys.exit("one of Swift's servers ended")
            time.sleep(0.02)
        print(ports["proxy"], flush=True)
        sys.stdin.buffer.read()
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    del sys.path[0]  # a file beside this one is called swift as well
    sys.modules["swift_servers"] = sys.modules["__main__"]  # for the proxy's configuration
    if sys.argv[1:] == ["--packages"]:
        print(PACKAGES)
    elif sys.argv[1:] == ["--check"]:
        sys.exit(check() or None)
    else:
        main(sys.argv[1])
