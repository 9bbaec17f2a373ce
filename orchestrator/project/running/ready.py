"""How a child tells its parent that it serves: one byte through a pipe, no polling."""

import os
import time
from contextlib import suppress

from orchestrator.project.running.signals import StopSignals

VARIABLE = "BRANCHLINE_READY_FD"


def tell_ready() -> None:
    """Called by a child once it can work. Does nothing where nobody asked (a worker started by hand)."""
    descriptor = os.environ.pop(VARIABLE, "")
    if descriptor.isdecimal():
        with suppress(BrokenPipeError):  # started again: nobody waits for that
            os.write(int(descriptor), b"1")
        os.close(int(descriptor))


def wait_ready(descriptor: int, seconds: float, signals: StopSignals) -> bool:
    """Whether the child at the other end said so. False when it ended before, was too slow, or we are to stop."""
    deadline = time.monotonic() + seconds
    while signals.asked is None and (left := deadline - time.monotonic()) > 0:
        if descriptor in signals.wait(left, [descriptor]):
            return os.read(descriptor, 1) == b"1"
    return False
