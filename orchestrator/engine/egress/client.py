"""HTTP for steps. Connections are kept per owner: some servers bind a log-in to the connection."""

import asyncio
import ssl
from collections.abc import AsyncIterable, Hashable, Mapping
from functools import lru_cache
from typing import cast
from weakref import WeakKeyDictionary

import httpcore
import httpx

from orchestrator.core.http_errors import ConnectionFailed, DeadlineExceeded, ResponseTooLarge
from orchestrator.core.kinds import HttpAnswer
from orchestrator.engine.egress.body import headers_of, read_body
from orchestrator.engine.egress.gate import Gate, GatedBackend, Resolver, system_resolver
from orchestrator.engine.egress.target import Target, target_of

LONGEST = 300.0  #: seconds for one request, whatever the step says
LIMIT = 5_000_000  #: bytes of decoded body
CONNECTIONS = 1_000  #: at once, per owner and event loop
IDLE_CONNECTIONS = 50
IDLE_SECONDS = 15.0
#: Ours alone: a body in another encoding could not be bounded.
_OURS = {"host", "accept-encoding", "content-length", "transfer-encoding", "connection"}
_Origin = tuple[str, str, int]


class Egress:
    """Hands out one client per owner (a workspace); all share the resolver."""

    def __init__(self, *, resolver: Resolver = system_resolver) -> None:
        self._resolver = resolver
        self._clients: dict[Hashable, EgressClient] = {}

    def client(self, owner: Hashable, allowed: frozenset[str] = frozenset()) -> "EgressClient":
        """The owner's client. `allowed`: internal hosts ("host" or "host:port") that this owner may reach."""
        client = self._clients.get(owner)
        if client is None or client.allowed != allowed:
            client = self._clients[owner] = EgressClient(allowed, resolver=self._resolver)
        return client

    async def close(self) -> None:
        """Close the idle connections of the running loop."""
        for client in self._clients.values():
            await client.close()


class EgressClient:
    """Implements `core.kinds.HttpClient`. Usable from several event loops; each has connections of its own."""

    def __init__(self, allowed: frozenset[str] = frozenset(), *, resolver: Resolver = system_resolver) -> None:
        self.allowed = frozenset(host.lower() for host in allowed)
        self._resolver = resolver
        self._pools: WeakKeyDictionary[asyncio.AbstractEventLoop, _Pool] = WeakKeyDictionary()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None,
        timeout: float,
        limit: int = LIMIT,
    ) -> HttpAnswer:
        """One request, redirects not followed.

        Raises `EgressBlocked`, `ResponseTooLarge`, `DeadlineExceeded`, `ConnectionFailed`, `HttpError`.
        """
        target = target_of(url)
        request = _request(method, target, headers, content)
        seconds = min(timeout, LONGEST)
        try:
            async with asyncio.timeout(seconds):
                return await self._pool().exchange(target, request, limit)
        except TimeoutError as error:
            raise DeadlineExceeded(f"{target.host} did not answer completely within {seconds:g} s.") from error
        except httpcore.ProtocolError as error:
            raise _protocol_error(target, error) from error
        except (httpcore.NetworkError, httpcore.TimeoutException, ssl.SSLError) as error:
            raise ConnectionFailed(f"The connection to {target.host} broke off ({type(error).__name__}).") from error

    async def close(self) -> None:
        """Close the idle connections of the running loop."""
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            await pool.close()

    def _pool(self) -> "_Pool":
        loop = asyncio.get_running_loop()
        pool = self._pools.get(loop)
        if pool is None:
            pool = self._pools[loop] = _Pool(Gate(self.allowed, self._resolver))
        return pool


class _Pool:
    """Idle connections by origin. httpcore's own pool looks at all connections on every request: 1,000 waiting
    requests would cost seconds of computing."""

    def __init__(self, gate: Gate) -> None:
        self._backend = GatedBackend(gate)
        self._idle: list[tuple[_Origin, httpcore.AsyncHTTPConnection]] = []  # the longest idle one first
        self._free = asyncio.Semaphore(CONNECTIONS)

    async def exchange(self, target: Target, request: httpcore.Request, limit: int) -> HttpAnswer:
        origin = (target.scheme, target.host, target.port)
        async with self._free:
            connection = await self._take(origin)
            try:
                answer = await _answer(connection, request, limit)
            except BaseException:
                await _close(connection)
                raise
            await self._give_back(origin, connection)
            return answer

    async def close(self) -> None:
        idle, self._idle = self._idle, []
        for _, connection in idle:
            await _close(connection)

    async def _take(self, origin: _Origin) -> httpcore.AsyncHTTPConnection:
        for position in range(len(self._idle) - 1, -1, -1):
            if self._idle[position][0] == origin:
                _, connection = self._idle.pop(position)
                if connection.is_idle() and not connection.has_expired():
                    return connection
                await _close(connection)
                return self._new(origin)
        return self._new(origin)

    def _new(self, origin: _Origin) -> httpcore.AsyncHTTPConnection:
        scheme, host, port = origin
        return httpcore.AsyncHTTPConnection(
            httpcore.Origin(scheme.encode(), host.encode(), port),
            ssl_context=_tls() if scheme == "https" else None,
            network_backend=self._backend,
            keepalive_expiry=IDLE_SECONDS,
        )

    async def _give_back(self, origin: _Origin, connection: httpcore.AsyncHTTPConnection) -> None:
        if not connection.is_idle():
            await _close(connection)
            return
        self._idle.append((origin, connection))
        while len(self._idle) > IDLE_CONNECTIONS or self._idle[0][1].has_expired():
            _, oldest = self._idle.pop(0)
            await _close(oldest)
            if not self._idle:
                return


async def _answer(connection: httpcore.AsyncHTTPConnection, request: httpcore.Request, limit: int) -> HttpAnswer:
    response = await connection.handle_async_request(request)
    try:
        headers = headers_of(response.headers)
        stream = cast("AsyncIterable[bytes]", response.stream)
        body = await read_body(stream, headers.get("content-encoding", ""), limit)
    finally:
        await response.aclose()
    return HttpAnswer(status=response.status, headers=headers, body=body)


async def _close(connection: httpcore.AsyncHTTPConnection) -> None:
    await asyncio.shield(connection.aclose())


def _request(method: str, target: Target, headers: Mapping[str, str], content: bytes | None) -> httpcore.Request:
    sent = {"Host": target.authority, "Accept": "*/*", "User-Agent": "Branchline", "Accept-Encoding": "gzip, deflate"}
    if content is not None or method in {"POST", "PUT", "PATCH"}:
        sent["Content-Length"] = str(len(content or b""))
    known = {name.lower() for name in headers}
    own = {name: value for name, value in sent.items() if name.lower() in _OURS or name.lower() not in known}
    theirs = {name: value for name, value in headers.items() if name.lower() not in _OURS}
    raw = [(name.encode("ascii"), value.encode("latin-1")) for name, value in {**own, **theirs}.items()]
    url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
    return httpcore.Request(method, url, headers=raw, content=content or b"")


def _protocol_error(target: Target, error: httpcore.ProtocolError) -> ConnectionFailed | ResponseTooLarge:
    if "too long" in str(error):  # h11's bound on the head of a message
        return ResponseTooLarge("The head of the answer is too long.")
    return ConnectionFailed(f"{target.host} did not answer in proper HTTP.", code="http_protocol")


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
