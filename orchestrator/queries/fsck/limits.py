"""Limits of open runs and of queues hold."""

from orchestrator.queries.fsck.invariant import Invariant

INVARIANTS = (
    Invariant(
        "I4 a queued run begins nothing",
        "No step of a queued run is at work; what waits in it waits for others of its own. A claim holds what is due.",
        """SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_run r JOIN orchestrator_token t ON t.run_id = r.id
        WHERE r.queued AND r.state IN ('running', 'paused') AND r.concurrency_key IS NOT NULL AND t.state IN ('L', 'W')
            -- A container or sub-workflow that a retry has opened again waits for what it holds.
            AND NOT (t.state = 'W'
                AND (t.inner_scope IS NOT NULL OR t.waiting ? 'turn' OR t.waiting->>'kind' = 'child'))""",
    ),
    Invariant(
        "I4 queued runs have a limit",
        "An open run that is queued stands under a limit: else nobody lets it go.",
        """SELECT r.id::text, r.state FROM orchestrator_run r
        WHERE r.queued AND r.concurrency_key IS NULL
        AND r.state NOT IN ('succeeded', 'failed', 'cancelled', 'undone', 'undo_stuck')""",
    ),
    Invariant(
        "I19 limits of queues hold",
        "Of what began since a queue was limited, or its limit changed, no more is leased than that.",
        # What a claim had leased when the limit came is counted a sweep later.
        """SELECT c.run_id::text, 'token ' || c.id || ': ' || c.place || ' of ' || c.concurrency FROM (
            SELECT t.run_id, t.id, l.concurrency, row_number() OVER (PARTITION BY l.id ORDER BY t.started_at) AS place
            FROM orchestrator_queue_limit l JOIN orchestrator_token t ON t.queue_limit_id = l.id AND t.state = 'L'
            WHERE t.started_at > l.changed_at + interval '10 seconds'
        ) c WHERE c.place > c.concurrency""",
    ),
    Invariant(
        "I19 lines are known",
        "Who stands in the line of a limited queue stands in one that says so.",
        """SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_token t
        LEFT JOIN orchestrator_queue_limit l ON l.id = t.queue_limit_id
        WHERE t.queue_limit_id IS NOT NULL
            AND (l.id IS NULL OR l.queue <> t.queue OR (t.state = 'R' AND l.line = '-'))""",
    ),
)
