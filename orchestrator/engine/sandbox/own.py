"""The sandbox of a process that is no worker: it evaluates now and then."""

import atexit
from functools import cache

from orchestrator.engine.sandbox.pool import Sandbox


@cache
def own_sandbox() -> Sandbox:
    """One for this process, started at the first evaluation."""
    sandbox = Sandbox(processes=1)
    atexit.register(sandbox.close)
    return sandbox
