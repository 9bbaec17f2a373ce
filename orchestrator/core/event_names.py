"""The type and the key that a step waits for: only such as an event can have."""

import math

from orchestrator.core.errors import BranchlineError
from orchestrator.core.event_attributes import CONTROL, LONGEST, TYPE
from orchestrator.core.json_types import Json
from orchestrator.core.json_walk import LARGEST_INTEGER

_SHOWN = 60
_LARGEST_EXACT = 2**53


class EventNameInvalid(BranchlineError):
    """An event's type or key is none. Codes: event_type_invalid, event_key_invalid."""

    code = "event_type_invalid"


def event_type(value: Json) -> str:
    """The type, as it stands. Raises `EventNameInvalid`."""
    if isinstance(value, str) and TYPE.fullmatch(value):
        return value
    rule = f"A letter or a digit, then letters, digits and . _ / -, at most {LONGEST['type']} in all, like order.paid."
    raise EventNameInvalid(f"{_named(value)} is no type of an event. {rule}")


def event_key(value: Json) -> str:
    """The key as a text; a number becomes one. Raises `EventNameInvalid`."""
    text = _number(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if isinstance(text, str) and 0 < len(text) <= LONGEST["key"] and not CONTROL.search(text):
        return text
    rule = f"Give a text of 1 to {LONGEST['key']} characters without control characters, or a number."
    raise EventNameInvalid(f"{_named(value)} is no key of an event. {rule}", code="event_key_invalid")


def _number(value: float) -> str | None:
    """17.0 is the 17 that JSON may write for it."""
    if isinstance(value, int):
        return str(value) if abs(value) <= LARGEST_INTEGER else None
    if not math.isfinite(value):
        return None
    return str(int(value)) if value.is_integer() and abs(value) <= _LARGEST_EXACT else repr(value)


def _named(value: Json) -> str:
    if isinstance(value, str):
        shown = ascii(value) if any(not letter.isprintable() for letter in value) else f'"{value}"'
        return shown if len(shown) <= _SHOWN else f"A text of {len(value)} characters"
    if value is None:
        return "Nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return "A number of that size"
    return "A list" if isinstance(value, list | tuple) else "An object"
