"""The language in which devices are chosen: `state:offline group:north version:<2.1 -tag:door name~"front desk"`.

All terms must hold. A term is `field:value` (is), `field~value` (has it inside, in whatever case) or a word, which id,
name or site must have inside; `-` before it: it must not hold. `a,b` as a value: one of them. A value with a space, a
comma or a quote stands in "..."; there \\" and \\\\ are those characters. `field:""`: it has none. Pure.
"""

import re
from dataclasses import dataclass
from typing import Literal

from visant_cloud.alerts.kinds import KINDS

LONGEST = 1000
"""Characters of a filter."""
MAX_VALUES = 100
"""Of all terms together; one term without a value is one of them."""
ANY = "any"
STATES = ("connected", "degraded", "offline", "never_seen", "inactive")

Operator = Literal[":", "~", ":<", ":<=", ":>", ":>="]
_COMPARE: tuple[Operator, ...] = (":<=", ":>=", ":<", ":>", ":", "~")  # the longest first
_IS: tuple[Operator, ...] = (":",)
_TEXT: tuple[Operator, ...] = (":", "~")
FIELDS: dict[str, tuple[Operator, ...]] = {
    "state": _IS,
    "alert": _IS,
    "group": _TEXT,
    "tag": _TEXT,
    "site": _TEXT,
    "name": _TEXT,
    "id": _TEXT,
    "version": (":", ":<", ":<=", ":>", ":>="),
}
"""field -> operators that it takes."""
_WORDS = {
    "state": STATES,
    "alert": (ANY, *(name for name, kind in KINDS.items() if kind.alerts)),
}
"""field -> its values, where there are no others."""
_EMPTY = ("group", "tag", "site", "name", "version", "alert")
"""Fields of which a device may have none."""

_FIELD = re.compile(r"([A-Za-z_]+)(:<=|:>=|:<|:>|:|~)")
_BARE = re.compile(r'[^\s,"()]+')
_VERSION = re.compile(r"v?(\d{1,9}(?:\.\d{1,9}){0,5})(?:[-~]?([A-Za-z][\w.-]*))?(?:\+.*)?", re.ASCII)
_LOGIC = {"AND": "all terms hold anyway", "OR": "write one term with values, tag:a,b", "NOT": "write - before a term"}


class FilterError(ValueError):
    """One line: where, what, and what to write instead."""


@dataclass(frozen=True)
class Term:
    """`field` is "" for a word alone. `position`: of its first character in the filter, from 1."""

    field: str
    operator: Operator
    values: tuple[str, ...]
    negated: bool = False
    position: int = 1


def parse(text: str) -> list[Term]:
    """The terms of a filter; an empty one has none and every device fits. Raises FilterError."""
    if len(text) > LONGEST:
        raise FilterError(f"filter: it has {len(text)} characters, at most {LONGEST} are read: name devices by a group")
    reader = _Reader(text)
    terms: list[Term] = []
    count = 0
    while reader.space():
        terms.append(reader.term())
        count += len(terms[-1].values)
        if count > MAX_VALUES:
            raise _wrong(terms[-1].position, f"more than {MAX_VALUES} values: put the devices into a group")
    return terms


def written(terms: list[Term]) -> str:
    """The same as a filter."""
    return " ".join(_written(term) for term in terms)


def _written(term: Term) -> str:
    values = ",".join(_quoted(value, term) for value in term.values)
    return f"{'-' if term.negated else ''}{term.field}{term.operator if term.field else ''}{values}"


def _quoted(value: str, term: Term) -> str:
    plain = _BARE.fullmatch(value) is not None and not value.startswith(("<", ">", "=", "-"))
    if not term.field:
        plain = plain and value not in _LOGIC and ":" not in value and "~" not in value
    return value if plain else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def version_key(text: str) -> tuple[tuple[int, ...], int, str] | None:
    """What orders versions: numbers, then what comes before a release (`-rc1`), then the release; None: it is none."""
    found = _VERSION.fullmatch(text.strip())
    if found is None:
        return None
    numbers = [int(part) for part in found[1].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers), 0 if found[2] else 1, found[2] or ""


