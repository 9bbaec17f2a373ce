"""When a worker looks for handlers that overstay: as soon as one does, and hardly ever else.

Every thread that wakes up takes the interpreter away from a step that computes.
"""

import threading
import time
from collections.abc import Callable

AGAIN = 0.1  # seconds until what could not be dealt with is looked at again
LONGEST = 1.0  # seconds between looks at most


class Watch:
    """Calls `look` on a thread of its own. `look` returns the moment (`time.monotonic`) of the next one."""

    def __init__(self, look: Callable[[], float]) -> None:
        self._look = look
        self._changed = threading.Condition()
        self._next = 0.0
        self._stopped = False

    def start(self) -> None:
        """Look from now on."""
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def heed(self, at: float) -> None:
        """Look at that moment at the latest. What is to be seen then must be there before this is called."""
        # Read without the lock: where a look comes in between, it finds what is there.
        if at < self._next:
            with self._changed:
                self._next = min(self._next, at)
                self._changed.notify()

    def _run(self) -> None:
        while not self._stopped:
            # Before the look: what comes after it and cannot wait so long says so.
            self._next = time.monotonic() + LONGEST
            at = self._look()
            with self._changed:
                self._next = min(self._next, at)
                while not self._stopped and (pause := self._next - time.monotonic()) > 0:
                    self._changed.wait(pause)
