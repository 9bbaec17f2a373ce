"""Human tasks as an actor may see them: approvers theirs, operators, editors and admins all."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

from django.db.models import Count, F, Min, Q, QuerySet

from orchestrator.core.approval import Voter, is_named, why_not_decide, why_not_eligible
from orchestrator.core.errors import NotFound
from orchestrator.core.json_types import Json
from orchestrator.models import Decision, HumanTask, Membership
from orchestrator.models.ballot import ballot_of, digest_of
from orchestrator.models.task import WAITING_TASK, HumanTaskQuerySet
from orchestrator.models.workspace import Role
from orchestrator.policy import Action, Actor, may, narrowed
from orchestrator.queries.cursor import Page, page_of
from orchestrator.queries.task_views import TaskCard, TaskDetail, card_of, decision_of

Tab = Literal["mine", "groups", "done", "all"]
TABS: tuple[Tab, ...] = get_args(Tab)
MOST = 200  # cards of one page


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCounts:
    """How much waits: for the actor by name, for one of their groups or roles, and for anybody they may see."""

    mine: int
    groups: int
    all: int
    oldest: datetime | None

    def as_json(self) -> dict[str, Json]:
        """The API's and the sockets' form."""
        oldest = self.oldest.isoformat() if self.oldest else None
        return {"mine": self.mine, "groups": self.groups, "all": self.all, "oldest": oldest}


def tasks_for_actor(actor: Actor) -> HumanTaskQuerySet:
    """The workspace's tasks; for approvers those they may ever decide or did decide."""
    tasks = HumanTask.objects.filter(workspace_id=actor.workspace_id)
    if not may(actor, Action.TASK_READ):
        return tasks.none()
    if narrowed(actor, Action.TASK_READ):
        return tasks.filter(_assigned(actor) | Q(pk__in=_decided_by(actor)))
    return tasks


def to_do_for(actor: Actor) -> HumanTaskQuerySet:
    """Waiting tasks that this person may be the next to decide: named, by group or role, or open to every approver."""
    # Served by task_waiting.
    return tasks_for_actor(actor).waiting().filter(_to_do(actor) & _assigned(actor))


def inbox(actor: Actor, tab: Tab) -> tuple[TaskCard, ...]:
    """The first 200 tasks of a tab: waiting ones by due date, for "done" the newest."""
    rows = _tab(actor, tab)
    # Served by task_closed, and by task_waiting (NULLs last, as PostgreSQL sorts them by default).
    ordered = rows.order_by("-closed_at", "-pk") if tab == "done" else rows.order_by("due_at", "opened_at", "pk")
    return tuple(card_for(actor, task) for task in with_names(ordered)[:MOST])


def task_page(actor: Actor, tab: Tab, parameters: Mapping[str, str]) -> Page[HumanTask]:
    """One page of a tab by `cursor` and `limit`, oldest first; "done" newest first. Raises CursorInvalid, LimitInvalid.

    Show each item by `card_for`.
    """
    order = ("-closed_at", "-pk") if tab == "done" else ("opened_at", "pk")
    return page_of(with_names(_tab(actor, tab)), parameters, order=order)


def task_detail(actor: Actor, task_id: UUID) -> TaskDetail:
    """One task with its form and its answers so far. Raises NotFound."""
    task = with_names(tasks_for_actor(actor).filter(pk=task_id)).first()
    if task is None:
        raise NotFound("No such task in this workspace.")
    return TaskDetail(
        card=card_for(actor, task),
        text=task.text,
        fields=tuple(task.fields),
        outcomes=tuple(task.outcomes),
        decisions=tuple(decision_of(task, one) for one in sorted(task.decisions.all(), key=lambda one: one.pk)),
        allow_requester=task.allow_requester,
        digest=digest_of(task),
        deciders_left=_deciders_left(task),
        users=tuple(task.users),
        roles=tuple(task.roles),
        groups=tuple(task.groups),
    )


def task_counts(actor: Actor) -> TaskCounts:
    """How many tasks wait, in one query over the partial index task_waiting."""
    waiting = tasks_for_actor(actor).waiting()
    open_to_me = _to_do(actor)
    found = waiting.aggregate(
        all=Count("pk"),
        mine=Count("pk", filter=open_to_me & _own(actor)),
        groups=Count("pk", filter=open_to_me & _assigned(actor) & ~_own(actor)),
        oldest=Min("opened_at"),
    )
    return TaskCounts(**found)


