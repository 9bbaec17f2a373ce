"""The names of queues: they stand where steps, workers and limits use them, and nowhere else."""

from typing import Final

from django.db import connection

# Of published workflows, tokens, workers that live, and limits.
KNOWN_QUEUES: Final = """
SELECT s->>'queue' AS queue FROM orchestrator_workflow w JOIN orchestrator_version v ON v.id = w.live_version_id,
    json_array_elements(v.plan->'steps') s WHERE w.workspace_id = %(workspace)s AND w.archived_at IS NULL
UNION SELECT k.queue FROM orchestrator_token k JOIN orchestrator_run r ON r.id = k.run_id
    WHERE r.workspace_id = %(workspace)s
UNION SELECT unnest(q.queues) FROM orchestrator_worker_session q
    WHERE q.beat_at > clock_timestamp() - make_interval(secs => %(silence)s)
UNION SELECT l.queue FROM orchestrator_queue_limit l WHERE l.workspace_id = %(workspace)s
"""


def known_queues(workspace_id: int, silence: float) -> list[str]:
    """The queues that steps of a workspace use, or a worker serves that beat within `silence` seconds, by name."""
    with connection.cursor() as cursor:
        cursor.execute(KNOWN_QUEUES, {"workspace": workspace_id, "silence": silence})
        return sorted(row[0] for row in cursor.fetchall())
