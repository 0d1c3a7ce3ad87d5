"""How each command of the guides is run by test_guides.py: verbatim, but for the stand-ins of SAME_THING."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.product import VERSION as PRODUCT

SAME_THING = {
    "--enrol - --from": "--enrol - --camera fake --from",  # there is no webcam here
    "https://your-cloud.example": "{url}",
    f"visant-{PRODUCT}-arm64.tar": "release.tar",
    "create-device --old-client ID": "create-device --old-client OLD1",
    "enrol-code --device-id ID": "enrol-code --device-id OLD1",
    "configure KEY=VALUE": "configure LOG_LEVEL=INFO",
    "logs -n 50 NAME": "logs -n 50 uploader",
    "enrol CODE": "enrol {code}",
}
"""What a reader puts in place of a guide's example."""


@dataclass(frozen=True)
class Run:
    """On the device of DEPLOYMENT.md, or in the cloud; `{code}` is a fresh enrolment code that may take over."""

    says: str = ""
    """A regular expression that the output has."""
    code: int = 0
    typed: str | None = None
    """Standard input; a `None` is an empty one."""
    before: str = ""
    after: str = ""
    """To leave the device as it was."""
    seconds: int = 0
    """Ended by Ctrl-C after so long; 0: it ends by itself."""
    cloud: bool = False
    terminal: bool = False
    """It asks for one."""


@dataclass(frozen=True)
class Elsewhere:
    """Needs a host of its own: another test runs it, whose file has this text."""

    file: str
    text: str


RESTART = "systemctl restart visant-device-v2"
WIFI = "nmcli connection delete 'Hall 3'"
KEY = "printf tskey-auth-abc >key-file"
AGAIN = f"sudo deployment/install_device.sh --from visant-{PRODUCT}-arm64.tar --allowed-signers allowed_signers --yes"
EDITOR = r"""printf '%s\n' '#!/bin/sh' 'printf "%s\n" [Timer] OnCalendar=03:00 >"$1"' >/usr/local/bin/editor
chmod 755 /usr/local/bin/editor"""
"""A person who types two lines: what sudo passes on of the environment names no editor."""
INSTALL = (
    "sudo deployment/install_device.sh --device-id FLOOR1 --api-url https://your-cloud.example "
    f"--enrol - --from visant-{PRODUCT}-arm64.tar --allowed-signers allowed_signers"
)

