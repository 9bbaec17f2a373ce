"""`human_task`: somebody answers a form."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from orchestrator.core.approval import Ballot, assigned_text
from orchestrator.core.document import ERROR_PORT, TIMEOUT_PORT
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.core.kinds import Effects, Group, Resumed, StepContext
from orchestrator.core.outcome import Done, Fail, TaskForm, TimedOut, Wait
from orchestrator.steps.durations import seconds_of
from orchestrator.steps.faults import fault
from orchestrator.steps.human_task.config import FormField, HumanTaskConfig, Outcome
from orchestrator.steps.kind import Kind

_ANSWER = ("outcome", "values", "by", "at", "comment")
_STANDARD_PORTS = ("approved", "rejected")


class HumanTask(Kind[HumanTaskConfig]):
    """Opens a task and parks the run until it is decided or due."""

    kind = "human_task"
    group: Group = "wait"
    name = "Human task"
    description = "Asks people: a form, buttons, a due date. One port for each button."
    icon = "user-check"
    config = HumanTaskConfig
    effects: Effects = "none"
    resumes_alike = True
    ports_from: str | None = "outcomes"
    timeout_from: str | None = "due"
    literal = (
        *("fields", "fields.*", "fields.*.key", "fields.*.kind"),
        *("outcomes", "outcomes.*", "outcomes.*.key", "outcomes.*.tone"),
    )

    def ports(self, config: JsonObject) -> tuple[str, ...]:
        outcomes = config.get("outcomes")
        listed = outcomes if isinstance(outcomes, list | tuple) else ()
        named = [outcome.get("key") for outcome in listed if isinstance(outcome, Mapping)]
        keys = tuple(dict.fromkeys(key for key in named if isinstance(key, str)))
        due = (TIMEOUT_PORT,) if config.get("due") is not None else ()
        return (*(_STANDARD_PORTS if outcomes is None else keys), *due, ERROR_PORT)

    def run(self, config: HumanTaskConfig, context: StepContext) -> Wait:
        due = context.now + timedelta(seconds=seconds_of(config.due)) if config.due else None
        people = config.assignees
        ballot = Ballot(users=frozenset(people.users), roles=frozenset(people.roles), groups=frozenset(people.groups))
        text = f"Waiting for {assigned_text(ballot)}"
        return Wait(kind="person", text=text, until=due, form=_form(config, due))

    def resume(self, config: HumanTaskConfig, context: StepContext, resumed: Resumed) -> Done | Fail | TimedOut:
        if resumed.signal is None:
            message = f'Nobody decided "{config.title}" in time ({config.due}).'
            return TimedOut(fault("task_overdue", message), final=True)
        outcome = resumed.signal.get("outcome")
        if outcome not in {known.key for known in config.outcomes}:
            return Fail(fault("unknown_outcome", f'"{outcome}" is not an outcome of "{config.title}".'))
        output: dict[str, Json] = {name: resumed.signal.get(name) for name in _ANSWER}
        return Done(output, ports=(str(outcome),))


def _form(config: HumanTaskConfig, due: datetime | None) -> TaskForm:
    return TaskForm(
        title=config.title,
        text=config.text,
        fields=tuple(_field(field) for field in config.fields),
        outcomes=tuple(_outcome(outcome) for outcome in config.outcomes),
        users=tuple(config.assignees.users),
        roles=tuple(config.assignees.roles),
        groups=tuple(config.assignees.groups),
        quorum=config.quorum,
        due=due,
        allow_requester=config.allow_requester,
    )


def _field(field: FormField) -> JsonObject:
    return {**field.model_dump(mode="json", exclude_none=True), "label": field.label or _spoken(field.key)}


def _outcome(outcome: Outcome) -> JsonObject:
    return {**outcome.model_dump(mode="json", exclude_none=True), "label": outcome.label or _spoken(outcome.key)}


def _spoken(key: str) -> str:
    return key.replace("_", " ").capitalize()
