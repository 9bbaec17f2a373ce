"""Containers hold what runs in them, and nothing goes on in closed ones."""

from orchestrator.queries.fsck.invariant import Invariant

INVARIANTS = (
    Invariant(
        "I15 containers have a body",
        "A container, or a lane, that waits for what is in it has control in it.",
        """SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_token t
        WHERE t.state = 'W' AND t.waiting->>'kind' IN ('body', 'items') AND NOT EXISTS (
            SELECT FROM orchestrator_token k WHERE k.run_id = t.run_id AND k.scope_id <> 0 AND k.id <> t.id
                AND CASE WHEN t.inner_scope = branchline_block(t.inner_scope)
                    THEN branchline_block(k.scope_id) = t.inner_scope ELSE k.scope_id = t.inner_scope END)""",
    ),
    Invariant(
        "I15 scopes have their container",
        "What stands in a scope stands in an entered one of its own run, and an open one has its container's token.",
        """SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_token t WHERE t.scope_id <> 0
        AND NOT EXISTS (SELECT FROM orchestrator_scope s
            WHERE s.id = branchline_block(t.scope_id) AND s.run_id = t.run_id)
        UNION ALL SELECT s.run_id::text, 'scope ' || s.id FROM runs r JOIN orchestrator_scope s ON s.run_id = r.id
        WHERE s.state = 'O' AND EXISTS (SELECT FROM orchestrator_token t WHERE t.scope_id <> 0 AND t.run_id = s.run_id
            AND t.node >= 0 AND branchline_block(t.scope_id) = s.id)
        AND NOT EXISTS (SELECT FROM orchestrator_token t WHERE t.id = s.token_id AND t.run_id = s.run_id)""",
    ),
    Invariant(
        "I15 nothing waits in a closed container",
        "What waits or is at work in a closed container is known to be left there: the next sweep takes it away.",
        """SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_token t
        JOIN orchestrator_scope s ON s.id = branchline_block(t.scope_id) AND s.state = 'C' AND s.draining_since IS NULL
        WHERE t.scope_id <> 0 AND t.node >= 0 AND t.state IN ('W', 'L')
            -- After a retry: its container is closed until it has its lock.
            AND NOT (t.state = 'W' AND coalesce(t.waiting ? 'turn', false))""",
    ),
    Invariant(
        "I15 closed containers drain",
        "What was left in a closed container is gone within a minute.",
        """SELECT s.run_id::text, 'scope ' || s.id FROM orchestrator_scope s
        WHERE s.draining_since < clock_timestamp() - interval '1 minute'""",
        patient=True,
    ),
    Invariant(
        "I15 items are counted once",
        "A for-each counts no more ended items than were given out and left an end in the log (of up to 10,000 items).",
        """SELECT s.run_id::text, 'scope ' || s.id FROM runs r JOIN orchestrator_scope s ON s.run_id = r.id
        WHERE s.ok + s.fail > s.next OR s.next > s.total
           OR (s.total BETWEEN 1 AND 10000 AND s.state = 'O' AND s.ok + s.fail > (SELECT count(DISTINCT l.scope_id)
               FROM orchestrator_steplog l
               WHERE l.run_id = s.run_id AND l.scope_id BETWEEN s.id + 1 AND s.id + s.total AND l.final))""",
    ),
)
