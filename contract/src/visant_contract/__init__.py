"""The wire of Visant Edge, typed: what crosses a process boundary and nothing else.

Pydantic models, names and closed lists. No I/O, no clock, no environment.
"""
