"""`delay`: go on later."""

from datetime import UTC, datetime

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from orchestrator.core.document import DEFAULT_PORT, ERROR_PORT
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.kinds import ConfigProblem, Effects, Group, Resumed, StepContext
from orchestrator.core.outcome import Done, Fail, Wait
from orchestrator.steps.delay.config import EITHER, DelayConfig
from orchestrator.steps.durations import TOO_LONG, seconds_of, too_far
from orchestrator.steps.faults import fault
from orchestrator.steps.kind import Kind

_MOMENT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


class Delay(Kind[DelayConfig]):
    """Parks the run; no worker is held."""

    kind = "delay"
    group: Group = "wait"
    name = "Delay"
    description = "Waits for a time, or until a moment. Survives restarts."
    icon = "clock"
    config = DelayConfig
    effects: Effects = "none"

    def ports(self, config: JsonObject) -> tuple[str, ...]:
        return (DEFAULT_PORT, ERROR_PORT)

    def check(self, config: JsonObject) -> list[ConfigProblem]:
        problems = super().check(config)
        # Seen here, not only by the model: with an expression in a field the model's own test does not run.
        if (config.get("for") is None) == (config.get("until") is None) and not any(p.path == "" for p in problems):
            problems.append(ConfigProblem(code="config_invalid", message=f"config: {EITHER}.", path=""))
        return problems + _too_far(config.get("until"))

    def run(self, config: DelayConfig, context: StepContext) -> Done | Fail | Wait:
        if config.until is not None:
            if config.until <= context.now:
                return Done({"at": context.now.isoformat()})
            if why := too_far(config.until, context.now):
                return Fail(fault(TOO_LONG, why))
            return Wait(kind="time", text=f"Waiting until {config.until.isoformat()}", until=config.until)
        seconds = seconds_of(config.for_ or "PT0S")
        if seconds <= 0:
            return Done({"at": context.now.isoformat()})
        return Wait(kind="time", text=f"Waiting for {config.for_}", delay=seconds)

    def resume(self, config: DelayConfig, context: StepContext, resumed: Resumed) -> Done:
        return Done({"at": resumed.now.isoformat()})


def _too_far(until: Json) -> list[ConfigProblem]:
    """A moment only comes nearer: what may be published now may be published later."""
    try:
        why = too_far(_MOMENT.validate_python(until), datetime.now(UTC))
    except ValidationError:
        return []  # told already, or an expression
    return [ConfigProblem(code=TOO_LONG, message=f"until: {why}", path="until")] if why else []
