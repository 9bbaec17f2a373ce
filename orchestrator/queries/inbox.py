"""How much waits for a person."""

from django.db.models import Q, QuerySet

from orchestrator.models import HumanTask
from orchestrator.policy import Action, Actor, may

#: Counted no further: the badge says 99+.
MOST_COUNTED = 100


def tasks_waiting_for(actor: Actor) -> QuerySet[HumanTask]:
    """Open tasks that name the actor, a role or a group of theirs. Served by task_waiting."""
    if not may(actor, Action.TASK_DECIDE):
        return HumanTask.objects.none()
    named = Q(users__contains=[actor.username]) | Q(roles__overlap=sorted(actor.roles))
    if actor.groups:
        named |= Q(groups__overlap=sorted(actor.groups))
    mine = Q(claimed_by=None) | Q(claimed_by_id=actor.user_id)
    return HumanTask.objects.filter(named, mine, workspace_id=actor.workspace_id).waiting()


def waiting_count(actor: Actor) -> int:
    """The number on the inbox, at most 100."""
    return len(tasks_waiting_for(actor).values_list("pk")[:MOST_COUNTED])
