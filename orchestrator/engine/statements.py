"""Every statement of the hot path, by name, with its reason."""

# Lease ready tokens: the only way work begins.
CLAIM = "SELECT * FROM branchline_claim(%s::bigint, %s::text[], %s::int, %s::boolean)"

# End or park attempts: the only way control moves.
ADVANCE = "SELECT * FROM branchline_advance(%s::bigint, %s::jsonb)"
# The same without waiting for the flush: for ends that would be made again alike (decision 37).
ADVANCE_SOON = (
    "SELECT a.* FROM (SELECT set_config('synchronous_commit', 'off', true)) AS soon, "
    "branchline_advance(%s::bigint, %s::jsonb) AS a"
)

# The same where somebody begins to wait for an event, or has looked at one: topics are locked first.
ADVANCE_EVENTS = "SELECT * FROM branchline_advance_events(%s::bigint, %s::jsonb)"

# Topics with deliveries that somebody left, and one such topic's next ones.
PENDING_TOPICS = "SELECT DISTINCT topic FROM orchestrator_delivery WHERE state = 'P' LIMIT %s"
DELIVER = "SELECT queues, runs, more FROM branchline_deliver(%s::text, %s::int)"

# An event that is too large to travel with the token.
EVENT = "SELECT branchline_event_json(e) AS event FROM orchestrator_event e WHERE e.id = %s"

# After a lost connection: did the call that got no answer commit? Then its steps are logged as ours.
WHERE_ARE_THEY = """
SELECT k.id AS token_id, k.node, k.epoch, k.started_at, k.cause, ARRAY(
    SELECT s.node FROM orchestrator_steplog s WHERE s.run_id = k.run_id AND s.node = ANY(%(nodes)s::int[])
        AND s.scope_id = k.scope_id AND s.generation = k.generation AND s.final
        AND (s.session_id = k.session_id OR s.outcome = 'K')  -- what did not begin names no session
    ) AS logged
FROM orchestrator_token k
WHERE k.id = ANY(%(tokens)s::bigint[]) AND k.session_id = %(session)s::bigint AND k.state = 'L'
"""

# What earlier steps gave: the last final row of each node, in the scope where it is read, up to a generation.
OUTPUTS = """
SELECT DISTINCT ON (s.node) s.node, s.outcome, s.error, p.block, coalesce(s.output, p.body) AS output
FROM orchestrator_steplog s LEFT JOIN orchestrator_payload p ON p.id = s.output_ref
WHERE s.run_id = %s AND (s.node, s.scope_id) IN (SELECT * FROM unnest(%s::int[], %s::bigint[])) AND s.final
    AND s.generation <= %s
ORDER BY s.node, s.generation DESC, s.attempt DESC
"""
# The input that a run had when a step ended, where an operator has changed it since.
FORMER_INPUT = """
SELECT p.body FROM orchestrator_runrecord r JOIN orchestrator_payload p ON p.id = (r.detail->>'former_input')::uuid
WHERE r.run_id = %(run)s AND r.kind = 'rerun' AND r.at > (SELECT max(s.finished_at) FROM orchestrator_steplog s
    WHERE s.run_id = %(run)s AND s.node = %(node)s AND s.scope_id = %(scope)s AND s.generation = %(generation)s)
ORDER BY r.id LIMIT 1
"""

