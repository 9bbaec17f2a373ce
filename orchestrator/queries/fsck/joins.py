"""Joins count each branch once, are decided once, and let go."""

from orchestrator.queries.fsck.invariant import Invariant

INVARIANTS = (
    Invariant(
        "I3 gate decided once",
        "A join is decided at most once, and never counts more signals than it has branches.",
        """SELECT g.run_id::text, 'gate ' || g.gate FROM runs r JOIN orchestrator_gate g ON g.run_id = r.id
        WHERE g.decided > 1 OR g.ok + g.skip + g.fail > g.size OR (g.verdict = 'O') <> (g.decided = 0)""",
    ),
    Invariant(
        "I3 full gates are decided",
        "A join that has heard of all its branches has its verdict.",
        """SELECT g.run_id::text, 'gate ' || g.gate FROM runs r JOIN orchestrator_gate g ON g.run_id = r.id
        WHERE g.verdict = 'O' AND g.ok + g.skip + g.fail >= g.size""",
    ),
    Invariant(
        "I3 gate agrees with its arrivals",
        "The counters of a join are the signals that arrived.",
        """SELECT g.run_id::text, 'gate ' || g.gate FROM runs r JOIN orchestrator_gate g ON g.run_id = r.id
        LEFT JOIN LATERAL (SELECT count(*) AS n FROM orchestrator_gate_arrival a
            WHERE a.run_id = g.run_id AND a.gate = g.gate AND a.scope_id = g.scope_id) c ON true
        WHERE g.ok + g.skip + g.fail <> c.n""",
    ),
    Invariant(
        "I17 decided joins let go",
        "A join that has all its answers cancels nothing any more, and a decided one has no timer.",
        """SELECT g.run_id::text, 'gate ' || g.gate FROM runs r JOIN orchestrator_gate g ON g.run_id = r.id
        WHERE (g.cancel_pending AND (g.verdict NOT IN ('F', 'X') OR (g.size > 0 AND g.ok + g.skip + g.fail = g.size)))
           OR (g.verdict <> 'O' AND g.deadline_at IS NOT NULL)""",
    ),
)
