"""`delay`: go on later."""

from datetime import timedelta

from orchestrator.core.document import DEFAULT_PORT, ERROR_PORT
from orchestrator.core.durations import LONGEST
from orchestrator.core.json_types import JsonObject
from orchestrator.core.kinds import ConfigProblem, Effects, Group, Resumed, StepContext
from orchestrator.core.outcome import Done, Fail, Wait
from orchestrator.steps.delay.config import EITHER, DelayConfig, seconds_of
from orchestrator.steps.faults import fault
from orchestrator.steps.kind import Kind


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
        return problems

    def run(self, config: DelayConfig, context: StepContext) -> Done | Fail | Wait:
        if config.until is not None:
            if config.until <= context.now:
                return Done({"at": context.now.isoformat()})
            if config.until > context.now + timedelta(seconds=LONGEST):
                message = f"{config.until.isoformat()} is more than ten years away. Choose an earlier moment."
                return Fail(fault("duration_too_long", message))
            return Wait(kind="time", text=f"Waiting until {config.until.isoformat()}", until=config.until)
        seconds = seconds_of(config.for_ or "PT0S")
        if seconds <= 0:
            return Done({"at": context.now.isoformat()})
        return Wait(kind="time", text=f"Waiting for {config.for_}", delay=seconds)

    def resume(self, config: DelayConfig, context: StepContext, resumed: Resumed) -> Done:
        return Done({"at": resumed.now.isoformat()})