# What the items of a for-each gave the last time, in order, as text: no more of it than fits, and the row that no
# longer does.
ITEM_OUTPUTS = """
SELECT scope_id, node, block, CASE WHEN so_far <= %(most)s THEN output END AS output, so_far FROM (
    SELECT scope_id, node, block, output, large + coalesce(octet_length(output), 0) + 1 AS bytes,
        sum(large + coalesce(octet_length(output), 0) + 1) OVER (ORDER BY scope_id, node) AS so_far
    FROM (
        SELECT DISTINCT ON (s.scope_id, s.node) s.scope_id, s.node, p.block, coalesce(s.output, p.body)::text AS output,
            CASE WHEN p.block IS NULL THEN 0 ELSE %(most)s::int END AS large, s.outcome
        FROM orchestrator_steplog s LEFT JOIN orchestrator_payload p ON p.id = s.output_ref
        WHERE s.run_id = %(run)s AND s.node = ANY(%(nodes)s::int[]) AND s.scope_id BETWEEN %(first)s AND %(last)s
            AND s.final
        ORDER BY s.scope_id, s.node, s.generation DESC, s.attempt DESC
    ) given WHERE outcome = 'S'
) summed WHERE so_far - bytes <= %(most)s ORDER BY scope_id, node
"""
# Where they do not fit: their size, and the snapshot that tells the rows that are meant from later ones.
ITEM_BYTES = """
SELECT sum(bytes)::bigint AS bytes, pg_current_snapshot()::text AS seen FROM (
    SELECT DISTINCT ON (s.scope_id, s.node) CASE WHEN p.block IS NOT NULL THEN (p.body->>'bytes')::bigint
        ELSE coalesce(octet_length(coalesce(s.output, p.body)::text), 0) + 1 END AS bytes, s.outcome
    FROM orchestrator_steplog s LEFT JOIN orchestrator_payload p ON p.id = s.output_ref
    WHERE s.run_id = %(run)s AND s.node = ANY(%(nodes)s::int[]) AND s.scope_id BETWEEN %(first)s AND %(last)s
        AND s.final
    ORDER BY s.scope_id, s.node, s.generation DESC, s.attempt DESC
) given WHERE outcome = 'S'
"""
# Some of them, as that snapshot saw them: whole items, until those before come to `most` bytes. `there` counts the rows
# of all that were asked for.
ITEM_STRETCH = """
SELECT scope_id, node, block, output::text AS output, there FROM (
    SELECT scope_id, node, block, output, count(*) OVER () AS there, sum(size) OVER (
        ORDER BY scope_id RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE GROUP) AS before
    FROM (
        SELECT DISTINCT ON (s.scope_id, s.node) s.scope_id, s.node, p.block, coalesce(s.output, p.body) AS output,
            octet_length(coalesce(s.output, p.body)::text) AS size, s.outcome
        FROM orchestrator_steplog s LEFT JOIN orchestrator_payload p ON p.id = s.output_ref
        WHERE s.run_id = %(run)s AND s.node = ANY(%(nodes)s::int[]) AND s.scope_id BETWEEN %(first)s AND %(last)s
            AND s.final AND pg_visible_in_snapshot(s.xid::text::xid8, %(seen)s::pg_snapshot)
        ORDER BY s.scope_id, s.node, s.generation DESC, s.attempt DESC
    ) given WHERE outcome = 'S'
) measured WHERE coalesce(before, 0) < %(most)s ORDER BY scope_id, node
"""

# The first failure that ended a body, or an item of a for-each: of the lowest that failed. In an item whose last gate
# says otherwise (one done in a row has none) a join has taken what failed.
BODY_FAILURE = "SELECT branchline_first_failure(%s, %s) AS error"
ITEM_FAILURE = """
SELECT branchline_first_failure(%(run)s, i.scope_id, %(nodes)s)
    || jsonb_build_object('item', i.scope_id - %(first)s) AS error FROM (
    SELECT s.scope_id FROM orchestrator_steplog s LEFT JOIN orchestrator_gate g
        ON g.run_id = s.run_id AND g.gate = %(end)s AND g.scope_id = s.scope_id
    WHERE s.run_id = %(run)s AND s.node = ANY(%(nodes)s::int[]) AND s.scope_id BETWEEN %(first)s AND %(last)s
        AND s.final AND s.outcome IN ('F', 'T') AND s.ports IS NULL
        -- What was done again since counts no more.
        AND NOT EXISTS (SELECT FROM orchestrator_steplog l WHERE l.run_id = s.run_id AND l.node = s.node
            AND l.scope_id = s.scope_id AND l.final AND (l.generation, l.attempt) > (s.generation, s.attempt))
    ORDER BY coalesce(g.verdict <> 'X', false), s.scope_id LIMIT 1
) i
"""

