"""Sole owner of the camera: answers `GET /snapshot` with a frame exposed after the request."""
