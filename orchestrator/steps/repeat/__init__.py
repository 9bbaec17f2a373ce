"""`repeat`: the steps inside, turn after turn."""

from orchestrator.core.document import DEFAULT_PORT, ERROR_PORT, TIMEOUT_PORT
from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.kinds import Effects, Group, Resumed, StepContext
from orchestrator.core.outcome import Done, Fail, Open, Outcome
from orchestrator.steps.conditions import holds
from orchestrator.steps.containers import failed_inside, too_late
from orchestrator.steps.faults import fault, not_evaluated
from orchestrator.steps.kind import Kind
from orchestrator.steps.repeat.config import RepeatConfig


class Repeat(Kind[RepeatConfig]):
    """Conditions are evaluated here, with `turn`, `last` and what the steps inside gave. Output: the last turn's."""

    kind = "repeat"
    group: Group = "flow"
    name = "Repeat"
    description = "Does the steps inside again and again, until or while a condition holds."
    icon = "repeat"
    config = RepeatConfig
    effects: Effects = "none"
    inside: tuple[str, ...] | None = ("turn", "last")
    lazy: tuple[str, ...] = ("until", "while")
    literal = ("turns",)

    def ports(self, config: JsonObject) -> tuple[str, ...]:
        return (DEFAULT_PORT, ERROR_PORT, TIMEOUT_PORT)

    def run(self, config: RepeatConfig, context: StepContext) -> Outcome:
        return self._next(config, context, 0, None)

    def resume(self, config: RepeatConfig, context: StepContext, resumed: Resumed) -> Outcome:
        if resumed.signal is None:
            return too_late(context)
        if resumed.fault is not None:
            return failed_inside(resumed.fault)
        turn = resumed.memo
        assert isinstance(turn, int)
        return self._next(config, context, turn, resumed.body)

    def _next(self, config: RepeatConfig, context: StepContext, turn: int, last: Json) -> Outcome:
        try:
            if config.until is not None and turn > 0 and holds(config.until, context.sandbox, context.roots):
                return Done(last)
            if config.while_ is not None and not holds(config.while_, context.sandbox, context.roots):
                return Done(last)
        except ExpressionFailed as error:
            return not_evaluated(error)
        if turn == config.turns:
            message = f"{turn} turns were not enough. Raise the limit, or see why the condition does not change."
            return Fail(fault("turn_limit", message, {"turns": turn}))
        return Open(index=turn + 1, text=f"Turn {turn + 1} of at most {config.turns}", memo=turn + 1)
