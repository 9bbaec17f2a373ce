"""The web process: `python -m orchestrator.project.running.web FD` serves the listening socket it inherited."""

import os
import socket
import sys

import uvicorn

from orchestrator.project.running.ready import tell_ready

GRACE = 5  # seconds for requests in flight and for sockets to close


class Server(uvicorn.Server):
    """uvicorn, that says when it serves."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            tell_ready()


def serve(listener: socket.socket) -> None:
    """Serve until SIGTERM. Django configures the logs, so uvicorn leaves them alone."""
    config = uvicorn.Config(
        "orchestrator.project.asgi:application",
        log_config=None,
        access_log=False,
        lifespan="off",
        loop="uvloop",
        http="httptools",
        ws_max_size=65_536,  # bytes; a larger frame closes the socket with 1009
        ws_per_message_deflate=False,  # frames are small; compressing them costs memory per socket
        ws_max_queue=32,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        h11_max_incomplete_event_size=64_000,
        server_header=False,
        date_header=True,
        # Only a proxy that was named may say who the client is.
        proxy_headers=bool(os.environ.get("FORWARDED_ALLOW_IPS")),
        timeout_graceful_shutdown=GRACE,
    )
    Server(config).run(sockets=[listener])


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator.project.settings")
    serve(socket.socket(fileno=int(sys.argv[1])))