# One entered container.
BLOCK = "SELECT id, parent, node, total, items, items_ref FROM orchestrator_scope WHERE id = %s"

# A lane of a for-each stores its items and learns what is next.
FLUSH = "SELECT * FROM branchline_flush(%s::bigint, %s::jsonb)"

# How a child run ended.
CHILD_END = """
SELECT r.state, p.block, coalesce(r.output, p.body) AS output, r.error FROM orchestrator_run r
LEFT JOIN orchestrator_payload p ON p.id = r.output_ref WHERE r.id = %s
"""

# Which newer run replaced one under its workflow's limit, if any did.
REPLACED_BY = """
SELECT c.detail->>'by_run' AS run FROM orchestrator_runrecord c
WHERE c.run_id = %s AND c.kind = 'cancel_requested' AND c.detail->>'reason' = 'replaced'
    AND NOT EXISTS (SELECT FROM orchestrator_runrecord o WHERE o.run_id = c.run_id AND o.kind = c.kind AND o.id > c.id)
"""

# What a sub-workflow step starts: the named version, else the live one, of a workflow in the same workspace.
CHILD_VERSION = """
SELECT w.id AS workflow_id, w.slug, v.id AS version_id, v.document->'input' AS input_schema
FROM orchestrator_workflow w LEFT JOIN orchestrator_version v
    ON v.workflow_id = w.id AND CASE WHEN %s::int IS NULL THEN v.id = w.live_version_id ELSE v.number = %s::int END
WHERE w.workspace_id = %s AND w.slug = %s AND w.archived_at IS NULL
"""
CHILDREN = "SELECT count(*) AS n FROM orchestrator_run WHERE root_run_id = %s"

# The signals that a join has counted for its verdict.
ARRIVALS = """
SELECT edge, outcome, entry FROM orchestrator_gate_arrival
WHERE run_id = %s AND gate = %s AND scope_id = %s AND NOT late
"""

# Why branches failed: the rows that sent their signals, wherever in the branch they stand.
FAILURES = """
SELECT entry, error FROM orchestrator_steplog WHERE run_id = %s AND entry = ANY(%s::bigint[]) AND error IS NOT NULL
"""

# Ledgers that are due: the last forward token is gone.
PENDING_UNDO = "SELECT * FROM branchline_pending_undo(%s::uuid, %s)"
RUN_VERSION = "SELECT version_id FROM orchestrator_run WHERE id = %s"

