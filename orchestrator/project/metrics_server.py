"""A worker node's own `/metrics`: what its parent and all its pool processes have counted."""

import os
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from pathlib import Path
from socket import AF_INET6
from socketserver import TCPServer, ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.core.exceptions import ImproperlyConfigured
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from orchestrator.project.exposition import FOLDER, forget_counts, is_token, processes_text, token_of_machine

SECONDS = 10.0  # that a caller may take to send its request


class MetricsServer(ThreadingMixIn, WSGIServer):
    """Listens from its making on; answers once `start` has been called."""

    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without asking the name service who we are."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = map(str, self.server_address[:2])  # type: ignore[assignment]  # only shown
        self.setup_environ()

    def start(self) -> None:
        """Answer in a thread. Call it when the pool has been forked."""
        Thread(target=self.serve_forever, name="metrics", daemon=True).start()


class MetricsServer6(MetricsServer):
    """The same on an IPv6 address."""

    address_family = AF_INET6


class Request(WSGIRequestHandler):
    """A request that is not logged and must come in time."""

    timeout = SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """A scrape every few seconds is no news."""

    def address_string(self) -> str:
        return str(self.client_address[0])  # never asks the name service


def open_server(address: str) -> MetricsServer | None:
    """Listen on `host:port`; None for an empty address. Raises ImproperlyConfigured.

    The folder in which the node's processes count is emptied, so each node needs one of its own.
    """
    if not address:
        return None
    host, port = _parts(address)
    folder = os.environ.get(FOLDER, "")
    if not folder:
        raise ImproperlyConfigured(
            f"BRANCHLINE_METRICS_ADDRESS needs {FOLDER}: a folder in which the processes of this node count together."
        )
    if not ip_address(host).is_loopback and not token_of_machine():
        raise ImproperlyConfigured(
            f'BRANCHLINE_METRICS_ADDRESS is "{address}", which other machines can reach. Set BRANCHLINE_METRICS_TOKEN.'
        )
    kind = MetricsServer6 if ":" in host else MetricsServer
    try:
        server = make_server(host, port, answer, server_class=kind, handler_class=Request)
    except OSError as error:
        raise ImproperlyConfigured(f'BRANCHLINE_METRICS_ADDRESS is "{address}": {error.strerror}.') from error
    forget_counts(Path(folder))
    return server


def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """GET /metrics. With a token set, whoever has it; without, this machine (the address is loopback)."""
    allowed = not token_of_machine() or is_token(environ.get("HTTP_AUTHORIZATION", ""))
    if environ.get("PATH_INFO") != "/metrics" or not allowed:
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b""]
    if environ.get("REQUEST_METHOD") not in {"GET", "HEAD"}:
        start_response("405 Method Not Allowed", [("Content-Type", "text/plain"), ("Allow", "GET, HEAD")])
        return [b""]
    start_response("200 OK", [("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)])
    return [processes_text()]


def _parts(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    try:
        number = int(port)
        if not 0 < number < 65_536:
            raise ValueError(port)
        return str(ip_address(host.strip("[]"))), number
    except ValueError as error:
        raise ImproperlyConfigured(
            f'BRANCHLINE_METRICS_ADDRESS is "{address}". Write ADDRESS:PORT, such as 127.0.0.1:9464.'
        ) from error
