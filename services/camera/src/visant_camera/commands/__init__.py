"""`visant-camera snapshot` and `probe`: for the technician in front of the device."""
