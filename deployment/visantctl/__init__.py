"""visantctl: runs the device's services under systemd and updates them as one release.

Python standard library only, so that it works on a bare host; it is itself part of each release.
"""

UPDATER_VERSION = 1
"""What this updater understands; a manifest's `minimum_updater` above it is refused, never guessed at."""
