"""A sheet of labels to print and cut: one HTML page that needs nothing else."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping

from visantctl.host import qr
from visantctl.network import hotspot
from visantctl.network.host_name import host_name

_STYLE = """
@page { size: A4; margin: 10mm }
* { box-sizing: border-box }
body { margin: 0; font: 10pt/1.3 "DejaVu Sans", Verdana, Arial, sans-serif; color: #000; background: #fff }
h1 { font-size: 11pt; margin: 0 0 4mm } p { margin: 0 0 4mm }
main { display: grid; grid-template-columns: 94mm 94mm; gap: 0 }
section { width: 94mm; height: 45mm; padding: 3mm; border: 0.2mm dashed #888; display: flex; gap: 3mm;
  break-inside: avoid; overflow: hidden }
section svg { width: 33mm; height: 33mm; flex: none; align-self: center; shape-rendering: crispEdges }
section div { min-width: 0; flex: 1 }
h2 { font-size: 12pt; line-height: 1.1; margin: 0 0 1.5mm; overflow-wrap: anywhere }
dl { margin: 0; font-size: 8pt } dt { color: #444 } dd { margin: 0 0 0.8mm; overflow-wrap: anywhere }
code { font: bold 10pt "DejaVu Sans Mono", Consolas, monospace }
section.long h2 { font-size: 8pt } section.long dl { font-size: 6.5pt; line-height: 1.15 }
section.long code { font-size: 6.5pt }
@media print { h1, p { display: none } }
"""


def sheet(cards: Iterable[Mapping[str, str]]) -> str:
    """The page; each card has DEVICE_ID, HOTSPOT_SSID and HOTSPOT_PASSWORD."""
    found = list(cards)
    labels = "\n".join(_label(one) for one in found)
    hint = "" if "<svg" in labels else " Without QR codes: sudo apt-get install qrencode, then again."
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Visant Edge: labels</title>\n'
        f"<style>{_STYLE}</style>\n<h1>{len(found)} labels</h1>\n"
        "<p>Print without scaling, cut along the dashes. This sheet holds passwords: keep it as you keep keys."
        f"{hint}</p>\n<main>\n{labels}\n</main>\n</html>\n"
    )


def _label(one: Mapping[str, str]) -> str:
    device_id, ssid, password = one["DEVICE_ID"], one["HOTSPOT_SSID"], one["HOTSPOT_PASSWORD"]
    is_open = password == hotspot.OPEN
    code = qr.svg(qr.wifi(ssid, "" if is_open else password)) or ""
    shown = "none (open)" if is_open else f"<code>{html.escape(password)}</code>"
    size = ' class="long"' if len(device_id) > 24 or len(password) > 20 else ""
    return (
        f"<section{size}>{code[code.find('<svg') :]}<div><h2>{html.escape(device_id)}</h2><dl>"
        f"<dt>WiFi of this device</dt><dd><code>{html.escape(ssid)}</code></dd>"
        f"<dt>password</dt><dd>{shown}</dd>"
        f"<dt>then open</dt><dd>{hotspot.PORTAL}</dd>"
        f"<dt>host name</dt><dd>{html.escape(host_name(device_id))}</dd></dl></div></section>"
    )
