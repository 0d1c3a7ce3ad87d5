"""Runs in the rig's virtual machine, as root, on a clock of its own: sets it a year back and lets visantctl find out.

python -m tests.pi_host.year_behind FOLDER, with `deployment` in PYTHONPATH. In FOLDER are ca.pem, now.pem (a valid
certificate with its key) and ended.pem (one that ended).
"""

import os
import ssl
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path

from visantctl.network import clock

from tests.support.hard_network import TlsFront

TREE = Path(__file__).resolve().parents[2]

YEAR = 365 * 86400
FOLDER = Path(sys.argv[1])
TRUE, SINCE = time.time(), time.monotonic()


def true_time() -> float:
    return TRUE + time.monotonic() - SINCE


def answer() -> bytes:
    return (
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n"
        f"Date: {formatdate(true_time(), usegmt=True)}\r\n\r\n"
    ).encode()


def visantctl_clock(url: str) -> tuple[int, str]:
    root = Path("/run/visant-root")
    root.mkdir(exist_ok=True)
    (root / ".env.device").write_text(f"DEVICE_ID=A1\nAPI_URL={url}\nSSL_CERT_FILE={FOLDER}/ca.pem\n")
    done = subprocess.run(
        [sys.executable, str(TREE / "deployment/bin/visantctl"), "clock"],
        env={**os.environ, "VISANT_ROOT": str(root)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=200, check=False,
    )  # fmt: skip
    print(f"visantctl clock: {done.returncode}: {done.stdout.strip()}", flush=True)
    return done.returncode, done.stdout


def main() -> None:
    assert Path("/run/results").is_dir(), "this sets the clock: only in the virtual machine"
    for name, set_right in (("now", True), ("ended", False)):
        with TlsFront(FOLDER / f"{name}.pem", answer) as front:
            time.clock_settime(time.CLOCK_REALTIME, true_time() - YEAR)
            try:
                clock.look(front.url, {"SSL_CERT_FILE": f"{FOLDER}/ca.pem"}, dates=True)
                raise AssertionError("the certificate is accepted a year before its time")
            except ssl.SSLCertVerificationError as error:
                print(f"an ordinary look: {error.verify_message}", flush=True)
            code, said = visantctl_clock(front.url)
            off = time.time() - true_time()
            print(f"the clock is {off:+.2f} s off", flush=True)
            if set_right:
                assert code == 0, said
                assert abs(off) < 3
                assert visantctl_clock(front.url)[1].startswith("right within")
            else:
                assert code == 1, said
                assert abs(off + YEAR) < 10, "it was set by a certificate that had ended"
    print("both as they should be", flush=True)


main()