# How each step run ended, with what an undo must know: whether a worker had it in hand, whether an operator skipped it
# (by a negative session), whether an attempt was lost, whether it started a run of a sub-workflow.
CHILD_PLACES = """
SELECT c.parent_node, c.parent_scope, c.parent_generation FROM orchestrator_run c WHERE c.parent_run_id = %(run)s
"""
HAPPENED = f"""
SELECT *, (node, scope_id, generation) IN ({CHILD_PLACES}) AS started_run FROM (
    SELECT DISTINCT ON (s.node, s.scope_id, s.generation) s.entry, s.node, s.scope_id, s.generation, s.cause, s.outcome,
        s.session_id IS NOT NULL AS begun, coalesce(s.session_id < 0, false) AS skipped,
        bool_or(s.outcome IN ('U', 'T') OR s.outcome = 'K' AND s.session_id IS NOT NULL) OVER (
            PARTITION BY s.node, s.scope_id, s.generation) AS doubtful,
        (SELECT CASE WHEN u.state = 'waiting' OR u.error->>'code' = branchline_undo_cut()->>'code' AND u.state = 'stuck'
            THEN 'open' WHEN u.state IN ('stuck', 'unknown') THEN 'stuck' ELSE 'settled' END
            FROM orchestrator_undo_item u WHERE u.run_id = s.run_id AND u.entry = s.entry) AS listed
    FROM orchestrator_steplog s
    WHERE s.run_id = %(run)s AND s.node >= 0 AND (%(boundary)s = 0 OR s.scope_id <> 0
        AND branchline_block(s.scope_id) IN (SELECT branchline_blocks_inside(%(run)s, %(boundary)s)))
    ORDER BY s.node, s.scope_id, s.generation, s.attempt DESC
) last ORDER BY entry
"""
# Steps whose sub-workflow is under way, as if they were cut off now: after everything that has happened.
UNDER_WAY = f"""
SELECT (SELECT coalesce(max(s.entry), 0) FROM orchestrator_steplog s WHERE s.run_id = k.run_id)
        + row_number() OVER (ORDER BY k.id) AS entry, k.node, k.scope_id, k.generation, k.cause, 'K' AS outcome,
    false AS begun, false AS skipped, false AS doubtful, NULL AS listed, true AS started_run
FROM orchestrator_token k
WHERE k.run_id = %(run)s AND (k.node, k.scope_id, k.generation) IN ({CHILD_PLACES}) ORDER BY k.id
"""
ENTERED = "SELECT id AS block, node, parent, generation FROM orchestrator_scope WHERE run_id = %s"
BEGIN_UNDO = "SELECT branchline_begin_undo(%s, %s::jsonb, %s, %s, %s::jsonb) AS state"
SETTLE_UNDO = "SELECT branchline_settle_undo(%s, %s, %s, %s, %s) AS queues"
WRITE_LEDGER = "SELECT branchline_write_ledger(%s, %s, %s::jsonb) AS queues"

PAYLOAD = "SELECT body, block FROM orchestrator_payload WHERE id = %s"

PLAN = """
SELECT v.plan, v.number, w.slug, w.name, s.slug AS workspace FROM orchestrator_version v
JOIN orchestrator_workflow w ON w.id = v.workflow_id JOIN orchestrator_workspace s ON s.id = w.workspace_id
WHERE v.id = %s
"""

# Whether a step that may be cancelled by others has been, in this scope. What is done again does not mind older marks.
IS_MARKED = """
SELECT EXISTS (SELECT FROM orchestrator_gate
    WHERE run_id = %s AND scope_id = %s AND generation >= %s AND gate = ANY(%s::int[])) AS marked
"""

# End what a decided join no longer wants.
CANCEL_BRANCHES = "SELECT * FROM branchline_cancel_branches(%s)"

# Runs in which that is still to be done.
UNCANCELLED = """
SELECT DISTINCT g.run_id, r.workspace_id FROM orchestrator_gate g JOIN orchestrator_run r ON r.id = g.run_id
WHERE g.cancel_pending LIMIT %s
"""

# Joins whose deadline has passed.
FIRE_GATES = """
SELECT a.kind, a.queue, a.run_id, r.workspace_id FROM branchline_fire_gates(%s) a
JOIN orchestrator_run r ON r.id = a.run_id
"""

# A worker process says that it lives. A missing row counts as dead, so the process itself writes it again.
BOOT = """
INSERT INTO orchestrator_worker_session (id, node_id, host, pid, queues, booted_at, beat_at)
VALUES (%s, %s, %s, %s, %s, clock_timestamp(), clock_timestamp()) ON CONFLICT (id) DO NOTHING
"""

# What a worker process sees to each second, in one call: its session is known (nothing is written where it is), and
# these tokens are leased to it. A stray that the process does not know was leased by an answer that was lost, or its
# attempt's end could not be stored. Cancelled is also what has the rest of its grace in a container that is over; what
# runs in a paused run may end. The run is read by a subquery: a look by its key, however many tokens there are.
LOOK_AFTER = f"""
WITH known AS ({BOOT})
SELECT k.id, k.epoch, k.started_at < clock_timestamp() - interval '5 seconds' AS stray,
    k.scope_id <> 0 AND k.node >= 0 AND branchline_scope_closed(k.scope_id) OR (
        SELECT r.control = 'C' OR r.state NOT IN ('running', 'paused') FROM orchestrator_run r WHERE r.id = k.run_id
    ) AS cancelled
FROM orchestrator_token k WHERE k.session_id = %s::bigint AND k.state = 'L'
"""

