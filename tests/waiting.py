"""Waiting for a fact, bounded in time."""

import threading
import time
from collections.abc import Callable

_PAUSE = threading.Event()


def wait_until(fact: Callable[[], object], seconds: float, what: str) -> None:
    """Look until `fact()` is true. Raises AssertionError naming `what` when it does not come true in time."""
    end = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:g} s for {what}")
        _PAUSE.wait(0.01)
