"""`merge`: where branches meet; its output is what arrived."""

from orchestrator.core.kinds import Effects, Group, StepContext
from orchestrator.core.outcome import Done
from orchestrator.steps.kind import Kind
from orchestrator.steps.merge.config import MergeConfig


class Merge(Kind[MergeConfig]):
    """The engine has done the joining before this runs, and passes the result as root `join`."""

    kind = "merge"
    group: Group = "flow"
    name = "Merge"
    description = "Waits for branches: all, any, or a number of them. Gives out what arrived."
    icon = "merge"
    config = MergeConfig
    effects: Effects = "none"
    reads: tuple[str, ...] = ("join",)

    def run(self, config: MergeConfig, context: StepContext) -> Done:
        return Done(context.roots.get("join", {"branches": {}, "arrived": [], "missing": []}))
