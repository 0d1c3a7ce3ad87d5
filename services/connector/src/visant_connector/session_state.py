"""The life of one stream as a state machine, and its end as a value: pure, the session acts on them.

CONNECTING -> OPEN -> CONFIRMED -> PROVEN -> LEAVING -> ENDED is the whole way; every state may be the last before the
leave or the end, and none comes twice.
"""

from dataclasses import dataclass
from enum import Enum, auto

from visant_contract.errors import Misconfigured, Retryable


class SessionState(Enum):
    """Where a stream is."""

    CONNECTING = auto()
    """The request is under way."""
    OPEN = auto()
    """The cloud answered 200 with an event stream, and has not said `connected` yet."""
    CONFIRMED = auto()
    """The cloud has said `connected`."""
    PROVEN = auto()
    """And a ping has told of just the commands that came."""
    LEAVING = auto()
    """Nothing more is read from the network; what was read is still carried into Redis."""
    LEAVING_UNPROVEN = auto()
    """The same, after a gap on a stream that was never proven: another one may show the same gap again."""
    ENDED = auto()

    @property
    def leaving(self) -> bool:
        """Whether another stream, or none, is wanted."""
        return self in (SessionState.LEAVING, SessionState.LEAVING_UNPROVEN)


class SessionEvent(Enum):
    """What may happen to a stream. Commands are not among it: they change nothing."""

    ANSWERED = auto()
    """200 with an event stream."""
    CONNECTED = auto()
    """The cloud said `connected`."""
    PING_AGREED = auto()
    """A ping told of just the commands that came."""
    GAP = auto()
    """A ping told of a command that did not come."""
    UNFIT = auto()
    """Another stream is needed for another reason: the clock, or Redis."""
    STOPPED = auto()
    """The process stops."""
    OVER = auto()
    """All that was read is carried, and nothing more comes."""


def after(state: SessionState, event: SessionEvent) -> SessionState:
    """The state that `event` leads to; `state` itself where it changes nothing."""
    if state is SessionState.ENDED or event is SessionEvent.OVER:
        return SessionState.ENDED
    if state.leaving:
        return state
    match state, event:
        case _, SessionEvent.STOPPED | SessionEvent.UNFIT:
            return SessionState.LEAVING
        case SessionState.PROVEN, SessionEvent.GAP:
            return SessionState.LEAVING
        case _, SessionEvent.GAP:
            return SessionState.LEAVING_UNPROVEN
        case SessionState.CONNECTING, SessionEvent.ANSWERED:
            return SessionState.OPEN
        case SessionState.OPEN, SessionEvent.CONNECTED:
            return SessionState.CONFIRMED
        case SessionState.CONFIRMED, SessionEvent.PING_AGREED:
            return SessionState.PROVEN
    return state


@dataclass(frozen=True)
class SessionEnd:
    """What came of one stream."""

    error: Retryable | Misconfigured | None
    """Why another one is needed; None: the process stops."""
    steady: bool
    """It stayed confirmed for STEADY seconds and showed more than gaps: the cloud is well."""
