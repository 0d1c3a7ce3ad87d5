"""The whole system as plain processes on one machine: no Docker, no hardware.

`python -m emulation.emulate` runs it for a person, `python -m emulation.smoke` headless; tests build their own
from `stack.py`. Only loopback addresses are used, all state lies in one folder, no process outlives its starter.
"""
