"""What the cloud and a decoder say to each other over their socket. Whatever a decoder says is held to these bounds."""

import struct

LENGTH = struct.Struct("!I")
"""Before each picture: its length in bytes."""
HEAD = struct.Struct("!cIII")
"""A decoder's answer begins with: its kind, width and height in pixels, and the length in bytes of what follows (the
figures aside)."""
DECODED = b"D"
"""The figures of the picture follow, quality.figures.SIZE bytes, and the thumbnail."""
NOT_A_JPEG, BROKEN, COSTLY = b"N", b"B", b"C"
"""Why there is none follows, in one line."""
NO_MEMORY = b"M"
"""Memory ran out though the picture's structure asks for less; nobody knows whose doing it is."""

WORDS_MOST = 300
"""Bytes of one line."""
THUMBNAIL_MOST = 512 << 10
"""Bytes; four for each of the most pixels that one has, and room for its tables."""
SIDE_MOST = 65_535
"""Pixels that a side of a JPEG can have."""
