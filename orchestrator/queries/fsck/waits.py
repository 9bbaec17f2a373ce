"""Who is at work has an owner, and who waits waits for something that will come."""

from orchestrator.queries.fsck.invariant import Invariant

INVARIANTS = (
    Invariant(
        "I5 leases have an owner",
        "A leased token names a session; a waiting one waits for something.",
        """SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_token t
        WHERE (t.state = 'L' AND t.session_id IS NULL)
           OR (t.state = 'W' AND t.wake_at IS NULL AND (t.waiting->>'topic') IS NULL
               AND NOT EXISTS (SELECT FROM orchestrator_human_task h
                   WHERE h.token_id = t.id AND h.epoch = t.epoch AND h.state IN ('open', 'claimed'))
               AND NOT EXISTS (SELECT FROM orchestrator_scope s
                   WHERE s.id = branchline_block(t.inner_scope) AND (s.state = 'O' OR t.waiting->>'kind' = 'undo'))
               AND NOT EXISTS (SELECT FROM orchestrator_run c WHERE c.parent_run_id = t.run_id AND c.parent_token = t.id
                   AND c.parent_epoch = t.epoch AND c.finished_at IS NULL)
               -- Inside a scope that is to get its lock: the scope's own token asks for it.
               AND NOT EXISTS (SELECT FROM orchestrator_token c WHERE t.waiting ? 'turn' AND c.phase = 0
                   AND c.run_id = (SELECT s.run_id FROM orchestrator_scope s WHERE s.id = (t.waiting->>'block')::bigint)
                   AND branchline_block(c.inner_scope) = (t.waiting->>'block')::bigint)
               -- An item that waits for its turn: a lane whose item does not wait is there, and gives it.
               AND NOT EXISTS (SELECT FROM orchestrator_token a WHERE t.waiting ? 'turn' AND a.phase = 2
                   AND a.run_id = (SELECT s.run_id FROM orchestrator_scope s WHERE s.id = (t.waiting->>'block')::bigint)
                   AND a.scope_id = (t.waiting->>'block')::bigint
                   AND NOT EXISTS (SELECT FROM branchline_family(a.run_id) f JOIN orchestrator_token o ON o.run_id = f
                       WHERE o.state = 'W' AND o.waiting->>'turn' = a.signal->>'lo'
                       AND o.waiting->>'block' = t.waiting->>'block')))""",
    ),
    Invariant(
        "I7 dead workers hold nothing",
        "No token stays leased to a session that has been gone for a minute, or past its attempt's time.",
        """SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_token t
        LEFT JOIN orchestrator_worker_session s ON s.id = t.session_id
        WHERE t.state = 'L' AND (t.deadline_at < clock_timestamp() - interval '1 minute'
           OR (t.started_at < clock_timestamp() - interval '1 minute'
               AND (s.id IS NULL OR s.beat_at < clock_timestamp() - interval '1 minute')))""",
        patient=True,
    ),
    Invariant(
        "I11 timers fire",
        "No timer is a minute late.",
        """SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_token t
        WHERE t.state = 'W' AND t.wake_at < clock_timestamp() - interval '1 minute'
        UNION ALL SELECT g.run_id::text, 'gate ' || g.gate FROM orchestrator_gate g
        WHERE g.deadline_at < clock_timestamp() - interval '1 minute'""",
        patient=True,
    ),
    Invariant(
        "I17 tasks have their token",
        "An open human task belongs to a token that waits for it.",
        """SELECT h.run_id::text, 'task ' || h.id FROM orchestrator_human_task h WHERE h.state IN ('open', 'claimed')
        AND NOT EXISTS (SELECT FROM orchestrator_token t
            WHERE t.id = h.token_id AND t.epoch = h.epoch AND t.state = 'W')""",
    ),
    Invariant(
        "F8 done tasks have a decision",
        "A task that is done was decided by somebody.",
        """SELECT h.run_id::text, 'task ' || h.id FROM runs r JOIN orchestrator_human_task h ON h.run_id = r.id
        WHERE h.state = 'done'
        AND NOT EXISTS (SELECT FROM orchestrator_decision d WHERE d.task_id = h.id AND d.outcome = h.outcome)""",
    ),
)
