"""How many bytes of an image are here, from what `docker pull` shows on a terminal. Pure.

The Engine tells a layer's size when it begins with it, three at a time: the total grows until all have begun.
"""

from __future__ import annotations

import re

_LAYER = re.compile(
    r"(?P<layer>[0-9a-f]{12}): (?P<what>[A-Z][a-z]+(?: [a-zA-Z]+)*)(?:[^\r\n\x1b]*? (?P<done>[\d.]+)(?P<unit>[kMGT]?B)"
    r"/(?P<total>[\d.]+)(?P<of>[kMGT]?B))?"
)
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_HERE = ("Verifying Checksum", "Download complete", "Extracting", "Pull complete")


class Layers:
    """Of one image that is being pulled."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int]] = {}
        self._rest = ""

    def read(self, shown: str) -> None:
        """The next piece of the output; it may end anywhere."""
        text = self._rest + shown
        whole, _, self._rest = text.rpartition("\r")
        for found in _LAYER.finditer(whole):
            layer, before = found["layer"], self._layers.get(found["layer"], (0, 0))
            if found["what"] == "Downloading" and found["total"]:
                self._layers[layer] = (_bytes(found["done"], found["unit"]), _bytes(found["total"], found["of"]))
            elif found["what"] in _HERE:
                self._layers[layer] = (before[1], before[1])

    @property
    def done(self) -> int:
        """Bytes that are here, packed."""
        return sum(done for done, _ in self._layers.values())

    @property
    def total(self) -> int:
        """Of the layers that have begun and were not here before."""
        return sum(total for _, total in self._layers.values())


def _bytes(number: str, unit: str) -> int:
    return int(float(number) * _BYTES[unit])
