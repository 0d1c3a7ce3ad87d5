"""OpenCV in a process of its own, because a read that hangs can only be ended by killing whoever reads.

`python -m visant_camera.drivers.opencv.process` is the child; drivers/opencv/driver.py is its parent. The child
imports neither pydantic nor a web framework.
"""
