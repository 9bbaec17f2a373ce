"""Names are resolved once, every address is tested, and the tested address is the one connected to."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import NoReturn

import httpcore
from httpcore._backends.anyio import AnyIOBackend

from orchestrator.core.http_errors import ConnectionFailed, EgressBlocked
from orchestrator.engine.egress.addresses import Address, is_metadata, is_public, is_web_port, parse_address

Resolver = Callable[[str, int], Awaitable[Iterable[str]]]
MOST_ADDRESSES = 3  #: tried one after another


@dataclass(slots=True)
class Gate:
    """Who may be reached. `allowed`: lower-case "host" or "host:port" of internal systems, set by admins."""

    allowed: frozenset[str]
    resolver: Resolver
    _looking_up: dict[tuple[str, int], asyncio.Future[list[str]]] = field(default_factory=dict)

    def check_port(self, host: str, port: int) -> None:
        """Raises `EgressBlocked` (url_port) for ports of services that are no web servers."""
        if not is_web_port(port) and f"{host}:{port}" not in self.allowed:
            message = (
                f"Port {port} belongs to another kind of service. Use 80, 443, or ask an admin to allow {host}:{port}."
            )
            raise EgressBlocked(message, code="url_port")

    async def addresses(self, host: str, port: int) -> list[Address]:
        """All addresses of the host, each one tested. Raises `EgressBlocked`, `ConnectionFailed`."""
        literal = parse_address(host)
        texts = [str(literal)] if literal else await self._look_up(host, port)
        found = [parse_address(text) for text in texts]
        internal = host in self.allowed or f"{host}:{port}" in self.allowed
        for address in found:
            # One bad answer refuses all: a mixture of public and private is how rebinding looks.
            if address is None or not self._may_reach(address, host, internal=internal):
                message = f"{host[:200]} is not a public address, and not on this workspace's list of internal hosts."
                raise EgressBlocked(message)
        return [address for address in found if address is not None]

    def _may_reach(self, address: Address, host: str, *, internal: bool) -> bool:
        if not internal:
            return is_public(address)
        return not is_metadata(address) or str(address) == host

    async def _look_up(self, host: str, port: int) -> list[str]:
        """Many steps that start at once for one host share one lookup; the answer is not kept after it."""
        key = (host, port)
        waiting = self._looking_up.get(key)
        if waiting is None:
            waiting = asyncio.ensure_future(self._resolve(host, port))
            self._looking_up[key] = waiting
            waiting.add_done_callback(lambda _: self._looking_up.pop(key, None))
        return await asyncio.shield(waiting)

    async def _resolve(self, host: str, port: int) -> list[str]:
        try:
            found = list(dict.fromkeys(await self.resolver(host, port)))
        except (OSError, UnicodeError) as error:
            raise _not_found(host) from error
        if not found:
            raise _not_found(host)
        return found


class GatedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections for httpcore through the gate; there is no way round it."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._inner = AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self._gate.check_port(host, port)
        addresses = await self._gate.addresses(host, port)
        for address in addresses[:MOST_ADDRESSES]:
            try:
                stream = await self._inner.connect_tcp(str(address), port, timeout=timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
            await _check_peer(stream, address)
            return stream
        raise ConnectionFailed(f"{host[:200]} cannot be reached on port {port}.")

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> NoReturn:
        raise EgressBlocked("Sockets of this machine cannot be reached.", code="url_scheme")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _check_peer(stream: httpcore.AsyncNetworkStream, address: Address) -> None:
    peer = stream.get_extra_info("server_addr")
    if not peer or parse_address(str(peer[0])) != address:
        await stream.aclose()
        raise EgressBlocked("The connection went to another address than the tested one.")


async def system_resolver(host: str, port: int) -> list[str]:
    """The operating system's resolver, on a thread."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def _not_found(host: str) -> ConnectionFailed:
    return ConnectionFailed(f"The name {host[:200]} has no address.", code="name_not_found")
