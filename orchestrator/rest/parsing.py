"""Bodies: JSON only, through the one parser that every door shares."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from orchestrator.core.json_text import parse_json
from orchestrator.core.json_types import Json
from orchestrator.rest.errors import LengthRequired, TooLarge

MOST_BYTES = 1_000_000
MOST_DEPTH = 64


class JsonParser(BaseParser):
    """Reads at most the view's `max_body_bytes`, then refuses; see orchestrator.core.json_text for the rest."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        view = (parser_context or {}).get("view")
        most = getattr(view, "max_body_bytes", MOST_BYTES)
        body = stream.read(most + 1)
        if len(body) > most:
            raise TooLarge(f"The body is larger than {most:,} bytes.")
        return parse_body(body, most)


def parse_body(body: bytes, most: int = MOST_BYTES) -> Json:
    """The value of a body. Raises JsonInvalid."""
    return parse_json(body, max_bytes=most, max_depth=MOST_DEPTH)


def refuse_by_header(headers: Mapping[str, Any], most: int) -> None:
    """Refuse a body before reading it: too long by its own account, or of unknown length."""
    length = headers.get("CONTENT_LENGTH") or ""
    if not length and "chunked" in headers.get("HTTP_TRANSFER_ENCODING", "").lower():
        raise LengthRequired("Send the body with a Content-Length.")
    if length.isdecimal() and int(length[:12]) > most:
        raise TooLarge(f"The body has {length} bytes; this address takes {most:,}.")