def tasks_of_run(actor: Actor, run_id: UUID) -> tuple[TaskCard, ...]:
    """The tasks of one run, oldest first."""
    rows = with_names(tasks_for_actor(actor).filter(run_id=run_id)).order_by("opened_at", "pk")
    return tuple(card_for(actor, task) for task in rows[:MOST])


def people_for(actor: Actor) -> tuple[list[tuple[str, str]], list[str]]:
    """(user name, label) of every approver of the workspace, and the groups they form: who a task can be given to."""
    members = Membership.objects.filter(workspace_id=actor.workspace_id).with_role(Role.APPROVER)
    found = list(members.select_related("user").order_by("user__username")[:1000])
    groups = {group for member in found for group in member.groups}
    return [(member.user.username, member.user.label) for member in found], sorted(groups)


def _own(actor: Actor) -> Q:
    return Q(users__contains=[actor.username]) | Q(claimed_by_id=actor.user_id)


def _assigned(actor: Actor) -> Q:
    # An approver role comes first: without it nothing is assigned to anybody.
    if Role.APPROVER not in actor.roles:
        return Q(pk__in=[])
    return (
        _own(actor)
        | Q(roles__overlap=sorted(actor.roles))
        | Q(groups__overlap=sorted(actor.groups))
        | Q(users=[], roles=[], groups=[])
    )


def _to_do(actor: Actor) -> Q:
    """Not yet decided by this person, nor kept by somebody else, nor their own request."""
    own_request = Q(requester_id=actor.user_id) | Q(run__version__published_by_id=actor.user_id)
    return (
        ~Q(pk__in=_decided_by(actor))
        & (Q(claimed_by=None) | Q(claimed_by_id=actor.user_id))
        & (Q(allow_requester=True) | ~own_request)
    )


def _decided_by(actor: Actor) -> QuerySet[Decision, UUID]:
    mine = Decision.objects.filter(user_id=actor.user_id or 0, task__workspace_id=actor.workspace_id)
    return mine.values_list("task_id", flat=True)


def _tab(actor: Actor, tab: Tab) -> HumanTaskQuerySet:
    tasks = tasks_for_actor(actor)
    if tab == "done":
        return tasks.exclude(state__in=WAITING_TASK).filter(Q(pk__in=_decided_by(actor)) | _assigned(actor))
    if tab == "mine":
        return tasks.waiting().filter(_to_do(actor) & _own(actor))
    if tab == "groups":
        return tasks.waiting().filter(_to_do(actor) & _assigned(actor) & ~_own(actor))
    return tasks.waiting()


def with_names(rows: HumanTaskQuerySet) -> HumanTaskQuerySet:
    """The tasks with everything their cards show, in a fixed number of queries."""
    # The plan and the document of the version are large and not needed here.
    return (
        rows.select_related("run__workflow", "requester", "claimed_by")
        .defer("run__output", "run__error", "run__closing")
        .annotate(publisher_id=F("run__version__published_by_id"))
        .prefetch_related("decisions")
    )


def card_for(actor: Actor, task: HumanTask) -> TaskCard:
    """The card of a task of `task_page`."""
    ballot = ballot_of(task, publisher=_publisher(task))
    voter = Voter(user_id=actor.user_id or 0, username=actor.username, roles=actor.roles, groups=actor.groups)
    return card_of(
        task,
        ballot,
        user_id=actor.user_id,
        own=is_named(ballot, voter),
        refusal=why_not_decide(ballot, voter),
    )


def _deciders_left(task: HumanTask) -> int:
    """Members who may decide and have not; bounded by the size of the workspace."""
    ballot = ballot_of(task, publisher=_publisher(task))
    members = Membership.objects.filter(workspace_id=task.workspace_id).with_role(Role.APPROVER)
    voters = (
        Voter(
            user_id=member.user_id,
            username=member.user.username,
            roles=frozenset(member.roles),
            groups=frozenset(member.groups),
        )
        for member in members.select_related("user")
    )
    return sum(1 for voter in voters if voter.user_id not in ballot.decided and why_not_eligible(ballot, voter) is None)


def _publisher(task: HumanTask) -> int | None:
    """Who published what runs: fetched by `with_names`."""
    found: int | None = task.publisher_id  # type: ignore[attr-defined]  # an annotation
    return found
