"""What to do about each verdict."""

from visant_cloud.quality.judge import State

REMEDIES: dict[State, str] = {
    "dark": "Look at the light of the place, and at the camera's exposure (`brightness`, `auto_exposure`).",
    "bright": "Look at the camera's exposure, and for a lamp or the sun in the picture.",
    "blurred": "Clean the lens and set its focus; where it is noise, look at the light and then at the camera itself.",
    "frozen": "The camera repeats itself: replug it; `visantctl doctor` on the device looks at a new picture.",
    "covered": "Look what is before the lens: tape, dirt, something that was put there; or its light has failed.",
    "moved": "Set the camera as it was. Where it should look so: make a picture of today its reference.",
}
"""Of all but `useful`. A verdict that is wrong is dismissed: what the picture shows is normal from then on."""


def remedy(state: str) -> str:
    """Of a state of another version, too."""
    return next((words for name, words in REMEDIES.items() if name == state), "Look at the picture.")
