"""`cancel`: ends other steps of the same run."""

from orchestrator.core.document import CANCEL
from orchestrator.core.kinds import Effects, Group, StepContext
from orchestrator.core.outcome import Done
from orchestrator.steps.cancel.config import CancelConfig
from orchestrator.steps.kind import Kind


class Cancel(Kind[CancelConfig]):
    """The engine cancels with this step's commit what is at work, and what would begin later; see `core.marks`."""

    kind = CANCEL
    group: Group = "flow"
    name = "Cancel"
    description = "Ends other steps beside it: those at work stop, those to come do not begin."
    icon = "octagon-x"
    config = CancelConfig
    effects: Effects = "none"
    literal = ("steps", "steps.*", "region", "as")

    def run(self, config: CancelConfig, context: StepContext) -> Done:
        return Done(None)
