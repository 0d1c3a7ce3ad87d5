"""The clock: who sets it, and how far it is from the cloud's.

Not in checks/: the check `network` asks here, because the date comes with the cloud's answer.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime

from visantctl.doctor.finding import Finding, fail, good, warn
from visantctl.errors import Problem
from visantctl.host.programs import ask
from visantctl.network import clock

_SKEW = 30.0
"""Seconds between this clock and the cloud's that are worth a line."""
_SET = "visantctl clock"


def check(date: str | None) -> Iterator[Finding]:
    """`date`: the Date header of the cloud's answer, None without one."""
    try:
        skew = time.time() - parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        skew = None
    yield finding(skew, clock.synchronised(), ask("systemctl", "is-active", "visant-clock.timer") == "active")


def finding(skew: float | None, synchronised: bool, fallback: bool) -> Finding:
    """`skew`: seconds ahead of the cloud. `fallback`: visant-clock.timer runs."""
    off = "" if skew is None else f", {abs(skew):.0f} s from the cloud's"
    if skew is not None and abs(skew) > _SKEW:
        text = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the cloud"
        if synchronised:
            return warn("clock", f"{text}, though synchronised", "one of the two is wrong: timedatectl timesync-status")
        return warn("clock", text, "sudo visantctl clock sets it by the cloud; is NTP (UDP 123) blocked?", fix=_SET)
    if synchronised:
        return good("clock", f"synchronised{off}")
    if skew is not None and fallback:
        return good(
            "clock", f"right{off}; NTP is blocked or not there yet, the cloud's answers keep it (visant-clock.timer)"
        )
    return warn(
        "clock",
        f"not synchronised{off}",
        "timedatectl; is NTP (UDP 123) blocked? Then: sudo systemctl enable --now visant-clock.timer",
        fix="" if fallback else "systemctl enable --now visant-clock.timer",
    )


def behind_tls(url: str, given: Mapping[str, str], reason: str) -> Iterator[Finding]:
    """The certificate's dates do not fit: is it this clock, or the certificate?"""
    try:
        skew = time.time() - clock.look(url, given, dates=False).now()
    except (Problem, ssl.SSLCertVerificationError):
        skew = 0.0
    if abs(skew) > _SKEW:
        yield fail(
            "clock",
            f"{abs(skew) / 86400:.1f} days {'ahead of' if skew > 0 else 'behind'} the cloud: no certificate is valid",
            "sudo visantctl clock sets it by the cloud; is NTP (UDP 123) blocked?",
            fix=_SET,
        )
    else:
        yield fail(
            "network",
            f"{url}: its certificate is not accepted ({reason}), and this clock is right",
            "whoever runs the cloud renews it: without it no device gets through",
        )
