"""Where the time of a trigger went: when its steps on the device were, each by the device's clock as it is known now.

Part of a capture's and of a report's `metadata` under the key `stages`; a plain cloud ignores it. Steps in the cloud
are not here: it has their times itself.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

StageName = Literal["admitted", "camera_asked", "exposed", "decided", "spooled", "upload_began"]
STAGES: tuple[StageName, ...] = get_args(StageName)
"""In the order in which they come.

`admitted`: the connector had read the command. `camera_asked`: for the first time. `exposed`: as `captured_at`.
`decided`: that there will be no picture. `spooled`: the outcome's file was on the medium; absent where the uploader has
restarted since. `upload_began`: of the request that carries this.
"""
KEY = "stages"


class Stage(BaseModel):
    """One step."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: AwareDatetime
    uncertainty: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Seconds by which `at` may be wrong; None: unknown."""
    boot_id: Annotated[str, Field(max_length=100)] | None = None
    """Between two steps of one boot of the device the time is exact, however wrong its clock is."""


def read_stages(metadata: Mapping[str, Any]) -> dict[StageName, Stage]:
    """Those of a capture's or report's metadata that can be read, in their order; what cannot says nothing."""
    told = metadata.get(KEY)
    found: dict[StageName, Stage] = {}
    if isinstance(told, Mapping):
        for name in STAGES:
            try:
                found[name] = Stage.model_validate(told[name])
            except (KeyError, ValidationError):
                continue
    return found
