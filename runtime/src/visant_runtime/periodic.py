"""Work that comes again every so many seconds: its loop, the errors it survives and its beat, written once."""

from collections.abc import Awaitable, Callable

import structlog

from visant_runtime.heartbeat import Heartbeat
from visant_runtime.lifecycle import Stop
from visant_runtime.log_throttle import LogThrottle

log = structlog.get_logger()


async def every(
    seconds: float,
    work: Callable[[], Awaitable[object]],
    stop: Stop,
    heartbeat: Heartbeat,
    *,
    loop: str,
    max_age: float,
    survives: tuple[type[Exception], ...],
    complaint: str,
    at_once: bool = False,
    degrades: str | None = None,
) -> None:
    """Awaits `work()` round after round until `stop`, with a rest of `seconds` between the end of one and the next.

    The first round comes after a rest, or before it (`at_once`). A round under way is never cut off.
    A round that raises one of `survives` is given up: `complaint` is logged with the error, ever less often while it
    stays the same (LogThrottle), and the part `degrades` is reported degraded until a round succeeds. Any other error
    is raised.
    The heartbeat's `loop` beats after each round, failed ones too, and must do so at least every `max_age` seconds.
    """
    heartbeat.expect(loop, max_age)
    complaints = LogThrottle()
    if not at_once and await stop.sleep(seconds):
        return
    while not stop.is_set():
        try:
            await work()
        except survives as error:
            text = str(error)
            # an error of a database goes on with its statement and parameters, which are never the same
            times = complaints.again(f"{type(error).__name__} {text.partition(chr(10))[0]}")
            if times is not None:
                log.warning(complaint, error=text[:200], **({} if times == 1 else {"times": times}))
            if degrades is not None:
                heartbeat.degraded(degrades, text[:200])
        else:
            if complaints.over():
                log.info("works again", loop=loop)
            if degrades is not None:
                heartbeat.degraded(degrades, None)
        heartbeat.beat(loop)
        await stop.sleep(seconds)
