"""What containers say of the steps inside."""

from orchestrator.core.kinds import StepContext
from orchestrator.core.outcome import Fail, StepFault, TimedOut
from orchestrator.core.titles import titled
from orchestrator.steps.faults import fault, passed_on


def failed_inside(inner: StepFault) -> Fail:
    """The failure of a step inside, as its container's own: the same code, and where it happened."""
    key, name = inner.details.get("step"), inner.details.get("name")
    return Fail(passed_on(inner, f"step {titled(str(key), str(name or ''))} inside") if key else inner)


def too_late(context: StepContext) -> TimedOut:
    """The time for all that is inside ran out; whatever still runs in there is stopped."""
    return TimedOut(
        fault("timeout", f"The steps inside {context.step_title} took longer than its time-out allows."), final=True
    )
