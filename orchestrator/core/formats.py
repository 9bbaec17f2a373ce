"""The `format`s of JSON Schema that we check; others are remarks."""

import re
from collections.abc import Callable
from datetime import date, time
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit
from uuid import UUID

from jsonschema import FormatChecker

from orchestrator.core.durations import DurationInvalid, parse_duration

FORMATS = FormatChecker(formats=())
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ZONE = r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
_TIME = re.compile(rf"[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:\.[0-9]{{1,9}})?{_ZONE}")
_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,255}")
_HOST_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def _text(check: Callable[[str], bool]) -> Callable[[object], bool]:
    """A format says something about texts only (Draft 2020-12, 7.1)."""
    return lambda value: not isinstance(value, str) or check(value)


def _is_date(value: str) -> bool:
    return bool(_DATE.fullmatch(value) and date.fromisoformat(value))


def _is_time(value: str) -> bool:
    # Python reads at most six digits of a second's fraction.
    shape = _TIME.fullmatch(value)
    return bool(shape and time.fromisoformat(re.sub(r"\.[0-9]+", "", value).upper()))


def _is_date_time(value: str) -> bool:
    """RFC 3339, with a zone: a time without one means nothing to a server."""
    return value[10:11] in {"T", "t"} and _is_date(value[:10]) and _is_time(value[11:])


def _is_duration(value: str) -> bool:
    try:
        return parse_duration(value) >= 0
    except DurationInvalid:
        return False


def _is_uri(value: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+", value) and urlsplit(value).scheme)


def _is_hostname(value: str) -> bool:
    return len(value) <= 253 and all(_HOST_LABEL.fullmatch(label) for label in value.split("."))


def _is_uuid(value: str) -> bool:
    return str(UUID(value)) == value.lower()


_CHECKS: dict[str, Callable[[str], bool]] = {
    "date": _is_date,
    "time": _is_time,
    "date-time": _is_date_time,
    "duration": _is_duration,
    "email": lambda value: bool(_EMAIL.fullmatch(value)),
    "hostname": _is_hostname,
    "ipv4": lambda value: bool(IPv4Address(value)),
    "ipv6": lambda value: "%" not in value and bool(IPv6Address(value)),
    "uri": _is_uri,
    "uuid": _is_uuid,
}
for _name, _check in _CHECKS.items():
    FORMATS.checks(_name, raises=ValueError)(_text(_check))
