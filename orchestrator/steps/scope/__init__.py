"""`scope`: steps that succeed, fail and are undone together."""

from orchestrator.core.document import DEFAULT_PORT, ERROR_PORT, TIMEOUT_PORT
from orchestrator.core.json_types import JsonObject
from orchestrator.core.kinds import Group, Resumed, StepContext
from orchestrator.core.outcome import Done, Fail, Open, TimedOut
from orchestrator.steps.containers import failed_inside, too_late
from orchestrator.steps.kind import Kind
from orchestrator.steps.scope.config import ScopeConfig


class Scope(Kind[ScopeConfig]):
    """Its output is that of its only last step, else the outputs of its last steps by key."""

    kind = "scope"
    group: Group = "flow"
    name = "Scope"
    description = "Holds steps together: one failure policy, one boundary for undo."
    icon = "box"
    config = ScopeConfig
    inside: tuple[str, ...] | None = ()
    literal = ("on_failure",)

    def ports(self, config: JsonObject) -> tuple[str, ...]:
        return (DEFAULT_PORT, ERROR_PORT, TIMEOUT_PORT)

    def run(self, config: ScopeConfig, context: StepContext) -> Open:
        return Open(index=1, text="Waiting for the steps inside")

    def resume(self, config: ScopeConfig, context: StepContext, resumed: Resumed) -> Done | Fail | TimedOut:
        if resumed.signal is None:
            return too_late(context)
        if resumed.fault is None or config.on_failure == "continue":
            return Done(resumed.body)
        return failed_inside(resumed.fault)
