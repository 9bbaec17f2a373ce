"""`wait_event`: something from outside happens."""

from collections import ChainMap
from collections.abc import Mapping
from datetime import datetime, timedelta

from orchestrator.core.document import DEFAULT_PORT, ERROR_PORT, TIMEOUT_PORT
from orchestrator.core.errors import ExpressionFailed
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.kinds import Effects, Group, Resumed, StepContext
from orchestrator.core.outcome import Awaited, Done, Fail, Retry, TimedOut, Wait
from orchestrator.steps.conditions import holds
from orchestrator.steps.durations import seconds_of
from orchestrator.steps.faults import fault, not_evaluated
from orchestrator.steps.kind import Kind
from orchestrator.steps.wait_event.config import WaitEventConfig


class WaitEvent(Kind[WaitEventConfig]):
    """Parks the run until an event of this type and key comes that is wanted. Its output is the event."""

    kind = "wait_event"
    group: Group = "wait"
    name = "Wait for event"
    description = "Waits until an event of a type comes, with this key or any. Survives restarts."
    icon = "radio"
    config = WaitEventConfig
    effects: Effects = "none"
    resumes_alike = True
    lazy: tuple[str, ...] = ("where",)
    field_roots: Mapping[str, tuple[str, ...]] = {"where": ("event",)}
    timeout_from: str | None = "deadline"

    def ports(self, config: JsonObject) -> tuple[str, ...]:
        late = (TIMEOUT_PORT,) if config.get("deadline") is not None else ()
        return (DEFAULT_PORT, *late, ERROR_PORT)

    def run(self, config: WaitEventConfig, context: StepContext) -> Wait:
        until = None if config.deadline is None else context.now + timedelta(seconds=seconds_of(config.deadline))
        since = None if config.look_back is None else context.now - timedelta(seconds=seconds_of(config.look_back))
        return _wait(config, since, until)

    def resume(
        self, config: WaitEventConfig, context: StepContext, resumed: Resumed
    ) -> Done | Fail | Retry | TimedOut | Wait:
        if resumed.signal is None:
            message = f"The event {config.type} did not come in time ({config.deadline})."
            return TimedOut(fault("event_overdue", message, {"type": config.type, "key": config.key}), final=True)
        event = resumed.signal["event"]
        try:
            if _is_wanted(config.where, event, context):
                return Done(event)
        except ExpressionFailed as error:
            return not_evaluated(error, "where: ", _source(event))
        memo = resumed.memo if isinstance(resumed.memo, Mapping) else {}
        return _wait(config, _moment(memo.get("since")), _moment(memo.get("until")))


def _wait(config: WaitEventConfig, since: datetime | None, until: datetime | None) -> Wait:
    """The memo is the beginning of the wait: an event that is not wanted starts nothing anew.

    The key is not in the text: it is run data, and the text is for everybody who may see the run.
    """
    return Wait(
        kind="event",
        text=f"Waiting for the event {config.type}",
        until=until,
        awaited=Awaited(type=config.type, key=config.key, since=since, is_first=config.where is None),
        memo={"since": _text(since), "until": _text(until)},
    )


def _is_wanted(where: Json, event: Json, context: StepContext) -> bool:
    if where is None:
        return True
    # A chain, not a copy: a root that is costly to read is read only where the condition names it.
    roots = ChainMap({"event": event}, context.roots)  # type: ignore[arg-type]  # written to nowhere
    return holds(where, context.sandbox, roots)


def _source(event: Json) -> JsonObject:
    """Which event it was."""
    return {name: event.get(name) for name in ("id", "source")} if isinstance(event, Mapping) else {}


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(text: Json) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
