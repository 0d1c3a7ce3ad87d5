"""Whether the picture of a scheduled slot counts: there in time, of that time, and it shows something. Pure.

A picture that was stored was whole: the intake decodes each. What is found is written into the trigger's row (`gap`)
with the outcome, so that a picture that retention removes takes no knowledge with it.
"""

from typing import Literal

from visant_cloud.store.captures import Capture
from visant_cloud.store.triggers import Trigger

Gap = Literal["late", "not_fresh", "not_useful"]
"""Why a picture that is there does not count. `late`: stored after the slot's deadline. `not_fresh`: exposed before its
slot, by more than its clock may be wrong. `not_useful`: by its verdict."""


def useful(picture: Capture) -> bool:
    """Whether a picture shows what it is for, by the cloud's verdict; one without counts as useful."""
    return picture.state in (None, "useful")


def gap_of(trigger: Trigger, picture: Capture) -> Gap | None:
    """Why the picture of a slot does not count; None: it does, or it is of no slot."""
    if trigger.scheduled_for is None:
        return None
    if trigger.expires_at is not None and picture.received_at > trigger.expires_at:
        return "late"
    before = (trigger.scheduled_for - picture.captured_at).total_seconds()
    # where nobody knows how wrong a clock is: a device of ours exposes after it was asked
    if picture.uncertainty is not None and before > picture.uncertainty:
        return "not_fresh"
    return None if useful(picture) else "not_useful"
