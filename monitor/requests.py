"""What a socket's other end may ask, as values. One parser; everything else is refused with a code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from orchestrator.api import Json, parse_json

MOST_BYTES = 65_536  # of one message
MOST_DEPTH = 4
COUNTS = ("dashboard", "tasks", "events")
FIELDS: Mapping[str, set[str]] = {"run": {"id", "after"}, **{what: set() for what in COUNTS}}
MOST_SEQ = 2**63 - 1


@dataclass(frozen=True, slots=True)
class WatchRun:
    """Tell me what changes in this run, from this position on."""

    run_id: UUID
    after: int | None


@dataclass(frozen=True, slots=True)
class Count:
    """Tell me these counts, now and when they change."""

    what: str


@dataclass(frozen=True, slots=True)
class Unwatch:
    """Tell me no more."""

    what: str
    run_id: UUID | None


class Invalid(Exception):
    """The message is refused; the socket stays open."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def error_text(code: str, message: str) -> str:
    """An error frame."""
    return json.dumps({"error": {"code": code, "message": message}})


def parse(text: str | None) -> WatchRun | Count | Unwatch:
    """Read one message. Raises Invalid, JsonInvalid."""
    if text is None:
        raise Invalid("text_expected", "Send messages as text: one JSON object each.")
    message = parse_json(text, max_bytes=MOST_BYTES, max_depth=MOST_DEPTH)
    if not isinstance(message, Mapping) or len({"watch", "unwatch"} & set(message)) != 1:
        raise Invalid("invalid", 'Send an object with either "watch" or "unwatch".')
    verb = "watch" if "watch" in message else "unwatch"
    what = message[verb]
    if not isinstance(what, str) or what not in FIELDS:
        raise Invalid("unknown_watch", f"There is {_shown(what)} to watch. Known: {', '.join(FIELDS)}.")
    known = {verb} | FIELDS[what] - ({"after"} if verb == "unwatch" else set())
    if unknown := set(message) - known:
        raise Invalid("unknown_field", f'There is no "{min(unknown)[:40]}" here. Known: {", ".join(sorted(known))}.')
    if what in COUNTS:
        return Count(what) if verb == "watch" else Unwatch(what, None)
    run_id = _run_id(message.get("id"))
    return WatchRun(run_id, _after(message)) if verb == "watch" else Unwatch(what, run_id)


def _shown(what: Json) -> str:
    return f'no "{what[:40]}"' if isinstance(what, str) else "nothing of that kind"


def _run_id(value: Json) -> UUID:
    """An id in its one spelling. Anything else names no run."""
    refusal = Invalid("not_found", "There is no such run in this workspace, or you may not see it.")
    if not isinstance(value, str) or len(value) != 36:
        raise refusal
    try:
        found = UUID(value)
    except ValueError as error:
        raise refusal from error
    if str(found) != value.lower():
        raise refusal
    return found


def _after(message: Mapping[str, Json]) -> int | None:
    after = message.get("after")
    if after is None:
        return None
    if not isinstance(after, int) or isinstance(after, bool) or not 0 <= after <= MOST_SEQ:
        raise Invalid("invalid", '"after" is the `seq` of a frame or of the API: a whole number.')
    return after
