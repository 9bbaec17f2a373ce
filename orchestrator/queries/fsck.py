"""The engine's invariants as queries: each finds rows that must not exist. They only read, on a live system too."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection

MOST = 100  # findings shown of each


@dataclass(frozen=True, slots=True)
class Invariant:
    """`sql` selects (run, what) of every breach. `patient`: it allows for the time that sweeps need."""

    name: str
    sentence: str
    sql: str
    patient: bool = False


@dataclass(frozen=True, slots=True)
class Breach:
    """One row that contradicts an invariant."""

    invariant: Invariant
    run: str
    what: str


CLOSED = "r.state IN ('succeeded', 'failed', 'cancelled', 'undone')"

INVARIANTS = (
    Invariant(
        "I1 one success",
        "A step succeeds at most once per scope and generation.",
        """SELECT s.run_id::text, 'node ' || s.node FROM orchestrator_steplog s WHERE s.outcome = 'S'
        GROUP BY s.run_id, s.node, s.scope_id, s.generation HAVING count(*) > 1""",
    ),
    Invariant(
        "I3 gate decided once",
        "A join is decided at most once, and never counts more signals than it has branches.",
        """SELECT g.run_id::text, 'gate ' || g.gate FROM orchestrator_gate g
        WHERE g.decided > 1 OR g.ok + g.skip + g.fail > g.size OR (g.verdict = 'O') <> (g.decided = 0)""",
    ),
    Invariant(
        "I3 gate agrees with its arrivals",
        "The counters of a join are the signals that arrived.",
        """SELECT g.run_id::text, 'gate ' || g.gate FROM orchestrator_gate g
        LEFT JOIN LATERAL (SELECT count(*) AS n FROM orchestrator_gate_arrival a
            WHERE a.run_id = g.run_id AND a.gate = g.gate AND a.scope_id = g.scope_id) c ON true
        WHERE g.ok + g.skip + g.fail <> c.n""",
    ),
    Invariant(
        "I4 open runs can go on",
        "A run that is open has at least one token.",
        """SELECT r.id::text, r.state FROM orchestrator_run r WHERE r.state IN ('running', 'paused')
        AND NOT EXISTS (SELECT FROM orchestrator_token t WHERE t.run_id = r.id)""",
    ),
    Invariant(
        "I5 leases have an owner",
        "A leased token names a session; a waiting one waits for something.",
        """SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_token t
        WHERE (t.state = 'L' AND t.session_id IS NULL)
           OR (t.state = 'W' AND t.wake_at IS NULL AND NOT EXISTS (SELECT FROM orchestrator_human_task h
               WHERE h.token_id = t.id AND h.epoch = t.epoch AND h.state IN ('open', 'claimed')))""",
    ),
    Invariant(
        "I7 dead workers hold nothing",
        "No token stays leased to a session that has been gone for a minute.",
        """SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_token t
        LEFT JOIN orchestrator_worker_session s ON s.id = t.session_id
        WHERE t.state = 'L' AND t.started_at < clock_timestamp() - interval '1 minute'
          AND (s.id IS NULL OR s.beat_at < clock_timestamp() - interval '1 minute')""",
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
        "I17 nothing remains of a closed run",
        "A closed run has no token and no open human task.",
        f"""SELECT r.id::text, 'token ' || t.id FROM orchestrator_token t JOIN orchestrator_run r ON r.id = t.run_id
        WHERE {CLOSED}
        UNION ALL SELECT r.id::text, 'task ' || h.id FROM orchestrator_human_task h
        JOIN orchestrator_run r ON r.id = h.run_id WHERE h.state IN ('open', 'claimed') AND {CLOSED}""",
    ),
    Invariant(
        "I17 decided joins let go",
        "A join that has all its answers cancels nothing any more, and a decided one has no timer.",
        """SELECT g.run_id::text, 'gate ' || g.gate FROM orchestrator_gate g
        WHERE (g.cancel_pending AND (g.verdict NOT IN ('F', 'X') OR g.ok + g.skip + g.fail = g.size))
           OR (g.verdict <> 'O' AND g.deadline_at IS NOT NULL)""",
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
        """SELECT h.run_id::text, 'task ' || h.id FROM orchestrator_human_task h WHERE h.state = 'done'
        AND NOT EXISTS (SELECT FROM orchestrator_decision d WHERE d.task_id = h.id AND d.outcome = h.outcome)""",
    ),
)


def breaches() -> Iterator[Breach]:
    """Every breach of every invariant, the first hundred of each."""
    for invariant in INVARIANTS:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM ({invariant.sql}) AS found LIMIT %s", [MOST])
            for run, what in cursor.fetchall():
                yield Breach(invariant, run, what)
