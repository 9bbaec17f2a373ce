"""One child of `up`: how to start it, whether it serves, how to stop it."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.project.embedded.child import ChildOptions, start_child, stop_child
from orchestrator.project.running.ready import VARIABLE
from orchestrator.project.running.relay import Relay

ROOT = Path(__file__).resolve().parents[3]


@dataclass(kw_only=True)
class Service:
    """A Python program of this project, run as a child with its output relayed."""

    name: str
    arguments: Sequence[str]
    keep_open: Sequence[int] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    patience: float = 10.0  # seconds to end by itself
    environment: dict[str, str] = field(default_factory=dict)
    child: subprocess.Popen[bytes] | None = None
    relay: Relay | None = None

    def start(self) -> int:
        """Start the child; answer the read end of its ready pipe (the caller closes it)."""
        ready, tells = os.pipe()
        options = ChildOptions(
            environment={**os.environ, **self.environment, VARIABLE: str(tells), "PYTHONUNBUFFERED": "1"},
            folder=ROOT,
            output=subprocess.PIPE,
            keep_open=(*self.keep_open, tells),
        )
        try:
            self.child = start_child([sys.executable, *self.arguments], options)
        finally:
            os.close(tells)
        assert self.child.stdout is not None
        self.relay = Relay(f"{self.name:<6}|", self.child.stdout)
        self.relay.start()
        return ready

    def ended(self) -> int | None:
        """The exit code when the child is gone."""
        return self.child.poll() if self.child else None

    def stop(self) -> None:
        """Ask it to finish, wait, and see its last lines out."""
        if self.child is not None:
            stop_child(self.child, [(self.stop_signal, self.patience)])
            self.child = None
        if self.relay is not None:
            self.relay.join(timeout=2)
            self.relay = None


def web(descriptor: int, environment: dict[str, str] | None = None) -> Service:
    """uvicorn on an inherited listening socket."""
    return Service(
        name="web",
        arguments=["-m", "orchestrator.project.running.web", str(descriptor)],
        keep_open=[descriptor],
        environment=environment or {},
    )


def worker(processes: int, patience: float, environment: dict[str, str] | None = None) -> Service:
    """One Celery worker node; at SIGTERM it finishes the steps it holds."""
    arguments = [str(ROOT / "manage.py"), "work", "--processes", str(processes)]
    return Service(name="worker", arguments=arguments, patience=patience, environment=environment or {})
