"""The answers of people: what each field of a human task takes, and the fingerprint of what was shown."""

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, get_args

from orchestrator.core.json_types import Json, JsonObject

FieldKind = Literal["text", "long_text", "number", "date", "choice", "yes_no", "email"]
FIELD_KINDS: tuple[FieldKind, ...] = get_args(FieldKind)

#: Characters, unless the field says less.
LONGEST: Mapping[str, int] = {"text": 500, "long_text": 10_000, "email": 254}
FARTHEST = 1e15  #: beyond it a double no longer holds every whole number
MAX_UNKNOWN = 20  #: unknown names reported, so that an answer to garbage stays small

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u2028\u2029\ud800-\udfff]")
_LINE_END = re.compile(r"\r\n?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# RFC 5321's lengths and a dotted domain; whether the mailbox exists only a mail can tell.
_EMAIL = re.compile(r"[^\s@<>()\[\],;:\\\"]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_NUMBER = re.compile(r"[+-]?\d{1,16}(?:[.,]\d{1,15})?")


@dataclass(frozen=True, slots=True)
class Checked:
    """Values as they are stored, and one sentence for each field that was refused."""

    values: dict[str, Json] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


class _Refused(Exception):
    """One value was refused; the text is the sentence for the person."""


def options_of(form_field: JsonObject) -> list[tuple[str, str]]:
    """(value, label) of each option of a choice field."""
    raw = form_field.get("options")
    found: list[tuple[str, str]] = []
    for option in raw if isinstance(raw, Sequence) and not isinstance(raw, str) else ():
        if isinstance(option, Mapping):
            value = str(option.get("value", ""))
            found.append((value, str(option.get("label") or value)))
        else:
            found.append((str(option), str(option)))
    return found


def label_of(form_field: JsonObject) -> str:
    """What people call the field."""
    return str(form_field.get("label") or form_field.get("key") or "")


def check_values(fields: Sequence[JsonObject], values: JsonObject) -> Checked:
    """Test every value against its field. Fields left empty become null; names that no field has are refused."""
    checked = Checked()
    known = {str(form_field.get("key")): form_field for form_field in fields}
    for key, form_field in known.items():
        try:
            checked.values[key] = _checked(form_field, values.get(key))
        except _Refused as refused:
            checked.errors[key] = str(refused)
    for key in [key for key in values if key not in known][:MAX_UNKNOWN]:
        checked.errors[key[:63]] = "The form has no field of this name."
    return checked


def _checked(form_field: JsonObject, value: Json) -> Json:
    if value is None or (isinstance(value, str) and not value.strip()):
        if form_field.get("required") is True:
            raise _Refused(f"{label_of(form_field)} is required.")
        return None
    return _KINDS[str(form_field.get("kind"))](form_field, value)


def _text(form_field: JsonObject, value: Json) -> str:
    name = label_of(form_field)
    if not isinstance(value, str):
        raise _Refused(f"{name} must be text.")
    kind = str(form_field.get("kind"))
    text = _LINE_END.sub("\n", value)
    longest = _bound(form_field, "max_length", LONGEST[kind])
    if len(text) > longest:
        raise _Refused(f"{name} has {len(text):,} characters; at most {longest:,.0f} are allowed.")
    if _CONTROL.search(text) or (kind != "long_text" and "\n" in text):
        raise _Refused(f"{name} holds a character that cannot be kept here. Type it again without pasting.")
    return text


def _email(form_field: JsonObject, value: Json) -> str:
    text = _text(form_field, value).strip()
    if not _EMAIL.fullmatch(text) or ".." in text:
        raise _Refused(f"{label_of(form_field)} is no e-mail address. Write it like name@example.org.")
    return text


def _number(form_field: JsonObject, value: Json) -> int | float:
    name = label_of(form_field)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _Refused(f"{name} must be a number.")
    lowest = _bound(form_field, "min", -FARTHEST)
    highest = _bound(form_field, "max", FARTHEST)
    if value < lowest:
        raise _Refused(f"{name} must be at least {lowest:,g}.")
    if value > highest:
        raise _Refused(f"{name} must be at most {highest:,g}.")
    return value


def _date(form_field: JsonObject, value: Json) -> str:
    name = label_of(form_field)
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise _Refused(f"{name} must be a date like 2026-03-31.")
    try:
        date.fromisoformat(value)
    except ValueError:
        raise _Refused(f"{name} is no day of the calendar.") from None
    # ISO dates of four-digit years sort as text.
    earliest, latest = form_field.get("min"), form_field.get("max")
    if isinstance(earliest, str) and _DATE.fullmatch(earliest) and value < earliest:
        raise _Refused(f"{name} must be {earliest} or later.")
    if isinstance(latest, str) and _DATE.fullmatch(latest) and value > latest:
        raise _Refused(f"{name} must be {latest} or earlier.")
    return value


def _choice(form_field: JsonObject, value: Json) -> str:
    options = options_of(form_field)
    if not isinstance(value, str) or value not in [option for option, _ in options]:
        shown = ", ".join(label for _, label in options[:10])
        raise _Refused(f"{label_of(form_field)} must be one of: {shown}.")
    return value


def _yes_no(form_field: JsonObject, value: Json) -> bool:
    if not isinstance(value, bool):
        raise _Refused(f"{label_of(form_field)} must be yes or no.")
    return value


_KINDS: Mapping[str, Callable[[JsonObject, Json], Json]] = {
    "text": _text,
    "long_text": _text,
    "email": _email,
    "number": _number,
    "date": _date,
    "choice": _choice,
    "yes_no": _yes_no,
}


def _bound(form_field: JsonObject, name: str, default: float) -> float:
    """A limit of the field; one that is no number (it came from an expression) does not widen the default."""
    value = form_field.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return default
    return min(value, default) if name in {"max", "max_length"} else max(value, default)


def read_posted(fields: Sequence[JsonObject], get: Callable[[str], str | None]) -> dict[str, Json]:
    """The JSON values of an HTML form; what cannot be read stays text, so that `check_values` refuses it by name."""
    return {str(one.get("key")): _posted(str(one.get("kind")), get(str(one.get("key")))) for one in fields}


def _posted(kind: str, text: str | None) -> Json:
    if text is None or not text.strip():
        return None
    if kind == "yes_no":
        return {"yes": True, "no": False}.get(text, text)
    if kind == "number" and _NUMBER.fullmatch(text.strip()):
        plain = text.strip().replace(",", ".")
        return float(plain) if "." in plain else int(plain)
    return text


def content_digest(
    *, title: str, text: str, fields: Sequence[JsonObject], outcomes: Sequence[JsonObject], quorum: int
) -> str:
    """SHA-256 (hex) of what a person is shown: a decision counts only for the content it was made on."""
    content = {"title": title, "text": text, "fields": fields, "outcomes": outcomes, "quorum": quorum}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
