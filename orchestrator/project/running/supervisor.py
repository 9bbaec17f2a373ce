"""Starts the services, starts one again when it dies, and stops them in order."""

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from orchestrator.project.embedded.problem import CannotStart
from orchestrator.project.embedded.servers import Servers
from orchestrator.project.running.ready import wait_ready
from orchestrator.project.running.service import Service
from orchestrator.project.running.signals import StopSignals

READY_WITHIN = 60.0  # seconds
# A service that dies more often than this is broken, not unlucky.
DEATHS = 5
WITHIN = 60.0  # seconds


class Supervisor:
    """Holds the services of one `up`, in the order in which they are stopped."""

    def __init__(
        self, services: Sequence[Service], servers: Servers, signals: StopSignals, say: Callable[[str], None]
    ) -> None:
        self.services = services
        self.servers = servers
        self.signals = signals
        self.say = say
        self.deaths: deque[float] = deque(maxlen=DEATHS)

    def start(self) -> bool:
        """Start all at once and wait until all serve. False when a stop was asked meanwhile.

        Raises CannotStart when one of them ends instead of serving; its own lines say why.
        """
        with ExitStack() as stack:
            pipes = [(service, service.start()) for service in self.services]
            for _, pipe in pipes:
                stack.callback(os.close, pipe)
            for service, pipe in pipes:
                if not wait_ready(pipe, READY_WITHIN, self.signals):
                    if self.signals.asked:
                        return False
                    raise CannotStart("service", f"The {service.name} process did not start; its lines above say why.")
        return True

    def watch(self) -> None:
        """Return when a stop is asked. Raises CannotStart when something keeps dying."""
        while self.signals.asked is None:
            self.revive_servers()
            self.revive_services()
            self.signals.wait()

    def revive_servers(self) -> None:
        for server in self.servers.dead():
            self.count_death(server.name)
            self.say(f"{server.name} ended unexpectedly; starting it again.")
            server.start()
            self.say(f"{server.name} runs again.")

    def revive_services(self) -> None:
        for service in self.services:
            code = service.ended()
            if code is not None and self.signals.asked is None:
                self.count_death(service.name)
                self.say(f"The {service.name} process ended unexpectedly (exit code {code}); starting it again.")
                service.stop()
                os.close(service.start())

    def count_death(self, name: str) -> None:
        now = time.monotonic()
        self.deaths.append(now)
        if len(self.deaths) == DEATHS and now - self.deaths[0] < WITHIN:
            raise CannotStart("keeps_ending", f"The {name} process keeps ending; its lines above say why.")

    def stop(self) -> None:
        """Stop the services in order; each finishes what it holds before the next is asked."""
        for service in self.services:
            service.stop()
