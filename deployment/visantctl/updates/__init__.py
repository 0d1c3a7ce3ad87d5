"""A device goes from one release to the next, and back by itself: docs/updates.md."""
