"""A sheet of enrolment codes to print: a page of its own, without script, that shows nothing from elsewhere. Pure."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import segno
from markupsafe import Markup

_STYLE = """
body { font: 11pt/1.3 system-ui, sans-serif; margin: 10mm; color: #000; background: #fff }
h1 { font-size: 13pt; margin: 0 0 2mm }
p { margin: 0 0 5mm; font-size: 9pt }
ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(85mm, 1fr)); gap: 3mm }
ul { padding: 0; list-style: none }
li { display: flex; gap: 4mm; align-items: center; border: 1px solid #999; padding: 3mm; break-inside: avoid }
svg { width: 26mm; height: 26mm; flex: none }
bdi, b { display: block; overflow-wrap: anywhere }
code { font: bold 14pt ui-monospace, monospace; display: block; margin: 1mm 0 }
small { font-size: 8pt }
@page { margin: 8mm }
"""
_OURS = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_OURS}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@dataclass(frozen=True)
class Label:
    """One label. `device_id`: None where the device says its own."""

    number: int
    code: str
    device_id: str | None
    name: str | None


def sheet(title: str, group: str | None, expires_at: datetime, cloud: str | None, labels: Sequence[Label]) -> str:
    """The page. A QR code holds the code alone, for who types it into `visantctl enrol` with a scanner."""
    said = [f"{len(labels)} codes, each for one device, good until {expires_at:%Y-%m-%d %H:%M} UTC."]
    if group is not None:
        said.append(f"Their devices join the group {group}.")
    if cloud is not None:
        said.append(f"Cloud: {cloud}")
    said.append("On the device: sudo visantctl enrol")
    return str(
        Markup(
            "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n<title>{title}</title>\n"
            "<style>{style}</style>\n</head>\n<body>\n<h1><bdi>{title}</bdi></h1>\n<p>{said}</p>\n"
            "<ul>\n{labels}\n</ul>\n</body>\n</html>\n"
        ).format(
            title=title,
            style=Markup(_STYLE),  # noqa: S704 - ours
            said=" ".join(said),
            labels=Markup("\n").join(_label(one, title) for one in labels),
        )
    )


def _label(one: Label, title: str) -> Markup:
    drawn = segno.make(one.code, error="m", micro=False).svg_inline(border=2, omitsize=True)
    return Markup("<li>{}<div><bdi>{}</bdi><code>{}</code><small>{} &middot; <bdi>{}</bdi></small></div></li>").format(
        Markup(drawn),  # noqa: S704 - of segno, and of a code of ours
        one.name or one.device_id or "a new device",
        one.code,
        f"{one.number}",
        one.device_id or title,
    )
