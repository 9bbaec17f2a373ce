"""ISO 8601 durations and seconds. Years and months are refused: they have no fixed length (ISO 8601-1:2019, 5.5.2)."""

import math
import re
from decimal import Decimal

from orchestrator.core.errors import BranchlineError

LONGEST = 10 * 366 * 86_400  #: seconds; longer ones are typing errors, and dates beyond year 9999 break clocks
_MAX_TEXT = 64  #: characters
_DATE_PART = r"(?:(?P<weeks>N)W)?(?:(?P<days>N)D)?"
_TIME_PART = r"(?:(?P<hours>N)H)?(?:(?P<minutes>N)M)?(?:(?P<seconds>N)S)?"
_SHAPE = re.compile(f"P{_DATE_PART}(?:T{_TIME_PART})?".replace("N", r"[0-9]+(?:[.,][0-9]{1,9})?"))
_SECONDS = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_EXAMPLES = 'Write it like "PT30S", "PT5M", "PT2H" or "P1D".'


class DurationInvalid(BranchlineError):
    """A text is no duration that we accept. Codes: duration_invalid, duration_negative, duration_calendar,
    duration_too_long."""

    code = "duration_invalid"


def parse_duration(text: str) -> float:
    """Seconds of an ISO 8601 duration ("PT1M30S" -> 90.0).

    Only the last part may have a fraction, at most nine digits. Raises `DurationInvalid`.
    """
    shown = text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "..."
    if text.startswith("-"):
        raise DurationInvalid(f'"{shown}" is negative. A duration is zero or more.', code="duration_negative")
    match = _SHAPE.fullmatch(text) if len(text) <= _MAX_TEXT else None
    parts = {name: part for name, part in match.groupdict().items() if part} if match else {}
    if not parts or text.endswith("T") or any(not part.isdigit() for part in list(parts.values())[:-1]):
        raise _refused(shown)
    seconds = sum((Decimal(part.replace(",", ".")) * _SECONDS[name] for name, part in parts.items()), Decimal(0))
    if seconds > LONGEST:
        raise DurationInvalid(f'"{shown}" is longer than ten years. Choose a shorter one.', code="duration_too_long")
    return float(seconds)


def _refused(shown: str) -> DurationInvalid:
    if re.match(r"P[0-9.,]*Y|P[0-9.,]+M|P[0-9.,]+Y[0-9.,]+M", shown):
        message = f'"{shown}" counts years or months, which have no fixed length. Use days, like "P30D".'
        return DurationInvalid(message, code="duration_calendar")
    return DurationInvalid(f'"{shown}" is no ISO 8601 duration. {_EXAMPLES}')


def format_duration(seconds: float) -> str:
    """The shortest ISO 8601 duration of `seconds` (90.0 -> "PT1M30S"), exact to the nanosecond.

    Raises `DurationInvalid` for a negative, non-finite or absurd number.
    """
    if not math.isfinite(seconds) or not 0 <= seconds <= LONGEST:
        raise DurationInvalid(f"{seconds!r} seconds is no duration between zero and ten years.")
    # repr gives the shortest digits that read back as this very float, so no 0.1 becomes 0.1000000000000000055.
    rest = round(Decimal(repr(float(seconds))), 9)
    text = ""
    for letter, unit in (("D", 86_400), ("H", 3_600), ("M", 60)):
        count, rest = divmod(rest, unit)
        text += f"{count:f}{letter}" if count else ""
        text += "T" if letter == "D" else ""
    if rest or text == "T":
        text += (f"{rest:f}".rstrip("0").rstrip(".") if rest % 1 else f"{rest:.0f}") + "S"
    return "P" + text.removesuffix("T")
