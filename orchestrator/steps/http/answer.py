"""What came back -> an outcome."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from orchestrator.core.errors import JsonInvalid
from orchestrator.core.json_text import parse_json
from orchestrator.core.json_types import Json
from orchestrator.core.kinds import HttpAnswer
from orchestrator.core.outcome import Done, Fail, Retry
from orchestrator.steps.faults import clean, fault
from orchestrator.steps.http.config import HttpConfig

#: The server says "not now": RFC 9110 15.5.9, 15.6.3-5, RFC 6585 4.
PASSING = frozenset({408, 429, 502, 503, 504})
LONGEST_WISH = 86_400.0  #: seconds
_LARGEST = 5_000_000
_LONGEST_HEADER = 8_000


def outcome_of(config: HttpConfig, answer: HttpAnswer, now: datetime) -> Done | Fail | Retry:
    """Accepted: the whole answer. Passing trouble: again later. Anything else: a permanent failure."""
    if config.accepts(answer.status):
        try:
            return Done(_output(answer))
        except JsonInvalid as error:
            message = f"The answer says it is JSON but is not: {error.message}"
            return Fail(fault("http_body", message, {"status": answer.status}))
    message = f"The server answered with status {answer.status}, which this step does not accept."
    if answer.status in PASSING:
        return Retry(fault("http_status", message, {"status": answer.status}), after=retry_after(answer.headers, now))
    return Fail(fault("http_status", message, {"status": answer.status}))


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that the server asks to wait (RFC 9110, 10.2.3: a number or a date); None when it does not say."""
    wish = next((value.strip() for name, value in headers.items() if name.lower() == "retry-after"), "")
    if wish.isascii() and wish.isdigit() and len(wish) < 10:
        return min(float(wish), LONGEST_WISH)
    try:
        moment = parsedate_to_datetime(wish)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), LONGEST_WISH)


def _output(answer: HttpAnswer) -> dict[str, Json]:
    headers: dict[str, Json] = {
        clean(name.lower(), 200): clean(value, _LONGEST_HEADER) for name, value in answer.headers.items()
    }
    kind = str(headers.get("content-type", "")).partition(";")[0].strip().lower()
    is_json = kind == "application/json" or kind.endswith("+json")
    body: Json = (
        parse_json(answer.body, max_bytes=_LARGEST) if is_json and answer.body.strip() else _text(answer, headers)
    )
    return {"status": answer.status, "headers": headers, "body": body}


def _text(answer: HttpAnswer, headers: Mapping[str, Json]) -> str | None:
    if not answer.body.strip():
        return None
    _, _, charset = str(headers.get("content-type", "")).lower().partition("charset=")
    try:
        text = answer.body.decode(charset.split(";")[0].strip(" \"'") or "utf-8", errors="replace")
    except (LookupError, UnicodeError):  # an unknown charset, or a codec that does not make text
        text = answer.body.decode(errors="replace")
    return clean(text, _LARGEST)
