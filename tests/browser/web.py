"""The real product as child processes: one web process that can be stopped and started again, one worker node."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from select import select
from typing import TYPE_CHECKING

from orchestrator.project.embedded.child import ChildOptions, start_child, stop_child
from orchestrator.project.running import ready

if TYPE_CHECKING:
    from subprocess import Popen

STARTS_WITHIN = 30.0  # seconds


class Web:
    """The web process. Its listening socket stays open here, so that it comes back on the same port."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.process: Popen[bytes] | None = None

    def start(self) -> None:
        """Start the web process and wait until it serves."""
        reader, writer = os.pipe()
        self.process = start_child(
            [sys.executable, "-m", "orchestrator.project.running.web", str(self.listener.fileno())],
            ChildOptions(
                environment={**self.environment, "BRANCHLINE_URL": self.address, ready.VARIABLE: str(writer)},
                keep_open=(self.listener.fileno(), writer),
            ),
        )
        os.close(writer)
        try:
            readable, _, _ = select([reader], [], [], STARTS_WITHIN)
            said = os.read(reader, 1) if readable else b""
            assert said == b"1", "The web process did not start."
        finally:
            os.close(reader)

    def stop(self) -> None:
        """Stop the web process; sockets of the pages close, new connections wait in the backlog."""
        if self.process is not None:
            stop_child(self.process, [(signal.SIGTERM, 10.0)])
            self.process = None


@contextmanager
def web_at_work(environment: dict[str, str]) -> Iterator[Web]:
    """The web process, up when the block begins."""
    web = Web(environment)
    try:
        web.start()
        yield web
    finally:
        web.stop()
        web.listener.close()
