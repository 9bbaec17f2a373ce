"""`scope`: steps that succeed, fail and are undone together."""

from orchestrator.core.document import DEFAULT_PORT, ERROR_PORT, TIMEOUT_PORT
from orchestrator.core.json_types import JsonObject
from orchestrator.core.kinds import Effects, Group, Resumed, StepContext
from orchestrator.core.outcome import Done, Fail, Open, TimedOut, UndoInside
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
    effects: Effects = "none"
    inside: tuple[str, ...] | None = ()
    literal = ("on_failure", "lock")

    def ports(self, config: JsonObject) -> tuple[str, ...]:
        return (DEFAULT_PORT, ERROR_PORT, TIMEOUT_PORT)

    def run(self, config: ScopeConfig, context: StepContext) -> Open:
        return Open(index=1, text="Waiting for the steps inside", lock=config.lock)

    def resume(
        self, config: ScopeConfig, context: StepContext, resumed: Resumed
    ) -> Done | Fail | TimedOut | UndoInside:
        signal = resumed.signal or {}
        failed = resumed.signal is None or resumed.fault is not None or "undone" in signal
        if failed and config.on_failure == "undo" and "undone" not in signal:
            return UndoInside()
        if resumed.fault is not None:
            return Done(resumed.body) if config.on_failure == "continue" else failed_inside(resumed.fault)
        return too_late(context) if failed else Done(resumed.body)
