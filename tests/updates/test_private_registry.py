"""A registry that asks for a name and a password, and a disk that fills up while it answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.updates.conftest import GOOD, NEXT, numbered
from tests.updates.host import Host
from tests.updates.registry import PASSWORD, USER, registry
from tests.updates.shop import Shop, docker

PRIVATE = numbered(81)
NOT_LOGGED_IN = 2


def login(host: Host, address: str, password: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(host.root / "current/deployment/bin/visantctl"), "login", address, "--username", USER],
        input=password, env=host.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.long
def test_a_private_registry_opens_with_the_devices_credentials(
    shop: Shop, host: Host, tmp_path: Path, registry_data: Path, free_port: int
) -> None:
    address = f"127.0.0.1:{free_port}"
    shop.need(NEXT)
    images = json.loads((shop.dist / NEXT / "release.json").read_text())["images"]
    for image in images.values():
        image["reference"] = image["reference"].replace(shop.relay, address)
    shop.doctored(NEXT, PRIVATE, {"images": images})
    host.configure(UPDATE_PIN=PRIVATE)
    with registry(registry_data, tmp_path, address, private=True):
        assert f"visantctl login {address}" in host.update(code=NOT_LOGGED_IN)
        host.assert_runs(GOOD)
        wrong = login(host, address, "guessed")
        assert wrong.returncode != 0
        assert "guessed" not in wrong.stdout + wrong.stderr
        right = login(host, address, PASSWORD)
        assert right.returncode == 0, right.stderr
        assert (host.root / "registry/config.json").stat().st_mode & 0o077 == 0
        host.update()
        host.assert_runs(PRIVATE)
    assert PASSWORD not in (host.root / "update.log").read_text()
    for image in images.values():
        docker("rmi", image["reference"])
