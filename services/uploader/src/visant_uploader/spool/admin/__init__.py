"""`visant-uploader spool ...`: what a technician in front of the device may see and do. Off the road of a trigger."""
