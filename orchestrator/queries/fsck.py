"""The engine's invariants as queries: each finds rows that must not exist. They only read, on a live system too.

Live rows (tokens, open tasks) are few and looked at whole. Of the past, `breaches` looks at runs that are open or began
a short while ago, which a run's id tells (UUIDv7): both are found by an index, so a check costs the same at a million
finished runs. `everything` looks at all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection, transaction

MOST = 100  # findings shown of each
RECENT = 3_600  # seconds: how far back a check of a live system looks
PATIENCE = 30  # seconds one query may take; what is cut off is raised, not passed over


@dataclass(frozen=True, slots=True)
class Invariant:
    """`sql` selects (run, what) of every breach; `runs` stands for the runs looked at.

    `patient`: it allows for the time that sweeps need, so it may not hold while the keeper is away.
    """

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
EVERYTHING = "SELECT id FROM orchestrator_run"
# The first half is served by run_open, the second by the primary key: a UUIDv7 begins with its millisecond.
LIVE = f"""SELECT id FROM orchestrator_run
    WHERE state NOT IN ('succeeded', 'failed', 'cancelled', 'undone', 'undo_stuck')
    UNION SELECT id FROM orchestrator_run WHERE id >= rpad(lpad(to_hex(
        (extract(epoch FROM clock_timestamp() - interval '{RECENT} s') * 1000)::bigint), 12, '0'), 32, '0')::uuid"""
# Events that somebody waits for, and has not had: by the key, or of any; each served by an index of its own.
MISSED = """SELECT t.run_id::text, 'token ' || t.id || ', event ' || e.id FROM (
            SELECT k.*, k.waiting->>'topic' AS topic, branchline_lane(k.scope_id) AS lane,
                coalesce((k.waiting->>'from')::timestamptz, r.started_at) AS since
            FROM orchestrator_token k JOIN orchestrator_run r ON r.id = k.run_id
            WHERE k.state = 'W' AND k.waiting->>'topic' IS NOT NULL) t
        JOIN orchestrator_event e ON e.workspace_id = split_part(t.topic, '/', 1)::bigint
            AND e.type = split_part(substr(t.topic, strpos(t.topic, '/') + 1), '#', 1) AND {condition}
        WHERE e.accepted_at >= t.since AND e.accepted_at > (SELECT clock_timestamp() - interval '1 hour')
        AND NOT EXISTS (SELECT FROM orchestrator_delivery d WHERE d.event_id = e.id AND d.run_id = t.run_id
            AND d.node = t.node AND d.generation = t.generation AND d.lane = t.lane)"""

INVARIANTS = (
    Invariant(
        "I1 one success",
        "A step succeeds at most once per scope and generation.",
        """SELECT s.run_id::text, 'node ' || s.node FROM runs r JOIN orchestrator_steplog s ON s.run_id = r.id
        WHERE s.outcome = 'S' GROUP BY s.run_id, s.node, s.scope_id, s.generation HAVING count(*) > 1""",
    ),
    Invariant(
        "I1 one token per step",
        "Control stands at most once at a step, scope and generation (the lanes of a for-each apart).",
        """SELECT t.run_id::text, 'node ' || t.node FROM orchestrator_token t
        WHERE t.phase <> 2 GROUP BY t.run_id, t.node, t.scope_id, t.generation HAVING count(*) > 1""",
    ),
    Invariant(
        "I1 what has succeeded does not begin again",
        "No token stands at a step that has succeeded in its scope and generation.",
        """SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_token t JOIN orchestrator_steplog s
        ON (s.run_id, s.node, s.scope_id, s.generation) = (t.run_id, t.node, t.scope_id, t.generation)
        WHERE s.outcome = 'S'""",
    ),
    Invariant(
        "I2 tokens stand in the plan",
        "Every token stands at a step of its run's version, at its end, or at the undo of a step.",
        """SELECT t.run_id::text, 'token ' || t.id || ' at node ' || t.node FROM orchestrator_token t
        LEFT JOIN orchestrator_run r ON r.id = t.run_id AND r.version_id = t.version_id
        LEFT JOIN orchestrator_version v ON v.id = t.version_id
        WHERE r.id IS NULL OR v.id IS NULL
           OR t.node NOT BETWEEN -json_array_length(v.plan->'keys') AND json_array_length(v.plan->'keys')""",
    ),
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
        "I9 payloads are there",
        "What the step log refers to exists.",
        """SELECT s.run_id::text, 'node ' || s.node FROM runs r JOIN orchestrator_steplog s ON s.run_id = r.id
        WHERE (s.output_ref IS NOT NULL AND NOT EXISTS (SELECT FROM orchestrator_payload p WHERE p.id = s.output_ref))
           OR (s.input_ref IS NOT NULL AND NOT EXISTS (SELECT FROM orchestrator_payload p WHERE p.id = s.input_ref))""",
    ),
    Invariant(
        "I9 outputs are there",
        "Where a payload stands for the outputs of a for-each, its run has that for-each.",
        # Those of a sub-workflow's run go a little before their parent's rows when the family is forgotten.
        """SELECT r.id::text, 'outputs of block ' || p.block
        FROM runs r JOIN orchestrator_payload p ON p.run_id = r.id AND p.block IS NOT NULL
        WHERE p.body->>'run' = r.id::text
            AND NOT EXISTS (SELECT FROM orchestrator_scope s WHERE s.id = p.block AND s.run_id = r.id)""",
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
        "I11 timers fire",
        "No timer is a minute late.",
        """SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_token t
        WHERE t.state = 'W' AND t.wake_at < clock_timestamp() - interval '1 minute'
        UNION ALL SELECT g.run_id::text, 'gate ' || g.gate FROM orchestrator_gate g
        WHERE g.deadline_at < clock_timestamp() - interval '1 minute'""",
        patient=True,
    ),
    Invariant(
        "I12 events are used once",
        "A step ends with an event once: in its run, its item of a for-each and its generation.",
        """SELECT d.run_id::text, 'event ' || d.event_id || ' at node ' || d.node
        FROM runs r JOIN orchestrator_delivery d ON d.run_id = r.id
        JOIN orchestrator_steplog s ON s.run_id = d.run_id AND s.node = d.node AND s.scope_id = d.scope_id
            AND s.generation = d.generation AND s.outcome = 'S'
        WHERE d.state = 'D'
        GROUP BY d.run_id, d.event_id, d.node, d.lane, d.generation HAVING count(*) > 1""",
    ),
    Invariant(
        "I12 waits miss no event",
        "Whoever waits has had every event of the last hour that it waits for, or it is being delivered.",
        f"""{MISSED.format(condition="strpos(t.topic, '#') > 0 AND e.key = substr(t.topic, strpos(t.topic, '#') + 1)")}
        UNION ALL {MISSED.format(condition="strpos(t.topic, '#') = 0")}""",
    ),
    Invariant(
        "I12 delivered events move their step",
        "Where an event was delivered a step stands that was made ready by it, or has ended.",
        """SELECT d.run_id::text, 'event ' || d.event_id || ' at node ' || d.node
        FROM runs r JOIN orchestrator_delivery d ON d.run_id = r.id WHERE d.state = 'D'
        AND NOT EXISTS (SELECT FROM orchestrator_token t WHERE t.run_id = d.run_id AND t.node = d.node
            AND t.scope_id = d.scope_id AND t.generation = d.generation AND t.state <> 'W' AND t.signal ? 'no')
        AND NOT EXISTS (SELECT FROM orchestrator_token t WHERE t.run_id = d.run_id AND t.node = d.node
            AND t.scope_id = d.scope_id AND t.generation = d.generation AND t.waiting->>'kind' = 'retry')
        AND NOT EXISTS (SELECT FROM orchestrator_steplog s WHERE s.run_id = d.run_id AND s.node = d.node
            AND s.scope_id = d.scope_id AND s.generation = d.generation AND s.final)""",
    ),
    Invariant(
        "I14 deliveries end",
        "No delivery of an event is pending for more than a minute.",
        """SELECT d.run_id::text, 'event ' || d.event_id FROM orchestrator_delivery d
        WHERE d.state = 'P' AND d.made_at < clock_timestamp() - interval '1 minute'""",
        patient=True,
    ),
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
        "A for-each counts no more ended items than were given out and left a row in the log (of up to 10,000 items).",
        """SELECT s.run_id::text, 'scope ' || s.id FROM runs r JOIN orchestrator_scope s ON s.run_id = r.id
        WHERE s.ok + s.fail > s.next OR s.next > s.total
           OR (s.total BETWEEN 1 AND 10000 AND s.state = 'O' AND s.ok + s.fail > (SELECT count(DISTINCT l.scope_id)
               FROM orchestrator_steplog l
               WHERE l.run_id = s.run_id AND l.scope_id BETWEEN s.id + 1 AND s.id + s.total))""",
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
    Invariant(
        "I16 a ledger follows the drain",
        "No forward step goes on where the undo ledger is written: in a run, or in a container.",
        """SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_token t JOIN orchestrator_run r ON r.id = t.run_id
        WHERE r.state = 'undoing' AND r.closing ? 'ledger' AND t.node >= 0
        UNION ALL SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_token t
        WHERE t.scope_id <> 0 AND t.node >= 0 AND EXISTS (SELECT FROM orchestrator_undo_item u
            WHERE u.run_id = t.run_id AND u.boundary = branchline_block(t.scope_id))""",
    ),
    Invariant(
        "I16 undo items at work have a token",
        "A running item of an undo ledger has the one token of its undo step, and such a token its item.",
        """SELECT u.run_id::text, 'undo of entry ' || u.entry FROM runs r
        JOIN orchestrator_undo_item u ON u.run_id = r.id WHERE u.state = 'running'
        AND NOT EXISTS (SELECT FROM orchestrator_token t WHERE t.run_id = u.run_id AND t.node = -1 - u.node
            AND t.scope_id = u.scope_id AND t.generation = u.generation)
        UNION ALL SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_token t WHERE t.node < 0
        AND NOT EXISTS (SELECT FROM orchestrator_undo_item u WHERE u.run_id = t.run_id AND u.node = -1 - t.node
            AND u.scope_id = t.scope_id AND u.generation = t.generation AND u.state = 'running')""",
    ),
    Invariant(
        "I16 what is undone was settled in order",
        "An item is settled or begun only when nothing later holds it, and undone only with a log row that says so.",
        """SELECT u.run_id::text, 'undo of entry ' || u.entry FROM runs r
        JOIN orchestrator_undo_item u ON u.run_id = r.id
        WHERE (u.state IN ('running', 'undone', 'stuck') AND u.awaits > 0)
           OR (u.state = 'undone' AND NOT EXISTS (SELECT FROM orchestrator_steplog l WHERE l.run_id = u.run_id
               AND l.node = -1 - u.node AND l.scope_id = u.scope_id AND l.generation = u.generation
               AND l.outcome = 'S'))""",
    ),
    Invariant(
        "I16 undone runs are undone",
        "Nothing of the ledger of an undone run is open; that of a stuck one is.",
        """SELECT r.id::text, r.state FROM runs JOIN orchestrator_run r USING (id)
        WHERE r.state IN ('undone', 'undo_stuck') AND (r.state = 'undone') = EXISTS (
            SELECT FROM orchestrator_undo_item u WHERE u.run_id = r.id AND u.boundary = 0
                AND u.state IN ('waiting', 'running', 'stuck', 'unknown'))""",
    ),
    Invariant(
        "I16 sub-workflows are undone with their run",
        "The runs that an undone run's steps have started are undone, but where a person said otherwise.",
        """SELECT r.id::text, 'its sub-workflow ' || c.id || ' is ' || c.state FROM runs
        JOIN orchestrator_run r USING (id)
        JOIN orchestrator_run c ON c.parent_run_id = r.id WHERE r.state = 'undone' AND c.state <> 'undone'
        AND (SELECT bool_and(u.state IN ('undone', 'not_needed')) FROM orchestrator_undo_item u WHERE u.run_id = r.id
            AND u.node = c.parent_node AND u.scope_id = c.parent_scope AND u.generation = c.parent_generation)""",
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
        """SELECT g.run_id::text, 'gate ' || g.gate FROM runs r JOIN orchestrator_gate g ON g.run_id = r.id
        WHERE (g.cancel_pending AND (g.verdict NOT IN ('F', 'X') OR (g.size > 0 AND g.ok + g.skip + g.fail = g.size)))
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
    Invariant(
        "F8 done tasks have a decision",
        "A task that is done was decided by somebody.",
        """SELECT h.run_id::text, 'task ' || h.id FROM runs r JOIN orchestrator_human_task h ON h.run_id = r.id
        WHERE h.state = 'done'
        AND NOT EXISTS (SELECT FROM orchestrator_decision d WHERE d.task_id = h.id AND d.outcome = h.outcome)""",
    ),
)


def breaches(*, everything: bool = False) -> Iterator[Breach]:
    """Every breach of every invariant, the first hundred of each. Raises QueryCanceled where one takes too long."""
    for invariant in INVARIANTS:
        for run, what in _rows(query(invariant, everything=everything)):
            yield Breach(invariant, run, what)


def query(invariant: Invariant, *, everything: bool = False) -> str:
    """The invariant's whole statement."""
    runs = EVERYTHING if everything else LIVE
    return f"WITH runs AS ({runs}) SELECT * FROM ({invariant.sql}) AS found LIMIT {MOST}"


def _rows(statement: str) -> list[tuple[str, str]]:
    with transaction.atomic(), connection.cursor() as cursor:
        # Until the end of this transaction: a check must never be what a live system waits for.
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{PATIENCE}s"])
        cursor.execute(statement)
        return list(cursor.fetchall())
