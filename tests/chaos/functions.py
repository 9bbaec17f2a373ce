"""What the steps of chaos drawings call, in real worker processes."""

import hashlib

from orchestrator.core.kinds import StepContext
from orchestrator.steps import Permanent, Transient, step


@step("chaos.act")
def act(context: StepContext, fails: bool, flaky: int) -> dict[str, str]:
    """Some milliseconds of work, then the end that the drawing says."""
    digest = hashlib.pbkdf2_hmac("sha256", context.step_key.encode(), b"chaos", 20_000).hex()
    if context.attempt <= flaky:
        raise Transient("not yet")
    if fails:
        raise Permanent("acted", "as told")
    return {"step": context.step_key, "digest": digest}
