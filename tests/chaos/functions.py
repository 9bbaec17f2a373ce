"""What the steps of chaos drawings call, in real worker processes."""

import hashlib
import os
from functools import cache
from pathlib import Path

from orchestrator.core.kinds import StepContext
from orchestrator.steps import Permanent, Transient, step

FOLDER = "BRANCHLINE_CHAOS_JOURNAL"


@cache
def _journal(pid: int) -> int:
    path = Path(os.environ[FOLDER]) / f"{pid}.journal"
    return os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)


@step("chaos.act")
def act(context: StepContext, fails: bool, flaky: int) -> dict[str, str]:
    """Write down that this step acts, work for a moment, then end as the drawing says."""
    # One write to a file of this process: it outlives a kill, and no two processes share a line.
    os.write(_journal(os.getpid()), f"{context.run_id} {context.step_key} {context.attempt}\n".encode())
    digest = hashlib.pbkdf2_hmac("sha256", context.step_key.encode(), b"chaos", 2_000).hex()
    if context.attempt <= flaky:
        raise Transient("not yet")
    if fails:
        raise Permanent("acted", "as told")
    return {"step": context.step_key, "digest": digest}
