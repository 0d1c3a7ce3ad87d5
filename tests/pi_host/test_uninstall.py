"""What uninstall.sh keeps when it is told to, and that an installation finds it again. All of it gone: test_life."""

from __future__ import annotations

from tests.pi_host.cloud import Cloud
from tests.pi_host.conftest import NewPi
from tests.pi_host.pi import FROM_KIT, INSTALL
from tests.pi_host.release import VERSION
from tests.pi_host.ways import install, picture

UNINSTALL = "/opt/visant/deployment/uninstall.sh"


def test_what_is_kept_is_there_and_a_new_installation_goes_on_with_it(new_pi: NewPi, cloud: Cloud) -> None:
    pi = new_pi("UNINSTALL", engine=True)
    pi.sh("apt-get -qq update; apt-get -qq install -y --no-install-recommends libv4l-0 2>&1 || true")
    install(pi, cloud)
    picture(pi, cloud)
    settings = pi.sh("cat /opt/visant/.env.device /opt/visant/secrets/device_token").out
    done = pi.sh(f"{UNINSTALL} --keep-data --keep-config --yes")
    assert "data stay" in done.out
    assert "settings stay" in done.out
    assert set(pi.sh("ls -A /opt/visant").out.split()) == {
        ".env.device", "allowed_signers", "debug_captures", "secrets", "state",
    }  # fmt: skip
    assert "visant_spool" in pi.sh("docker volume ls --quiet").out
    assert not pi.sh("docker ps --all --quiet; docker images --quiet").out
    assert not pi.sh("ls /etc/systemd/system | grep visant; ls /usr/local/bin/visantctl", check=False).out.startswith(
        "v"
    )
    done = pi.sh(f"{INSTALL} {FROM_KIT} --yes", check=False)
    assert done.code == 0, done.out
    assert pi.sh("cat /opt/visant/.env.device /opt/visant/secrets/device_token").out == settings
    picture(pi, cloud)

    # A folder that was set later, in a way that Compose takes; the volume holds a picture from before.
    spool = pi.sh("docker volume inspect --format '{{.Mountpoint}}' visant_spool").out.strip()
    pictures = f"{spool}/x.picture /opt/visant/spool/y.picture"
    pi.sh("systemctl stop visant-device-v2.service")
    pi.sh("cat >>/opt/visant/.env.device", stdin="export VISANT_SPOOL = '/opt/visant/spool' # SSD\n")
    pi.sh(f"mkdir -p /opt/visant/spool; touch {pictures}")
    refused = pi.sh(f"{UNINSTALL} --yes", check=False)
    assert refused.code == 1
    assert "2 pictures are not delivered yet" in refused.out
    pi.sh(f"rm {pictures}")

    # Somebody else needs Docker and one of the packages that came along by now.
    pi.sh("docker volume create somebody; apt-mark manual v4l-utils")
    pi.sh(f"{UNINSTALL} --keep-docker --yes")
    assert pi.sh("ls -A /opt/visant").out.split() == ["state"]
    assert pi.sh("docker volume ls --quiet").out.split() == ["somebody"]
    done = pi.sh(f"{INSTALL} --device-id {pi.device} --api-url {cloud.url} {FROM_KIT} --camera fake --yes", check=False)
    assert "no token" in done.out

    pi.sh(f"docker run -d --name somebody --entrypoint sleep visant/redis:{VERSION} infinity")
    done = pi.sh(f"{UNINSTALL} --yes")
    assert "Docker stays: there are containers or volumes of others" in done.out
    assert pi.sh("docker ps --quiet").out
    pi.sh(f"{INSTALL} --device-id {pi.device} --api-url {cloud.url} {FROM_KIT} --camera fake --yes", check=False)
    pi.sh("docker rm -f somebody; docker volume rm somebody")
    pi.sh(f"{UNINSTALL} --yes")
    assert (
        pi.sh(
            "command -v dockerd; ls -d /opt/visant /etc/docker /var/lib/containerd /run/visant-host", check=False
        ).out.count("No such")
        == 4
    )
    pi.remove()
