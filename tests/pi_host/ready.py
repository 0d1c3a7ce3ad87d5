"""A host that has Docker already, kept as an image: for tests of what comes after that part of the installation."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from tests.pi_host.pi import IMAGE, KIT, SUITE, Pi
from tests.pi_host.release import TREE, docker

_PARTS = ("say", "memory", "packages", "engine")
_PREPARE = f"""
set -euo pipefail
HERE={KIT}/deployment UNITS=/etc/systemd/system ROOT=/opt/visant OS_RELEASE=/etc/os-release CODENAME={SUITE}
for part in {" ".join(_PARTS)}; do . $HERE/install/$part.sh; done
ctl() {{ python3 -B "$HERE/bin/visantctl" "$@"; }}
install_what_is_missing
ensure_address_pools
systemctl stop docker.socket docker.service
# Each host that is made of this has an identity and a Docker of its own.
rm -rf {KIT} /opt/visant/releases
: >/etc/machine-id
"""


def engine_image(network: str, run: str) -> str:
    """Name of the image; made by the installer's own functions where the tree's differ from the last ones."""
    parts = [TREE / f"deployment/install/{one}.sh" for one in _PARTS]
    base = docker("image", "inspect", "--format", "{{.Id}}", IMAGE)
    key = hashlib.sha256(b"".join(one.read_bytes() for one in parts) + base.encode() + _PREPARE.encode()).hexdigest()
    name = f"visant-lab/pi-host-engine:{SUITE}-{key[:12]}"
    if docker("images", "--quiet", name):
        return name
    pi = Pi(f"{network}-engine", network, run)
    try:
        pi.create()
        pi.sh(f"mkdir -p {KIT}")
        pi.put(TREE / "deployment", f"{KIT}/deployment")
        pi.sh(_PREPARE)
        pi.keep_packages()
        pi.sh("rm -f /var/cache/apt/archives/*.deb")
        docker("stop", pi.name)
        docker("commit", "--change", 'CMD ["/sbin/init"]', pi.name, name)
    finally:
        pi.remove()
    for old in docker("images", "--format", "{{.Repository}}:{{.Tag}}", "visant-lab/pi-host-engine").splitlines():
        created = datetime.fromisoformat(docker("image", "inspect", "--format", "{{.Created}}", old)[:19] + "+00:00")
        if old != name and datetime.now(UTC) - created > timedelta(days=1):  # of an older tree
            docker("rmi", old, check=False)
    return name