# A process id used again: whoever had it on this node is gone, and must not be beaten for.
REPLACE = "DELETE FROM orchestrator_worker_session WHERE node_id = %s AND pid = %s AND id <> %s"

# Its node beats for it, so that a process busy in C code does not look dead.
BEAT = """
UPDATE orchestrator_worker_session SET beat_at = clock_timestamp() WHERE node_id = %s AND pid = ANY(%s::int[])
"""

# Processes of this node that have ended: their tokens are free at the next sweep.
END_DEAD = "DELETE FROM orchestrator_worker_session WHERE node_id = %s AND NOT pid = ANY(%s::int[])"
END_SESSION = "DELETE FROM orchestrator_worker_session WHERE id = %s"
FORGET_SESSIONS = "DELETE FROM orchestrator_worker_session WHERE beat_at < clock_timestamp() - interval '1 hour'"

# Alone with a run: everything that moves its tokens waits until the commit.
LOCK_RUN = "SELECT branchline_lock_run(%s)"

# A hard cancellation: steps at work lose their tokens now. Whoever moves one at this moment hears of it by himself.
STOP_NOW = "SELECT branchline_stop_now(%s)"

DRAIN = "SELECT branchline_drain(%s)"
FIRE_TIMERS = "SELECT * FROM branchline_fire_timers(%s)"
TAKE_OVER = "SELECT * FROM branchline_take_over(%s, %s)"
STOP_CANCELLED = "SELECT branchline_stop_cancelled(%s, %s) AS closed"
# What parked in a container while it closed, or stayed at work in it too long. Before the orphans: a sub-workflow
# may have lost its parent by it.
DRAIN_SCOPES = """
SELECT DISTINCT NULL::text AS queue, r.id AS run_id, r.workspace_id FROM branchline_drain_scopes(%s, %s) d
JOIN orchestrator_run r ON r.id = d
"""
# Sub-workflows whose parent went on without them: it was cancelled, or its container ended early.
CANCEL_ORPHANS = "SELECT branchline_cancel_orphans(%s) AS n"
FAIL_OVERDUE = "SELECT branchline_fail_overdue(%s, %s::jsonb)"
OVERDUE_RUNS = "SELECT branchline_overdue_runs(%s) AS id"
# Limits of open runs. One call settles one workflow and key; see sql/limits.sql.
UNSETTLED_LIMITS = "SELECT * FROM branchline_unsettled_limits(%s)"
KEPT_IN_LINE = "SELECT branchline_kept_in_line(%s)"
SETTLE_LIMIT = "SELECT * FROM branchline_settle_limit(%s::bigint, %s)"
RELEASED = "SELECT branchline_released(%s::bigint, %s)"
RESUMED = "SELECT branchline_resumed(%s)"
# Limits of queues; see sql/queue_limits.sql.
GIVE_BACK = "SELECT branchline_give_back(%s::bigint) AS opened"
OPEN_DUE_LINES = "SELECT branchline_open_due_lines() AS queue"
SETTLE_LINES = "SELECT DISTINCT branchline_settle_lines(%s::bigint) AS queue"
DROP_LINE = "SELECT branchline_drop_line(%s)"
NEGLECTED_QUEUES = "SELECT * FROM branchline_neglected_queues(%s)"
SET_CONTROL = "SELECT branchline_set_control(%s, %s, %s::jsonb, %s, %s, %s::jsonb) AS state"
START_FUNCTION = "branchline_start_run"
START_RUN = f"SELECT * FROM {START_FUNCTION}(%s::jsonb, %s::jsonb)"

