"""Human tasks as the pages, the API and the sockets show them: frozen values, made from rows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from orchestrator.core.approval import Ballot, Refusal, assigned_text
from orchestrator.core.json_types import Json, JsonObject
from orchestrator.models import Decision, HumanTask
from orchestrator.models.ballot import outcome_label

MOST_FACTS = 4
LONGEST_FACT = 80  # characters


def as_text(value: datetime | None) -> str | None:
    """RFC 3339 with zone."""
    return value.isoformat() if value else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCard:
    """A task in a list."""

    id: UUID
    title: str
    state: str
    run_id: UUID
    workflow: str
    workflow_name: str
    step_key: str
    opened_at: datetime
    due_at: datetime | None
    closed_at: datetime | None
    requester: str | None
    claimed_by: str | None
    claimed_by_me: bool
    assigned: str
    quorum: int
    given: int
    outcome: str
    outcome_label: str
    #: What the person decided here already, if anything.
    my_outcome: str | None
    #: Why the person may not decide it now; None when they may.
    refusal: Refusal | None
    #: Named by user name, or claimed by the person.
    own: bool
    facts: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, Json]:
        """The API's form."""
        values = asdict(self)
        return {
            **values,
            "id": str(self.id),
            "run_id": str(self.run_id),
            "opened_at": as_text(self.opened_at),
            "due_at": as_text(self.due_at),
            "closed_at": as_text(self.closed_at),
            "refusal": {"code": self.refusal.code, "message": self.refusal.message} if self.refusal else None,
            "facts": [{"label": label, "value": value} for label, value in self.facts],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionView:
    """One answer that was given."""

    user: str
    outcome: str
    outcome_label: str
    values: JsonObject
    comment: str
    at: datetime

    def as_json(self) -> dict[str, Json]:
        """The API's form."""
        return {**asdict(self), "at": as_text(self.at)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDetail:
    """One task with its form."""

    card: TaskCard
    text: str
    fields: tuple[JsonObject, ...]
    outcomes: tuple[JsonObject, ...]
    decisions: tuple[DecisionView, ...]
    allow_requester: bool
    digest: str
    #: How many people could decide it now, those who did already not counted.
    deciders_left: int
    users: tuple[str, ...]
    roles: tuple[str, ...]
    groups: tuple[str, ...]

    def as_json(self) -> dict[str, Json]:
        """The API's form."""
        return {
            **self.card.as_json(),
            "text": self.text,
            "fields": [dict(field) for field in self.fields],
            "outcomes": [dict(outcome) for outcome in self.outcomes],
            "decisions": [decision.as_json() for decision in self.decisions],
            "allow_requester": self.allow_requester,
            "digest": self.digest,
            "deciders_left": self.deciders_left,
            "assignees": {"users": list(self.users), "roles": list(self.roles), "groups": list(self.groups)},
        }


def facts_of(task: HumanTask) -> tuple[tuple[str, str], ...]:
    """The first plain values of the run's input: what tells one request from another."""
    run = task.run
    facts = [("Business key", run.business_key)] if run.business_key else []
    for key, value in run.input.items() if isinstance(run.input, Mapping) else ():
        text = _plain(value)
        if text and len(facts) < MOST_FACTS:
            facts.append((key.replace("_", " ").capitalize(), text))
    return tuple(facts)


def _plain(value: Json) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, str | int | float):
        return ""
    text = f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else " ".join(str(value).split())
    return text if len(text) <= LONGEST_FACT else f"{text[:LONGEST_FACT]}…"


def card_of(task: HumanTask, ballot: Ballot, *, user_id: int | None, own: bool, refusal: Refusal | None) -> TaskCard:
    """A card of a task whose run, workflow, requester and claimer were fetched with it."""
    mine = ballot.decided.get(user_id) if user_id is not None else None
    given = list(ballot.decided.values())
    return TaskCard(
        id=task.pk,
        title=task.title,
        state=task.state,
        run_id=task.run_id,
        workflow=task.run.workflow.slug,
        workflow_name=task.run.workflow.name,
        step_key=task.step_key,
        opened_at=task.opened_at,
        due_at=task.due_at,
        closed_at=task.closed_at,
        requester=task.requester.label if task.requester else None,
        claimed_by=task.claimed_by.label if task.claimed_by else None,
        claimed_by_me=task.claimed_by_id is not None and task.claimed_by_id == user_id,
        assigned=assigned_text(ballot),
        quorum=task.quorum,
        given=max((given.count(outcome) for outcome in given), default=0),
        outcome=task.outcome,
        outcome_label=outcome_label(task, task.outcome),
        my_outcome=outcome_label(task, mine) if mine else None,
        refusal=refusal,
        own=own,
        facts=facts_of(task),
    )


def decision_of(task: HumanTask, decision: Decision) -> DecisionView:
    """One answer of the task."""
    return DecisionView(
        user=decision.user_name,
        outcome=decision.outcome,
        outcome_label=outcome_label(task, decision.outcome),
        values=decision.values,
        comment=decision.comment,
        at=decision.at,
    )
