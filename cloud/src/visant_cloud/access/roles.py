"""What people and programs may do: four roles, and what each route asks for. Pure.

A person has one role in an organisation, a token one in its own. The role may be limited to groups of devices
(store/scope.py); an admin's never is.
"""

from typing import Literal, get_args

Role = Literal["viewer", "operator", "admin", "technician"]
ROLES: tuple[Role, ...] = get_args(Role)

READ: frozenset[str] = frozenset({"viewer", "operator", "admin"})
"""Sees everything but people, tokens and the audit log."""
OPERATE: frozenset[str] = frozenset({"operator", "admin"})
"""Fires triggers, sets devices, acknowledges and silences alerts."""
ADMINISTER: frozenset[str] = frozenset({"admin"})
"""Lets people and programs in, and sets what the whole organisation lives by."""
INSTALL: frozenset[str] = frozenset({"technician", "operator", "admin"})
"""Enrols a device, aims it and looks whether it works."""
KNOWN: frozenset[str] = frozenset(ROLES)
"""Whoever is signed in."""


def in_words(roles: frozenset[str]) -> str:
    """`operator or admin`, for a refusal."""
    return " or ".join(role for role in ROLES if role in roles)
