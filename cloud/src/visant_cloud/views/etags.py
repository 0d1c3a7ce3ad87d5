"""ETags of what people edit: who changes it says which one was seen, so that nobody undoes another unseen."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Header

from visant_cloud.problems import Refusal

IfMatch = Annotated[
    str | None,
    Header(max_length=1000, description='The ETag of what was seen, or "*": whatever it is now (RFC 9110, 13.1.1)'),
]
_TAG = re.compile(r'"[\x21\x23-\x7e]*"')


def of(edited: Mapping[str, Any]) -> str:
    """The strong ETag of what can be edited."""
    said = json.dumps(edited, sort_keys=True)
    return f'"{hashlib.sha256(said.encode()).hexdigest()[:20]}"'


def check(if_match: str | None, etag: str, *, needed: bool) -> None:
    """Raises Refusal: 412 where another was seen than what is there, 428 where none is named and one is needed."""
    if if_match is None:
        if needed:
            raise Refusal(
                428,
                "If-Match is missing: send the ETag of the answer to GET, or * to overwrite whatever is there",
                "if_match",
            )
        return
    if if_match.strip() != "*" and etag not in _TAG.findall(if_match):
        raise Refusal(
            412,
            "Somebody changed it since: GET it again, and send the change with the new ETag in If-Match",
            "changed_since",
        )