def version_fits(version: str | None, operator: Operator, value: str) -> bool:
    """Whether a device's version is as a term says. `:2.1` fits 2.1 and 2.1.3."""
    if operator == ":":
        if version is None or value == "":
            return (version or "") == value
        return version == value or version.startswith((f"{value}.", f"{value}-", f"{value}+"))
    have, border = version_key(version or ""), version_key(value)
    if have is None or border is None:
        return False
    return {":<": have < border, ":<=": have <= border, ":>": have > border, ":>=": have >= border}[operator]


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def space(self) -> bool:
        """Passes over space; whether something follows."""
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        return self._at < len(self._text)

    def term(self) -> Term:
        began = self._at
        negated = self._text[began] == "-"
        if negated:
            self._at += 1
            if self._at == len(self._text) or self._text[self._at].isspace():
                raise _wrong(began + 1, "- stands alone: write it right before a term")
        field, operator = self._field()
        values = [self._value(field, operator)]
        while field and self._next() == ",":
            self._at += 1
            values.append(self._value(field, operator))
        after = self._next()
        if after and not after.isspace():
            raise _wrong(self._at + 1, f'{after!r} is not expected here: write a space, or put the value into "..."')
        if not field and values[0] in _LOGIC and self._text[self._at - 1] != '"':
            raise _wrong(began + 1, f'{values[0]}: {_LOGIC[values[0]]}; "{values[0]}" in quotes is searched for')
        return Term(field, operator, tuple(values), negated, began + 1)

    def _field(self) -> tuple[str, Operator]:
        found = _FIELD.match(self._text, self._at)
        if found is None:
            return "", "~"
        field, operator = found[1].lower(), next(one for one in _COMPARE if one == found[2])
        if field not in FIELDS:
            raise _wrong(
                self._at + 1,
                f'no field is called {found[1][:30]!r}: {", ".join(FIELDS)}; a word with : stands in "..."',
            )
        if operator not in FIELDS[field]:
            raise _wrong(found.start(2) + 1, f"{field} takes {' '.join(FIELDS[field])} and not {operator}")
        self._at = found.end()
        return field, operator

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _value(self, field: str, operator: Operator) -> str:
        began = self._at
        if self._next() == '"':
            value = self._in_quotes()
        else:
            found = _BARE.match(self._text, self._at)
            if found is None:
                missing = f"a value is missing after {field}{operator}"
                raise _wrong(began + 1, missing if field else _odd(self._next()))
            value = found[0]
            if not field and (":" in value or "~" in value):
                raise _wrong(began + 1, f'{value[:30]!r} has : or ~ and no field before it: put it into "..."')
            self._at = found.end()
        _check(field, operator, value, began + 1)
        return value

    def _in_quotes(self) -> str:
        began = self._at
        self._at += 1
        value = ""
        while (letter := self._next()) != '"':
            if letter == "\\" and (escaped := self._text[self._at + 1 : self._at + 2]) in ("\\", '"') and escaped:
                letter = escaped
                self._at += 1
            if not letter:
                raise _wrong(began + 1, 'the " that begins here is not closed: write another at the end of the value')
            value += letter
            self._at += 1
        self._at += 1
        return value


def _odd(letter: str) -> str:
    return f'{letter!r} is no part of this language: put a word that has it into "..."'


def _check(field: str, operator: Operator, value: str, position: int) -> None:
    if not value and (not field or field not in _EMPTY or operator != ":"):
        raise _wrong(position, f'{field or "a word"} cannot be "": write a value')
    words = _WORDS.get(field)
    if words is not None and value and value not in words:
        raise _wrong(position, f"{field} is one of {', '.join(words)}, not {value[:30]!r}")
    if field == "version" and operator != ":" and version_key(value) is None:
        raise _wrong(position, f"{value[:30]!r} is no version: write one as 2.1 or 2.1.0-rc1")


def _wrong(position: int, line: str) -> FilterError:
    return FilterError(f"filter, character {position}: {line}")
