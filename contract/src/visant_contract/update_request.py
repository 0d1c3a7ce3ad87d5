"""`update` in the `config` of `update_config`: what the cloud asks of the updater on the device's host."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

_NUMBER = "(?:0|[1-9][0-9]*)"
_VERSION = rf"^{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-[0-9A-Za-z]+(?:\.[0-9A-Za-z]+)*)?$"

Version = Annotated[str, StringConstraints(max_length=64, pattern=_VERSION)]
"""`1.2.3` or `1.2.3-beta.1`."""
UpdateWord = Literal["now", "hold", "resume"]


class Pin(BaseModel):
    """Stay on this release."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pin: Version


_SHAPE: TypeAdapter[UpdateWord | Pin] = TypeAdapter(UpdateWord | Pin)


def read_update_request(value: Any) -> UpdateWord | Pin | None:
    """None for what has another shape."""
    try:
        return _SHAPE.validate_python(value)
    except ValidationError:
        return None
