"""A fixed number of slot threads. A slot whose handler overstays is given up: another thread takes its place."""

import queue
import threading
from collections.abc import Callable
from contextvars import copy_context

import structlog

log = structlog.get_logger(__name__)
Work = Callable[[], None]


class Slots:
    """Runs work on `size` threads. `freed` is called whenever a slot has nothing to do."""

    def __init__(self, size: int, freed: Callable[[], None]) -> None:
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._freed = freed
        self._lock = threading.Lock()
        self._given_up: set[int] = set()
        self._load = 0
        self.size = size
        for _ in range(size):
            self._start()

    @property
    def free(self) -> int:
        """How many pieces of work would start at once."""
        return max(0, self.size - self._load)

    def submit(self, work: Work) -> None:
        """Run `work` on the next free slot."""
        with self._lock:
            self._load += 1
        self._work.put(work)

    def give_up(self, thread_id: int) -> None:
        """The work on that thread overstays: count its slot as free and start another thread."""
        with self._lock:
            self._given_up.add(thread_id)
            self._load -= 1
        self._start()
        self._freed()

    def stop(self) -> None:
        """Let every thread end after its present work."""
        for _ in range(self.size):
            self._work.put(None)

    def _start(self) -> None:
        threading.Thread(target=self._run, name="slot", daemon=True).start()

    def _run(self) -> None:
        mine = threading.get_ident()
        while (work := self._work.get()) is not None:
            try:
                # What the work sets for its log lines and traces ends with it.
                copy_context().run(work)
            except Exception:
                log.exception("a slot failed outside its handler")
            with self._lock:
                if mine in self._given_up:
                    self._given_up.discard(mine)
                    return
                self._load -= 1
            self._freed()
