"""How much waits for a person: the number on the inbox."""

from orchestrator.policy import Action, Actor, may
from orchestrator.queries.tasks import to_do_for

#: Counted no further: the badge says 99+.
MOST_COUNTED = 100


def waiting_count(actor: Actor) -> int:
    """The tasks that wait for this person, at most 100."""
    if not may(actor, Action.TASK_DECIDE):
        return 0
    return len(to_do_for(actor).values_list("pk")[:MOST_COUNTED])
