"""Checks the engine's invariants on the live database, slowly and all the time: no fault waits to be asked for."""

import threading

import structlog
from django.db import DatabaseError, connections

from orchestrator.engine import metrics
from orchestrator.queries.fsck import INVARIANTS, Breach, breaches

log = structlog.get_logger(__name__)
PACE = 300.0  # seconds between checks
for _invariant in INVARIANTS:
    metrics.FSCK_FAULTS.labels(_invariant.name)  # from the beginning: see metrics.KNOWN


class Inspector:
    """A thread beside the keeper. Every node has one: what all see twice is the same, and counted by each."""

    def __init__(self, pace: float = PACE) -> None:
        self._pace = pace
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inspector", daemon=True)

    def start(self) -> None:
        """Start the thread; the first check follows after one pace."""
        self._thread.start()

    def stop(self) -> None:
        """End after the present query."""
        self._stopping.set()
        self._thread.join(timeout=5)

    def look(self) -> list[Breach]:
        """Check once, log and count what is found."""
        found = list(breaches())
        for breach in found:
            metrics.FSCK_FAULTS.labels(breach.invariant.name).inc()
            log.error("an invariant is broken", invariant=breach.invariant.name, run=breach.run, where=breach.what)
        return found

    def _run(self) -> None:
        while not self._stopping.wait(self._pace):
            try:
                self.look()
            except DatabaseError as error:  # PostgreSQL is away, or has no time for this now
                log.warning("the invariants could not be checked", error=str(error).strip()[:200])
            finally:
                connections.close_all()
