"""A value as a file: as it stands, or, where it is too large to be one value, written while it is read."""

import json
from collections.abc import Iterator, Mapping

from django.http import Http404, HttpResponse, HttpResponseBase, StreamingHttpResponse

from orchestrator.api import ItemOutputs, Json, each_output


def pretty(value: Json) -> str:
    """JSON for people. Lone surrogates cannot be sent as UTF-8: they stay escaped."""
    return _sendable(json.dumps(value, indent=2, ensure_ascii=False))


def attachment(values: Mapping[str, Json], name: str, file_name: str) -> HttpResponseBase:
    """A JSON file that no browser renders, whatever it holds."""
    if name not in values:
        raise Http404
    value = values[name]
    more = {
        "content_type": "application/json; charset=utf-8",
        "headers": {
            "Content-Disposition": f'attachment; filename="{file_name}-{name}.json"',
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "X-Content-Type-Options": "nosniff",
        },
    }
    if isinstance(value, ItemOutputs):
        return StreamingHttpResponse((part.encode() for part in _parts(value)), **more)
    return HttpResponse(pretty(value), **more)


def _parts(value: Json) -> Iterator[str]:
    """The text of a value in which such references may stand: of each list one line for an item."""
    if isinstance(value, ItemOutputs):
        start = "[\n"
        for one in each_output(value):
            yield start
            yield from _parts(one)
            start = ",\n"
        yield "\n]"
    elif isinstance(value, Mapping) and any(isinstance(one, ItemOutputs) for one in value.values()):
        start = "{"
        for key, one in value.items():
            yield f"{start}{json.dumps(key)}: "
            yield from _parts(one)
            start = ", "
        yield "}"
    else:
        yield _sendable(json.dumps(value, ensure_ascii=False))


def _sendable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
