"""OpenCV in a process of its own, because a read that hangs can only be ended by killing whoever reads.

`python -m visant_camera.capture_process` is the child; drivers/opencv.py is its parent. The child imports neither
pydantic nor a web framework.
"""
