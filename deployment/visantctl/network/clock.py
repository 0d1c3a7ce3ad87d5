"""The time from the cloud's own answer, for sites that block NTP; see docs/adr/0024-the-clock-without-ntp.md.

TLS needs a clock and the clock needs TLS: a first look checks the certificate in all but its dates, and when the clock
has been set by what came, a second look checks those as well. If that fails, the clock goes back.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from visantctl.errors import Problem, Unreachable
from visantctl.network.uplink import context, opener

TOLERANCE = 2.0
"""Seconds that may stay: a Date header has whole seconds, and travels."""
_LATEST = 20 * 365.25 * 86400
"""Seconds after a release was made within which a time can be true."""
_TIMEOUT = 15.0
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of <openssl/x509_vfy.h>
_STA_UNSYNC, _TIME_ERROR = 0x0040, 5  # <sys/timex.h>


def synchronised() -> bool:
    """Whether the kernel calls the clock synchronised (any NTP client tells it; adjtimex(2) may be read by all)."""
    buffer = (ctypes.c_uint8 * 512)()  # struct timex has 208 bytes; `status` is at 40
    state = ctypes.CDLL(None).adjtimex(ctypes.byref(buffer))
    status = int.from_bytes(bytes(buffer[40:44]), "little")
    return state not in (-1, _TIME_ERROR) and not status & _STA_UNSYNC


@dataclass(frozen=True)
class Seen:
    """A server's time, and when it was seen."""

    epoch: float
    monotonic: float

    def now(self) -> float:
        """Epoch seconds at this moment."""
        return self.epoch + time.monotonic() - self.monotonic


def look(url: str, given: Mapping[str, str] | None, *, dates: bool) -> Seen:
    """The Date of an answer from `url`, whatever else it says; `dates` False: a certificate's dates are not checked.

    Raises Unreachable without an answer or without a Date in it; ssl.SSLCertVerificationError passes through.
    """
    trusted = context(given)
    if not dates:
        trusted.verify_flags |= _NO_CHECK_TIME
    request = urllib.request.Request(url, method="HEAD", headers={"Cache-Control": "no-cache"})
    asked = time.monotonic()
    try:
        with opener(given, trusted, follow=False).open(request, timeout=_TIMEOUT) as answer:
            headers = answer.headers
    except urllib.error.HTTPError as error:  # an answer as good as any other
        headers = error.headers
        error.close()
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise reason from None
        raise Unreachable(f"{url} does not answer ({reason}): the clock stays as it is") from None
    came = time.monotonic()
    try:
        date = parsedate_to_datetime(headers.get("Date") or "")
        stored = max(0.0, float(headers.get("Age") or 0))  # an answer that a proxy has kept for so long
    except ValueError:
        raise Unreachable(f"{url} answers without its time: the clock stays as it is") from None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    # The header cuts the fraction off, and the answer took half of the way.
    return Seen(date.timestamp() + stored + 0.5, (asked + came) / 2)


def set_clock(epoch: float) -> None:
    """Problem without CAP_SYS_TIME."""
    try:
        time.clock_settime(time.CLOCK_REALTIME, epoch)
    except PermissionError:
        raise Problem(f"the clock is wrong, it is {_shown(epoch)}, and may not be set: sudo visantctl clock") from None


def correct(
    url: str,
    given: Mapping[str, str] | None,
    made_at: datetime,
    set_to: Callable[[float], None] = set_clock,
) -> str:
    """Set the clock by the cloud at `url` where it is wrong; one line that says what was done.

    `made_at`: when this device's release was made; it is later than that. Raises Unreachable, and Problem where the
    answer is not to be believed: the clock is then as before.
    """
    began, before = time.monotonic(), time.time()
    try:
        seen = look(url, given, dates=False)
    except ssl.SSLCertVerificationError as error:
        raise Problem(
            f"the certificate of {url} is not accepted ({error.verify_message}): the clock stays as it is;"
            " an inspecting proxy? Put the site's CA into secrets/ and name it in SSL_CERT_FILE"
        ) from None
    if not made_at.timestamp() <= seen.now() <= made_at.timestamp() + _LATEST:
        raise Problem(
            f"{url} says it is {_shown(seen.now())}, and this release was made {_shown(made_at.timestamp())}:"
            " not believed, the clock stays as it is"
        )
    off = time.time() - seen.now()
    if abs(off) <= TOLERANCE:
        return f"right within {TOLERANCE:g} s of {url}"
    set_to(seen.now())
    if url.startswith("https:"):
        try:
            look(url, given, dates=True)
        except (ssl.SSLCertVerificationError, Unreachable) as error:
            set_to(before + time.monotonic() - began)
            raise Problem(
                f"set by {url}, and set back: at that time its certificate is not accepted ({error})"
            ) from None
    return f"was {abs(off):.0f} s {'ahead' if off > 0 else 'behind'}; set to {_shown(time.time())} by {url}"


def _shown(epoch: float) -> str:
    with contextlib.suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{epoch:.0f} s"
