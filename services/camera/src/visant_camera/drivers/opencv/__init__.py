"""Network streams and video files, played by OpenCV in a process that can be killed."""