RUNS: dict[str, Run | Elsewhere] = {
    # DEPLOYMENT.md
    "visant-cloud enrol-code --device-id FLOOR1": Run(r"^\w{5}-\w{5}$", cloud=True),
    INSTALL: Run("0 failed", typed="{code}"),
    "sudo visantctl doctor": Run("0 failed"),
    "/opt/visant/deployment/verify_deployment.sh": Run("0 failed"),
    "sudo visantctl camera probe": Run("no camera found", code=1),
    "sudo visantctl camera snapshot --out first.jpg": Run(r"first.jpg: \d+ kB"),
    "sudo tail -f /var/log/visant-install.log": Run("state: visantctl status", seconds=2),
    "visant-cloud create-device": Run(code=2, says="ID", cloud=True),
    "visantctl aim": Run("ssh"),
    "visantctl aim --help": Run("--listen"),
    "visantctl status": Run(PRODUCT),
    "visantctl logs -f": Run("Connection confirmed by server", seconds=4),
    "sudo systemctl restart visant-device-v2": Run(),
    # MIGRATION.md
    AGAIN: Elsewhere("test_take_over.py", "INSTALL"),
    "sudo visantctl take-over --back": Elsewhere("test_take_over.py", "visantctl take-over --back"),
    "sudo rm -rf /opt/visant/old": Run(),
    "visant-cloud create-device --old-client ID": Run(cloud=True),
    "visant-cloud enrol-code --device-id ID": Run(r"\w{5}-\w{5}", cloud=True),
    "sudo visantctl enrol": Run("enrolled as FLOOR1", typed="{code}", after=RESTART),
    "sudo visantctl configure KEY=VALUE": Run(".env.device"),
    "visantctl run": Elsewhere("../../deployment/systemd/visant-device-v2.service", "visantctl run"),
    "sudo visantctl update": Run("UPDATE_URL is not set"),
    "visantctl history": Run(),
    "sudo visantctl camera snapshot": Run(r"snapshot.jpg: \d+ kB"),
    '~/addwifi.sh "Network"': Run("Network added", typed="pass word 1", after="nmcli connection delete Network"),
    "sudo systemctl edit visant-update.timer": Run(
        before=EDITOR,
        after="systemctl cat visant-update.timer | grep OnCalendar=03:00; systemctl revert visant-update.timer; "
        "rm /usr/local/bin/editor",
        terminal=True,
    ),
    # OPERATIONS.md
    "sudo visantctl doctor --fix": Run("0 failed"),
    "sudo visantctl status": Run(PRODUCT),
    "sudo visantctl logs -f": Run(seconds=4),
    "sudo visantctl logs -n 50 connector": Run("connector"),
    "sudo visantctl camera snapshot --out now.jpg": Run(r"now.jpg: \d+ kB"),
    "sudo visantctl spool ls": Run(),
    "sudo visantctl support-bundle": Run("without tokens", after="rm visant-support-*.tar.gz"),
    "sudo visantctl configure CAMERA_RESOLUTION=1280x720": Run("CAMERA_RESOLUTION"),
    "sudo visantctl aim --listen": Run("PIN", seconds=6),
    "visantctl logs": Run("connector"),
    "visantctl logs connector": Run("Connection confirmed by server"),
    "journalctl -u visant-device-v2.service -f": Run(r" (camera|connector|uploader|redis)\[\d+\]: ", seconds=4),
    "sudo visantctl update --from release.tar": Run(),
    "sudo visantctl rollback": Elsewhere("../updates/test_releases.py", 'host.ctl("rollback")'),
    "sudo visantctl history": Run(),
    "sudo visantctl configure HTTPS_PROXY=http://proxy.example:3128 NO_PROXY=.example.org": Run(
        "HTTPS_PROXY", after="sed -i '/^HTTPS_PROXY=/d; /^NO_PROXY=/d' /opt/visant/.env.device"
    ),
    "sudo install -m 640 -g 10001 ca.pem /opt/visant/secrets/ca.pem": Run(
        before="cp /etc/ssl/certs/ca-certificates.crt ca.pem"
    ),
    "sudo visantctl configure SSL_CERT_FILE=/run/secrets/ca.pem": Run("SSL_CERT_FILE"),
    "sudo visantctl clock": Run("right within"),
    "sudo visantctl address-pools --write": Run("fits"),
    "sudo visantctl enrol CODE": Run("enrolled as FLOOR1", after=RESTART),
    "sudo visantctl logs -n 50 NAME": Run("uploader"),
    "sudo visantctl spool export /opt/visant/debug_captures/rescue --jpeg": Run(),
    "systemctl status visant-device-v2 docker": Run("active"),
    "journalctl -u visant-device-v2 -n 50": Run(),
    "journalctl -k": Run(),
    "journalctl --boot=-1": Elsewhere("test_upkeep.py", "journalctl --no-pager -g before-the-cut"),
    "journalctl --boot=-1 -n 100": Elsewhere("test_upkeep.py", "journalctl --no-pager -g before-the-cut"),
    "sudo /opt/visant/current/deployment/install_device.sh": Run("0 failed"),
    "sudo visantctl logs -n 50 camera": Run("camera"),
    "sudo journalctl --vacuum-size=100M": Run(),
    "sudo visantctl spool export /opt/visant/debug_captures/away --jpeg": Run(),
    "sudo visantctl logs connector": Run("connector"),
    "last reboot": Run(),
    "sudo visantctl spool requeue all": Run(),
    "sudo visantctl spool requeue all --here": Run(),
    # WIFI.md
    'sudo ~/addwifi.sh "Hall 3"': Run("Hall 3 added", typed="pass word 1"),
    'sudo ~/addwifi.sh "Hall 3" --hidden': Run("Hall 3 changed", typed="pass word 1"),
    'sudo ~/addwifi.sh "Hall 3" --priority 50': Run("Hall 3 changed", typed="pass word 1"),
    'sudo ~/addwifi.sh "Hall 3" <password-file': Run("Hall 3 changed", before="echo 'pass word 2' >password-file"),
    'sudo ~/addwifi.sh -- "-5G-"': Run("-5G- added", typed="pass word 1", after="nmcli connection delete id -5G-"),
    "~/addwifi.sh --list": Run("Hall 3 +priority 50"),
    'sudo nmcli connection delete "Hall 3"': Run("successfully deleted"),
    "nmcli device wifi list": Run(),
    # COMITUP.md
    "sudo visantctl hotspot setup": Run(
        "hotspot visant-",
        before="apt-get -qq update; DEBIAN_FRONTEND=noninteractive "
        "apt-get -qq install -y --no-install-recommends comitup </dev/null >/dev/null",
    ),
    "sudo visantctl hotspot show": Run(r"hotspot visant-\w{4}, password \S{14}, http://10.41.0.1"),
    "sudo visantctl hotspot show --qr": Run("█"),
    "sudo visantctl hotspot setup --new": Run("hotspot visant-"),
    "sudo visantctl hotspot setup --open": Run("open"),
    "sudo visantctl hotspot off": Run("off"),
    "sudo cat /var/log/comitup.log": Run("comitup"),
    # TAILSCALE.md
    "sudo deployment/install_device.sh --from release.tar --allowed-signers allowed_signers --tailscale-key key-file "
    "--yes": Run("joined as visant-floor1", before=KEY),
    "visantctl aim --listen tailscale": Elsewhere("../integration/deployment/test_aim.py", "tailscale"),
    "sudo visantctl remote setup --key-file key-file": Run("joined as visant-floor1", before=KEY),
    "sudo visantctl remote setup --key-file - <key-file": Run("joined as visant-floor1", before=KEY),
    "sudo visantctl remote setup": Run("joined as visant-floor1"),
    "visantctl remote status": Run("Running: visant-floor1"),
    "shred -u key-file": Run(before=KEY),
    # CLONING.md
    "visantctl prepare-clone --ids list.csv --out cards": Run(
        "2 cards in cards",
        before="printf 'id,wifi_ssid,wifi_password\nCAM-01,Hall 3,the password\nCAM-02,,\n' >list.csv",
    ),
    "visant-cloud enrol-code --device-id CAM-01 --hours 168": Run(r"\w{5}-\w{5}", cloud=True),
    "visant-cloud revoke-device FLOOR1": Elsewhere("test_fleet.py", '"revoke-device"'),
    "journalctl -u visant-firstboot": Elsewhere("test_fleet.py", "journalctl -u visant-firstboot"),
    "sudo visantctl first-boot --once": Run("nothing to do"),
    "sudo visantctl prepare-clone --yes": Elsewhere("test_fleet.py", "visantctl prepare-clone --yes"),
    "sudo poweroff": Elsewhere("test_fleet.py", "sudo poweroff"),
    # the end
    "sudo /opt/visant/deployment/uninstall.sh --yes": Run("removed"),
}
"""In the order in which they are run."""
