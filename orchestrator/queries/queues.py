"""The queues of a workspace: which there are, how each is limited, what is at work and what stands in line."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection

from orchestrator.engine.keeper import TTL
from orchestrator.engine.queue_names import KNOWN_QUEUES
from orchestrator.policy import Action, Actor, may
from orchestrator.queries.waiting import per

QUEUES: Final = f"""
WITH known AS ({KNOWN_QUEUES}), served AS (
    SELECT DISTINCT unnest(q.queues) AS queue FROM orchestrator_worker_session q
    WHERE q.beat_at > clock_timestamp() - make_interval(secs => %(silence)s)
)
SELECT n.queue, s.queue IS NOT NULL, l.concurrency, l.starts, l.period, l.burst, l.next_at,
    (SELECT count(*) FROM orchestrator_token k WHERE k.queue_limit_id = l.id AND k.state = 'L'),
    (SELECT count(*) FROM orchestrator_token k WHERE k.queue_limit_id = l.id AND k.state = 'R')
FROM known n LEFT JOIN served s ON s.queue = n.queue
LEFT JOIN orchestrator_queue_limit l ON l.workspace_id = %(workspace)s AND l.queue = n.queue
ORDER BY n.queue
"""


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue as a workspace sees it. Without a limit nothing is counted."""

    name: str
    is_served: bool  #: by a worker that lives
    concurrency: int | None
    starts: int | None
    period: float | None
    burst: int | None
    next_at: datetime | None  #: when the rate allows the next start, where steps wait for it
    at_work: int
    in_line: int

    @property
    def period_text(self) -> str:
        """As "per minute"; empty without a rate."""
        return "" if self.period is None else per(self.period)

    @property
    def is_limited(self) -> bool:
        return self.concurrency is not None or self.starts is not None


def queues_for_actor(actor: Actor) -> list[Queue]:
    """The queues that the actor may limit, by name; else nothing."""
    if not may(actor, Action.SETTINGS_EDIT):
        return []
    with connection.cursor() as cursor:
        cursor.execute(QUEUES, {"workspace": actor.workspace_id, "silence": TTL})
        return [Queue(*row) for row in cursor.fetchall()]
