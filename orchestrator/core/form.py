"""Reading a raw JSON object field by field, noting everything wrong with its form instead of stopping at the first."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from orchestrator.core.document import KEY_PATTERN
from orchestrator.core.durations import DurationInvalid, parse_duration
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.problem import Problem

T = TypeVar("T")

_KEY = re.compile(KEY_PATTERN)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
LONGEST_NAME = 200  #: characters
LONGEST_TEXT = 10_000
FARTHEST = 1_000_000.0  #: canvas units from the origin
KEY_RULE = "a key starts with a-z and goes on with a-z, 0-9 or _, at most 63 characters"


def shown(value: Json, longest: int = 60) -> str:
    """A value as a person may see it inside a message: short, on one line, never a whole list or object."""
    if isinstance(value, str):
        text = " ".join(value[: longest + 1].split())
        return f'"{text}"' if len(value) <= longest else f'"{text[:longest]}..."'
    if isinstance(value, Mapping):
        return f"an object with {len(value)} fields"
    if isinstance(value, list | tuple):
        return f"a list with {len(value)} items"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return str(value) if isinstance(value, float) or abs(value) < 10**longest else "a number with many digits"
    return f"a {type(value).__name__}"


@dataclass(frozen=True, slots=True)
class Spot:
    """Where in the document we are, as `Problem` tells it: a step or an edge, and the field inside it."""

    step: str | None = None
    edge: tuple[str, str, str] | None = None
    prefix: str = ""

    def inside(self, name: str | int) -> "Spot":
        """The same step or edge, one field deeper."""
        return Spot(self.step, self.edge, self.field(name))

    def field(self, name: str | int) -> str:
        """The dotted path of a field here."""
        return f"{self.prefix}.{name}" if self.prefix else str(name)


@dataclass(slots=True)
class Form:
    """One raw object being read. A field with a wrong value is noted and read as its default."""

    raw: JsonObject
    spot: Spot
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def of(cls, raw: Json, spot: Spot, problems: list[Problem], known: Sequence[str]) -> "Form":
        """Start reading; notes a value that is no object, and every field that nobody knows."""
        form = cls(raw if isinstance(raw, Mapping) else {}, spot, problems)
        if not isinstance(raw, Mapping):
            form._note_here("wrong_type", f"An object is expected here, not {shown(raw)}.")
        for name in form.raw:
            if name not in known:
                form.refuse(name, "unknown_field", f"Nothing is called {shown(name)} here. Known: {', '.join(known)}.")
        return form

    def _note_here(self, code: str, message: str) -> None:
        where = self.spot.prefix or None
        self.problems.append(Problem(code=code, message=message, step=self.spot.step, edge=self.spot.edge, field=where))

    def refuse(self, name: str | int, code: str, message: str) -> None:
        """Note a problem with one field."""
        spot = self.spot
        self.problems.append(
            Problem(code=code, message=message, step=spot.step, edge=spot.edge, field=spot.field(name))
        )

    def has(self, name: str) -> bool:
        """True when the field is there and not null."""
        return self.raw.get(name) is not None

    def need(self, name: str) -> bool:
        """Like `has`, and notes the absence."""
        if not self.has(name):
            self.refuse(name, "missing_field", f'The field "{name}" is missing.')
        return self.has(name)

    def _wrong(self, name: str, expected: str) -> None:
        self.refuse(name, "wrong_type", f'"{name}" must be {expected}, not {shown(self.raw[name])}.')

    def text(self, name: str, default: str = "", *, longest: int = LONGEST_TEXT) -> str:
        """A text without control characters but tab and line ends."""
        value = self.raw.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            self._wrong(name, "text")
        elif len(value) > longest:
            self.refuse(name, "text_too_long", f'"{name}" has {len(value)} characters. At most {longest} are allowed.')
        elif _CONTROL.search(value):
            self.refuse(name, "text_invalid", f'"{name}" holds a control character. Remove it.')
        else:
            return value
        return default

    def label(self, name: str, default: str = "") -> str:
        """A name for people: one line, not blank."""
        value = self.text(name, default, longest=LONGEST_NAME)
        if self.has(name) and value is not default and (not value.strip() or "\n" in value or "\r" in value):
            self.refuse(name, "text_invalid", f'"{name}" must be one line and not blank.')
            return default
        return value

    def key(self, name: str, default: str = "") -> str:
        """A key of DESIGN's form."""
        value = self.raw.get(name)
        if value is None:
            return default
        if isinstance(value, str) and _KEY.fullmatch(value):
            return value
        self.refuse(name, "key_invalid", f"{shown(value)} is no key: {KEY_RULE}.")
        return default

    def flag(self, name: str, *, default: bool) -> bool:
        """true or false."""
        value = self.raw.get(name, default)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self._wrong(name, "true or false")
        return default

    def integer(self, name: str, default: T, lowest: int, highest: int, code: str = "out_of_range") -> int | T:
        """A whole number within bounds."""
        value = self.raw.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            self._wrong(name, "a whole number")
        elif not lowest <= value <= highest:
            self.refuse(name, code, f'"{name}" is {shown(value)}. It must be from {lowest} to {highest}.')
        else:
            return value
        return default

    def number(self, name: str, default: float, lowest: float, highest: float) -> float:
        """A finite number within bounds."""
        value = self.raw.get(name)
        if value is None:
            return default
        if not _is_number(value):
            self._wrong(name, "a number")
        elif not lowest <= value <= highest:  # type: ignore[operator]  # a number: just tested
            self.refuse(name, "out_of_range", f'"{name}" is {shown(value)}. It must be from {lowest:g} to {highest:g}.')
        else:
            return float(value)  # type: ignore[arg-type]  # a number: just tested
        return default

    def duration(self, name: str, default: T) -> float | T:
        """Seconds of an ISO 8601 duration."""
        value = self.raw.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            self._wrong(name, 'an ISO 8601 duration like "PT30S"')
            return default
        try:
            return parse_duration(value)
        except DurationInvalid as error:
            self.refuse(name, error.error_code, error.message)
            return default

    def choice(self, name: str, default: T, options: Sequence[T]) -> T:
        """One of the options."""
        value = self.raw.get(name)
        if value is None:
            return default
        for option in options:
            if option == value:
                return option
        known = ", ".join(f'"{option}"' for option in options)
        self.refuse(name, "unknown_value", f'"{name}" is {shown(value)}. Choose one of {known}.')
        return default

    def pair(self, name: str, default: tuple[float, float]) -> tuple[float, float]:
        """Two finite numbers: a place or a size on the canvas."""
        value = self.raw.get(name)
        if value is None:
            return default
        if isinstance(value, list | tuple) and len(value) == 2 and all(_is_number(part) for part in value):
            first, second = (float(part) for part in value)  # type: ignore[arg-type]  # numbers: just tested
            if max(abs(first), abs(second)) <= FARTHEST:
                return first, second
            self.refuse(name, "out_of_range", f'"{name}" is {shown(value)}, too far from the origin.')
        else:
            self._wrong(name, "a list of two numbers")
        return default

    def object(self, name: str) -> JsonObject:
        """An object, whatever it holds."""
        value = self.raw.get(name)
        if value is None or isinstance(value, Mapping):
            return value or {}
        self._wrong(name, "an object")
        return {}

    def items(self, name: str) -> Sequence[Json]:
        """A list, whatever it holds."""
        value = self.raw.get(name)
        if value is None or isinstance(value, list | tuple):
            return value or ()
        self._wrong(name, "a list")
        return ()


def _is_number(value: Json) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)
