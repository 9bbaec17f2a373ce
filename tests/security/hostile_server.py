"""A web server on loopback that answers as its path says, and remembers who asked."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_BOMB = gzip.compress(b"\0" * 50_000_000)


def _whole(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


_raw = zlib.compressobj(wbits=-15)
_ANSWERS: dict[str, bytes] = {
    "/ok": _whole(b"ok"),
    "/redirect": _whole(b"", b"Location: http://127.0.0.1:1/inner", status=b"302 Found"),
    "/gzip": _whole(gzip.compress(b"hello"), b"Content-Encoding: gzip"),
    "/deflate": _whole(zlib.compress(b"hello"), b"Content-Encoding: deflate"),
    "/raw-deflate": _whole(_raw.compress(b"hello") + _raw.flush(), b"Content-Encoding: deflate"),
    "/bomb": _whole(_BOMB, b"Content-Encoding: gzip"),
    "/cut": _whole(gzip.compress(b"hello" * 100)[:20], b"Content-Encoding: gzip"),
    "/liar": _whole(b"not compressed", b"Content-Encoding: gzip"),
    "/brotli": _whole(b"x", b"Content-Encoding: br"),
    "/twice": _whole(b"x", b"Content-Encoding: gzip, gzip"),
    "/1000-headers": _whole(b"", *(b"X-%d: y" % number for number in range(1_000))),
    "/100000-headers": _whole(b"", *(b"X-%d: y" % number for number in range(100_000))),
    "/long-header": _whole(b"", b"X-A: " + b"y" * 1_000_000),
    "/junk": b"220 mail.example.org ESMTP\r\n\r\n",
    "/short": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nonly",
    "/repeated": _whole(b"", b"Set-Cookie: a=1", b"Set-Cookie: b=2"),
}


@dataclass
class Server:
    """`seen`: the head of each request, as bytes. `company`: how many must ask for `/together` before it answers."""

    port: int = 0
    seen: list[bytes] = field(default_factory=list)
    connections: int = 0
    company: asyncio.Barrier = field(default_factory=lambda: asyncio.Barrier(1))

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.seen.append(head)
                await self._answer(head.split()[1].decode().partition("?")[0], writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        if path in _ANSWERS:
            writer.write(_ANSWERS[path])
            if path in {"/short", "/junk"}:
                writer.close()
        elif path == "/endless":
            await _forever(writer, lambda: b"x" * 65_536, pause=0)
        elif path == "/drip":
            await _forever(writer, lambda: b"x", pause=0.02)
        elif path == "/together":
            await self.company.wait()
            writer.write(_ANSWERS["/ok"])
        await writer.drain()


async def _forever(writer: asyncio.StreamWriter, part: Callable[[], bytes], pause: float) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(part())
        await writer.drain()
        await asyncio.sleep(pause)


@asynccontextmanager
async def hostile_server() -> AsyncIterator[Server]:
    """A server on a free port; every open connection is closed with it."""
    server = Server()
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(server.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listening = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=1_000)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
