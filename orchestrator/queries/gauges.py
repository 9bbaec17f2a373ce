"""Values for monitoring that stand in the rows: one statement, asked at the scrape, for the whole installation."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.db import connection

# Served by token_ready, token_by_queue_limit, token_leased, token_timer, undo_item_stuck and run_open:
# partial indexes of what is alive.
GAUGES: Final = """
SELECT 'ready', k.queue::text, count(*), extract(epoch FROM clock_timestamp() - min(k.ready_at))::float8
FROM orchestrator_token k WHERE k.state = 'R' AND k.queue_limit_id IS NULL GROUP BY k.queue
UNION ALL SELECT 'in_line', k.queue::text, count(*), NULL
FROM orchestrator_token k WHERE k.state = 'R' AND k.queue_limit_id IS NOT NULL GROUP BY k.queue
UNION ALL SELECT 'leased', '', count(*), NULL FROM orchestrator_token k WHERE k.state = 'L'
UNION ALL SELECT 'waiting', '', count(*), extract(epoch FROM clock_timestamp() - min(k.wake_at))::float8
FROM orchestrator_token k WHERE k.state = 'W'
UNION ALL SELECT 'run', r.state::text, count(*), NULL FROM orchestrator_run r
WHERE NOT (r.state IN ('cancelled', 'failed', 'succeeded', 'undo_stuck', 'undone')) GROUP BY r.state
UNION ALL SELECT 'undo_stuck', '', count(DISTINCT u.run_id), NULL FROM orchestrator_undo_item u
WHERE u.state IN ('stuck', 'unknown')
UNION ALL SELECT 'worker', '', count(*), NULL FROM orchestrator_worker_session q
WHERE q.beat_at > clock_timestamp() - make_interval(secs => %s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """How many of something there are. `age`: seconds since the oldest of them was due, where that has a meaning."""

    what: str
    label: str
    count: int
    age: float | None


def gauges(ttl: float) -> Iterator[Gauge]:
    """Ready tokens by queue, leased and waiting tokens, open runs by state, runs with a stuck undo,
    and worker processes that beat within `ttl`.
    """
    with connection.cursor() as cursor:
        cursor.execute(GAUGES, [ttl])
        for what, label, count, age in cursor.fetchall():
            yield Gauge(what=what, label=label, count=count, age=age)
