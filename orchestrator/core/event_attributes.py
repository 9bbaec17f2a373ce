"""What each attribute of an event may be, and the sentence that says so."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from orchestrator.core.json_types import Json, JsonObject

REQUIRED: Final = ("specversion", "id", "source", "type")
LONGEST: Final = {"id": 200, "source": 400, "type": 200, "key": 200, "partitionkey": 200, "subject": 400}
LONGEST_OTHER = 1_000  # characters of any other attribute
LONGEST_NAME = 40  # characters; CloudEvents advises 20
MOST_OTHERS = 20  # attributes beside those of CloudEvents itself
STANDARD: Final = frozenset({*REQUIRED, "subject", "time", "datacontenttype", "dataschema"})
TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
NAME = re.compile(r"[a-z0-9]{1,40}")
#: Controls, and what breaks lines: an attribute is one line wherever it is shown.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
#: RFC 3339, section 5.6. Python alone would take more, and times without a zone.
TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,20})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
JSON_MEDIA = re.compile(r"[a-z]+/([a-z0-9!#$&^_.-]+\+)?json")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an attribute is refused."""

    name: str
    code: str
    message: str


BASE64: Final = Fault("data_base64", "data_not_json", '"data_base64" holds bytes. Send JSON as "data" instead.')


def faults_of(attributes: JsonObject) -> Iterator[Fault]:
    """Every fault of the attributes that were given (none is None)."""
    for name in REQUIRED:
        if name not in attributes:
            yield Fault(name, "required", f'"{name}" is missing. Every event has {", ".join(REQUIRED)}.')
    others = [name for name in attributes if name not in STANDARD and name != "key"]
    if len(others) > MOST_OTHERS:
        message = f"The event has {len(others)} extension attributes; at most {MOST_OTHERS} are kept. Put them in data."
        yield Fault("body", "too_many_attributes", message)
        return
    for name, value in attributes.items():
        if fault := fault_of(name, value):
            yield fault


def fault_of(name: str, value: Json) -> Fault | None:
    """The first fault of one attribute."""
    if not NAME.fullmatch(name) or name == "data":
        message = f'"{name[:40]}" cannot be an attribute: names are 1 to {LONGEST_NAME} of a-z and 0-9. Put it in data.'
        return Fault(shown(name), "attribute_name_invalid", message)
    if not isinstance(value, str | int | bool):
        message = f'"{name}" is {kind_of(value)}. Attributes are text; put anything else in data.'
        return Fault(name, "wrong_type", message)
    if name in STANDARD and not isinstance(value, str):
        return Fault(name, "wrong_type", f'"{name}" is {kind_of(value)}. Send it as text.')
    return fault_of_text(name, text_of(value))


def fault_of_text(name: str, text: str) -> Fault | None:
    longest = LONGEST.get(name, LONGEST_OTHER)
    if not text:
        return Fault(name, "blank", f'"{name}" is empty. Give 1 to {longest} characters, or leave it out.')
    if len(text) > longest:
        message = f'"{name}" has {len(text):,} characters; at most {longest:,} are kept. Shorten it.'
        return Fault(name, "too_long", message)
    if found := CONTROL.search(text):
        code = f"U+{ord(found[0]):04X}"
        return Fault(name, "text_invalid", f'"{name}" holds the control character {code}. Send it without.')
    rule = RULES.get(name)
    return rule(text) if rule else None


def fault_of_version(text: str) -> Fault | None:
    message = f'"specversion" is "{text[:40]}". Send "1.0": this is CloudEvents 1.0.'
    return None if text == "1.0" else Fault("specversion", "specversion_unsupported", message)


def fault_of_type(text: str) -> Fault | None:
    message = f'"type" is "{text[:80]}". Use letters, digits and . _ / - (a letter or digit first), like "order.paid".'
    return None if TYPE.fullmatch(text) else Fault("type", "event_type_invalid", message)


def fault_of_time(text: str) -> Fault | None:
    message = f'"time" is "{text[:40]}". Write it as RFC 3339 with its zone, like "2026-03-31T14:05:00Z".'
    return Fault("time", "time_invalid", message) if moment(text) is None else None


def fault_of_content_type(text: str) -> Fault | None:
    message = f'"datacontenttype" is "{text[:80]}". Data is JSON: send application/json, or leave it out.'
    media = text.partition(";")[0].strip().lower()
    return None if is_json(media) else Fault("datacontenttype", "data_not_json", message)


RULES: Final[dict[str, Callable[[str], Fault | None]]] = {
    "specversion": fault_of_version,
    "type": fault_of_type,
    "time": fault_of_time,
    "datacontenttype": fault_of_content_type,
}


def moment(text: str) -> datetime | None:
    """The time in UTC; None for what is none, or is outside of what the database keeps."""
    if not TIME.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if 1 < found.year < 9999 else None


def is_json(media: str) -> bool:
    """Whether a media type (lower case, without parameters) is JSON: "application/json", "application/x+json"."""
    return JSON_MEDIA.fullmatch(media) is not None


def text_of(value: Json) -> str:
    """An attribute as text, by CloudEvents' own spelling of numbers and truth."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def kind_of(value: Json) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "a list" if isinstance(value, list | tuple) else "an object"


def shown(name: str) -> str:
    """A name that nobody checked, short and on one line."""
    return CONTROL.sub("?", name[:40]) or "body"
