"""`visantctl address-pools`: keeps Docker's private addresses away from this site's networks."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from visantctl.errors import Problem
from visantctl.host import durable
from visantctl.network import address_pools

HELP = "keep Docker's private addresses away from this site's networks (takes effect when Docker is restarted)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags."""
    parser.add_argument("--write", action="store_true", help="write the file; without it, say what it would hold")
    parser.add_argument("--file", type=Path, default=Path("/etc/docker/daemon.json"), metavar="F")


def main(options: argparse.Namespace) -> int:
    """0 when it fits or was written, 3 when it would have to change."""
    try:
        before = json.loads(options.file.read_text()) if options.file.exists() else {}
        if not isinstance(before, dict):
            raise ValueError("not an object")
        after = address_pools.daemon_settings(before, address_pools.site_routes())
    except ValueError as error:
        raise Problem(f"{options.file}: {error}") from None
    if after == before:
        print(f"{options.file}: fits")
        return 0
    text = json.dumps(after, indent=2) + "\n"
    if not options.write:
        print(text, end="")
        return 3
    durable.write_file(options.file, text.encode())
    print(f"{options.file}: {after['default-address-pools'][0]['base']}")
    return 0
