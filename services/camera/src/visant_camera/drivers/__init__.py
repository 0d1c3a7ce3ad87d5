"""Where pictures come from: one driver a kind of source, chosen by CAMERA_SOURCE."""
