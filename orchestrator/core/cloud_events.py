"""CloudEvents 1.0 as somebody sends them by HTTP -> an event that we keep. Every fault names its attribute.

Sources: CloudEvents 1.0.2, its JSON format and its HTTP protocol binding. Structured mode holds the event in the body,
binary mode its attributes in `ce-*` headers and its data in the body. Data is JSON; see decision 0063 for the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from orchestrator.core import event_attributes
from orchestrator.core.errors import BranchlineError
from orchestrator.core.event_attributes import Fault, is_json
from orchestrator.core.event_headers import attributes_of, media_type
from orchestrator.core.json_text import MAX_BYTES, MAX_DEPTH, parse_json
from orchestrator.core.json_types import Json, JsonObject

STRUCTURED = "application/cloudevents+json"
FAMILY = "application/cloudevents"
#: The attributes that are columns of their own; the others are `extra`.
OWN = frozenset({"specversion", "id", "source", "type", "subject", "time", "key", "datacontenttype"})


class EventInvalid(BranchlineError):
    """An event is not as CloudEvents 1.0 and our limits have it. `details` maps attributes to [{"code", "message"}]."""

    code = "event_invalid"


class EventUnsupported(BranchlineError):
    """An event comes in a form that we do not read: a batch, another format, data that is not JSON."""

    code = "unsupported_media_type"
    status = 415


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEvent:
    """A checked event. `key`: "" when it has none. `time` None: it happened when it was accepted."""

    id: str
    source: str
    type: str
    key: str = ""
    subject: str | None = None
    time: datetime | None = None
    data: Json = None
    extra: JsonObject = field(default_factory=dict)

    def as_json(self) -> dict[str, Json]:
        """What `publish_event` takes. Data is always there: an expression may read it."""
        return {
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "key": self.key,
            "subject": self.subject,
            "time": None if self.time is None else self.time.isoformat(),
            "data": self.data,
            "extra": self.extra,
        }


def read_event(content_type: str, headers: Mapping[str, str], body: bytes, *, max_bytes: int = MAX_BYTES) -> CloudEvent:
    """The event of a request; a body with `ce-*` headers is binary mode unless its type says otherwise.

    Raises EventInvalid, EventUnsupported, JsonInvalid.
    """
    media = media_type(content_type)
    if media == STRUCTURED:
        return structured_event(parse_json(body, max_bytes=max_bytes))
    if media.startswith(FAMILY):
        raise EventUnsupported(f'The body is "{media[:80]}". Send events one by one, as {STRUCTURED}.')
    attributes, faults = attributes_of(headers)
    if body and not is_json(media):
        told = f'The body is "{media[:80]}"' if media else "The body has no Content-Type"
        raise EventUnsupported(f"{told}. Data is JSON: send it as application/json, or the event as {STRUCTURED}.")
    if not attributes and not faults:
        return structured_event(parse_json(body, max_bytes=max_bytes))
    # Steps see data one level below the event, and values nest no deeper than that.
    data = parse_json(body, max_bytes=max_bytes, max_depth=MAX_DEPTH - 1) if body else None
    return checked_event(attributes, data, faults)


def structured_event(body: Json) -> CloudEvent:
    """The event that a JSON object in the CloudEvents format is. Raises EventInvalid."""
    if not isinstance(body, Mapping):
        message = 'An event is a JSON object with "specversion", "id", "source" and "type".'
        raise refusal([Fault("body", "wrong_type", message)])
    attributes = {name: value for name, value in body.items() if name not in ("data", "data_base64")}
    faults = [event_attributes.BASE64] if body.get("data_base64") is not None else []
    return checked_event(attributes, body.get("data"), faults)


def checked_event(attributes: JsonObject, data: Json, faults: Sequence[Fault] = ()) -> CloudEvent:
    """The event of these attributes; `faults` were found before. Raises EventInvalid with every fault."""
    given = {name: value for name, value in attributes.items() if value is not None}
    found = [*faults, *event_attributes.faults_of(given)]
    if found:
        raise refusal(found)
    texts = {name: event_attributes.text_of(value) for name, value in given.items()}
    return CloudEvent(
        id=texts["id"],
        source=texts["source"],
        type=texts["type"],
        key=texts.get("key") or texts.get("partitionkey", ""),
        subject=texts.get("subject"),
        time=event_attributes.moment(texts["time"]) if "time" in texts else None,
        data=data,
        extra={name: value for name, value in given.items() if name not in OWN},
    )


def refusal(faults: list[Fault]) -> EventInvalid:
    """Every fault by its attribute; the sentence is the first one's."""
    details: dict[str, list[JsonObject]] = {}
    for fault in faults:
        details.setdefault(fault.name, []).append({"code": fault.code, "message": fault.message})
    return EventInvalid(faults[0].message, details=details)