# Ended runs that their workspace does not keep any longer; see sql/retention.sql.
FORGET_RUNS = "SELECT branchline_forget_runs(%s) AS forgotten"
FORGET_EVENTS = "SELECT branchline_forget_events(%s) AS forgotten"

# One keeper of all hosts acts at a time; the lock dies with the connection. That of a host that stands still or was cut
# off would stay open: PostgreSQL ends one that has said nothing for so long (docs/decisions/0064).
KEEPER_SILENCE = "SELECT set_config('idle_session_timeout', %s, false)"
KEEPER_LOCK = "SELECT pg_try_advisory_lock(7351, 1) AS mine"

# Open tasks whose assignees were not told yet.
UNTOLD_TASKS = """
SELECT EXISTS (SELECT 1 FROM orchestrator_human_task WHERE state IN ('open', 'claimed') AND notified_at IS NULL
AND opened_at < clock_timestamp() - interval '2 seconds') AS some
"""

# How soon the next timer is due, in seconds.
NEXT_TIMER = """
SELECT extract(epoch FROM least((SELECT min(wake_at) FROM orchestrator_token WHERE state = 'W'),
    (SELECT min(deadline_at) FROM orchestrator_gate),
    (SELECT min(next_at) FROM orchestrator_queue_limit WHERE line = 'T')) - clock_timestamp())::float8 AS seconds
"""

DATABASE_TIME = "SELECT clock_timestamp() AS now"

# Runs that ended since a moment, oldest first, for counts and spans. Served by run_by_finish, once per workspace.
ENDED_RUNS = """
SELECT r.id, r.version_id, r.state, r.started_at, r.finished_at, r.trace_context, r.trigger, r.correlation_id,
    r.error->>'code' AS code, w.slug AS workflow, s.slug AS workspace
FROM orchestrator_workspace s CROSS JOIN LATERAL (
    SELECT q.* FROM orchestrator_run q WHERE q.workspace_id = s.id AND q.finished_at >= %s ORDER BY q.finished_at DESC
) r JOIN orchestrator_workflow w ON w.id = r.workflow_id ORDER BY r.finished_at
"""

# Served by undo_item_stuck.
CUT_UNDOS = """
SELECT u.run_id, u.entry, u.at FROM orchestrator_undo_item u
WHERE u.state IN ('stuck', 'unknown') AND u.at >= %s AND u.error->>'code' = branchline_undo_cut()->>'code'
"""

# Ended attempts of a run that no worker told of: its worker died, it was dropped with its run or branch, or people
# skipped it (sessions below 0), decided it, or an event ended it (0). A lane of a for-each stands in its block: its
# attempts belong to the for-each's step. `begun` and `attempts` are the step's. Served by the log's key.
UNTOLD_ATTEMPTS = """
SELECT l.node, l.scope_id, l.generation, l.attempt, l.outcome, l.final, l.started_at, l.finished_at,
    coalesce(b.parent, l.scope_id) AS step_scope,
    w.begun, w.attempts
FROM orchestrator_steplog l
LEFT JOIN orchestrator_scope b ON b.id = l.scope_id AND b.node = l.node
LEFT JOIN LATERAL (
    SELECT min(p.started_at) AS begun, max(p.attempt) AS attempts FROM orchestrator_steplog p
    WHERE p.run_id = l.run_id AND p.node = l.node AND p.scope_id = l.scope_id AND p.generation = l.generation
        AND p.attempt <= l.attempt AND p.started_at IS NOT NULL
) w ON l.final
WHERE l.run_id = %(run)s AND (l.outcome IN ('U', 'K') OR l.outcome = 'S' AND l.session_id <= 0)
    AND coalesce(l.started_at, w.begun) IS NOT NULL
"""

# A dead letter is looked at again.
REPLAY = "SELECT queues FROM branchline_replay(%s::bigint)"
