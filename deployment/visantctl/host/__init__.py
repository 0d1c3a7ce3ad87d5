"""This host: its files, units, settings, the Engine, and what runs."""
