"""Reading an answer within bounds: bytes on the wire, bytes after decoding, number of headers."""

import zlib
from collections.abc import AsyncIterable, Sequence

from orchestrator.core.http_errors import HttpError, ResponseTooLarge

MOST_HEADERS = 200
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS  #: zlib finds out which of the two it is
_RAW_DEFLATE = -zlib.MAX_WBITS
_IDENTITY = {"", "identity"}
_DEFLATED = {"gzip", "x-gzip", "deflate"}


def headers_of(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Names in lower case; repeated ones joined by a comma (RFC 9110, 5.3). Raises `ResponseTooLarge`."""
    if len(raw) > MOST_HEADERS:
        raise ResponseTooLarge(f"The answer has more than {MOST_HEADERS} headers.")
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


async def read_body(stream: AsyncIterable[bytes], encoding: str, limit: int) -> bytes:
    """The decoded body. Raises `ResponseTooLarge` as soon as it has more than `limit` bytes, `HttpError`."""
    decoder = _Decoder(encoding.strip().lower(), limit)
    async for chunk in stream:
        decoder.feed(chunk)
    return decoder.finish()


class _Decoder:
    def __init__(self, encoding: str, limit: int) -> None:
        if encoding not in _IDENTITY | _DEFLATED:
            raise HttpError(
                f"The answer is encoded as {encoding[:60]!r}, which was not asked for.", code="http_encoding"
            )
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._zlib = zlib.decompressobj(_GZIP_OR_ZLIB) if encoding in _DEFLATED else None
        self._fed = False

    def feed(self, chunk: bytes) -> None:
        if self._zlib is None:
            self._keep(chunk)
            return
        # `max_length` bounds the memory: a bomb is noticed one byte after the limit, however well it is packed.
        self._keep(self._inflated(chunk, self._limit - self._size + 1))
        self._fed = self._fed or bool(chunk)

    def finish(self) -> bytes:
        if self._zlib is not None and self._fed and not self._zlib.eof:
            raise HttpError("The compressed answer is cut off.", code="http_encoding")
        return b"".join(self._parts)

    def _inflated(self, chunk: bytes, most: int) -> bytes:
        assert self._zlib is not None
        try:
            return self._zlib.decompress(chunk, most)
        except zlib.error as error:
            if self._fed:
                raise HttpError("The answer is not compressed as it says.", code="http_encoding") from error
        # Some servers send "deflate" without the zlib header (RFC 9110, 8.4.1.2).
        self._zlib = zlib.decompressobj(_RAW_DEFLATE)
        try:
            return self._zlib.decompress(chunk, most)
        except zlib.error as error:
            raise HttpError("The answer is not compressed as it says.", code="http_encoding") from error

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._limit:
            raise ResponseTooLarge(f"The answer has more than {self._limit:,} bytes.")
        self._parts.append(data)
