"""Open runs can go on and end, and nothing remains of closed ones."""

from orchestrator.queries.fsck.invariant import Invariant

CLOSED = "r.state IN ('succeeded', 'failed', 'cancelled', 'undone')"

INVARIANTS = (
    Invariant(
        "I4 open runs can go on",
        "A run that is open, or is being undone, has at least one token.",
        """SELECT r.id::text, r.state FROM orchestrator_run r
        WHERE (r.state = 'running' OR (r.state = 'paused' AND r.control = 'P')
            OR (r.state = 'undoing' AND r.closing ? 'ledger'))
        AND NOT EXISTS (SELECT FROM orchestrator_token t WHERE t.run_id = r.id)""",
    ),
    Invariant(
        "I4 cancelled runs drain",
        "A cancelling run ends within two minutes.",
        """SELECT r.id::text, r.state FROM orchestrator_run r WHERE r.state = 'cancelling'
        AND EXISTS (SELECT FROM orchestrator_runrecord c WHERE c.run_id = r.id
            AND c.kind IN ('cancel_requested', 'deadline_passed'))
        AND NOT EXISTS (SELECT FROM orchestrator_runrecord c WHERE c.run_id = r.id
            AND c.at > clock_timestamp() - interval '2 minutes')""",
        patient=True,
    ),
    Invariant(
        "I4 only a pause holds",
        "A held token belongs to a paused run, or to one that its workflow's limit has queued, or to a child of one.",
        """SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_token t JOIN orchestrator_run r ON r.id = t.run_id
        WHERE t.state = 'H' AND r.state <> 'paused' AND NOT branchline_in_line(r.id)""",
    ),
    Invariant(
        "I10 state and control agree",
        "A paused run is under control P (or C: it failed, and its undo is held), a cancelling one under C.",
        """SELECT r.id::text, r.state || ' under ' || r.control FROM orchestrator_run r
        WHERE (r.state = 'paused' AND NOT (r.control = 'P' OR r.control = 'C' AND r.closing ? 'error'))
           OR (r.state = 'cancelling' AND r.control <> 'C')
           OR (r.state = 'running' AND r.control IN ('P', 'C'))""",
    ),
    Invariant(
        "I17 nothing remains of a closed run",
        "A closed run has no token and no open human task.",
        f"""SELECT r.id::text, 'token ' || t.id FROM orchestrator_token t JOIN orchestrator_run r ON r.id = t.run_id
        WHERE {CLOSED}
        UNION ALL SELECT r.id::text, 'task ' || h.id FROM orchestrator_human_task h
        JOIN orchestrator_run r ON r.id = h.run_id WHERE h.state IN ('open', 'claimed') AND {CLOSED}""",
    ),
    Invariant(
        "I18 children have a parent",
        "An open run of a sub-workflow has the run that began it, and does not outlive that by a minute.",
        """SELECT r.id::text, 'child of ' || r.parent_run_id FROM orchestrator_run r WHERE r.parent_run_id IS NOT NULL
        AND r.state NOT IN ('succeeded', 'failed', 'cancelled', 'undone', 'undo_stuck')
        AND NOT EXISTS (SELECT FROM orchestrator_run p WHERE p.id = r.parent_run_id)
        UNION ALL SELECT r.id::text, 'child of ' || p.id || ', which is ' || p.state FROM orchestrator_run r
        JOIN orchestrator_run p ON p.id = r.parent_run_id
        WHERE r.state IN ('running', 'paused') AND p.finished_at < clock_timestamp() - interval '1 minute'""",
        patient=True,
    ),
)
