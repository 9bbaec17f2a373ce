"""The address Branchline listens on, bound before anything else starts."""

import errno
import socket

from orchestrator.project.embedded.problem import CannotStart

BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises CannotStart when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise explained(error, host, port) from error
    return listener


def explained(error: OSError, host: str, port: int) -> CannotStart:
    if error.errno == errno.EADDRINUSE:
        return CannotStart(
            "port_taken",
            f"Port {port} is taken by another program. Stop it, or choose: make up PORT={port + 1}",
        )
    if error.errno == errno.EACCES:
        return CannotStart("port_forbidden", f"Port {port} needs administrator rights. Choose one above 1023.")
    return CannotStart("address", f"Cannot listen on {host}:{port}: {error.strerror}.")


def address(listener: socket.socket) -> str:
    """The address to open in a browser on this machine."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"
