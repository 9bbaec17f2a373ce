"""Binary mode: attributes of an event in headers, as the CloudEvents HTTP protocol binding 1.0.2 has them (3.1.3)."""

import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from orchestrator.core.event_attributes import Fault

PREFIX = "ce-"
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def attributes_of(headers: Mapping[str, str]) -> tuple[dict[str, str], list[Fault]]:
    """The attributes that `ce-*` headers carry, and what could not be read of them. Case of the names is ignored.

    With at least one of them, the Content-Type is the event's `datacontenttype` and needs no header of its own.
    """
    attributes: dict[str, str] = {}
    faults = []
    for header, value in headers.items():
        name = header.lower().removeprefix(PREFIX)
        if name == header.lower():
            continue
        decoded = decoded_value(value)
        if decoded is None:
            message = f'The header "{header[:40]}" is not percent-encoded UTF-8. Encode it like %C3%A9.'
            faults.append(Fault(name[:40] or "body", "header_invalid", message))
        else:
            attributes[name] = decoded
    return attributes, faults


def decoded_value(value: str) -> str | None:
    """The text that a header stands for: quotes off (as older senders write them), then percent signs, once."""
    text = value.strip(" \t")
    if quoted := _QUOTED.fullmatch(text):
        text = _ESCAPED.sub(r"\1", quoted[1])
    if not text.isascii():
        return None
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return None


def media_type(content_type: str) -> str:
    """A Content-Type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()
