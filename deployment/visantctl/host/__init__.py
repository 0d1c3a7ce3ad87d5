"""This host: its paths, files, settings, units, programs and the Engine. Knows nothing of releases or the cloud."""
