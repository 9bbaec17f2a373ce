"""The one statement behind `step_runs`: one statement sees one snapshot, so that its position is exact."""

#: Parameters: run, after (0: everything), node (NULL: all), nodes (to read), tops (all nodes outside containers), lists
#: (those of `nodes` that are a for-each), inside (all nodes in items), scope (NULL: all), patience, silence (seconds).
#: First comes the run itself (source R), then in any order: tokens (T), the last row of ended step runs (L), joins
#: that some branches have reached (G), and, for changes only, how every step ended (E): the dead paths need them all.
STEP_RUNS = """
WITH asked AS (
    -- The end of a run says something of every step (what never ran is skipped): it is read whole once more.
    SELECT r.id, r.state, r.error, r.workflow_id, r.queued, r.concurrency_limit, r.concurrency_key,
        r.finished_at, r.finished_at IS NOT NULL AS closed, r.xid >= %(after)s AS fresh,
        CASE WHEN r.finished_at IS NOT NULL AND r.xid >= %(after)s THEN 0 ELSE %(after)s::bigint END AS after,
        %(node)s::int AS only_node, pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS seq
    FROM orchestrator_run r WHERE r.id = %(run)s
), served AS (
    SELECT coalesce(array_agg(DISTINCT q), '{}') AS queues
    FROM orchestrator_worker_session w, unnest(w.queues) q
    WHERE w.beat_at > clock_timestamp() - make_interval(secs => %(silence)s)
), tokens AS (
    -- The lanes of a for-each stand in its block itself (models.scope): hands at work, not step runs to show.
    SELECT t.* FROM orchestrator_token t
    -- Tokens of undo steps (node < 0) are told by the ledger.
    WHERE t.run_id = %(run)s AND t.node = ANY(%(nodes)s::int[])
        AND (%(scope)s::bigint IS NULL OR t.scope_id = %(scope)s)
        AND (t.scope_id = 0 OR t.scope_id & 131071 <> 0)
), undoing AS (
    SELECT u.node, u.scope_id, u.generation, u.state, u.error, u.xid FROM orchestrator_undo_item u
    WHERE u.run_id = %(run)s AND u.node = ANY(%(nodes)s::int[])
        AND (%(scope)s::bigint IS NULL OR u.scope_id = %(scope)s)
), ended AS (
    -- The order is the primary key's, read backwards: nothing is sorted.
    SELECT DISTINCT ON (l.node, l.scope_id) l.node, l.scope_id, l.generation, l.attempt, l.outcome, l.ports,
        l.started_at, l.finished_at, l.error, l.xid
    FROM orchestrator_steplog l
    WHERE l.run_id = %(run)s AND l.final AND l.node = ANY(%(nodes)s::int[])
        AND (%(scope)s::bigint IS NULL OR l.scope_id = %(scope)s)
        AND (l.scope_id = 0 OR l.scope_id & 131071 <> 0)
        AND (l.xid >= (SELECT after FROM asked) OR (l.node, l.scope_id) IN (
            SELECT u.node, u.scope_id FROM undoing u WHERE u.xid >= (SELECT after FROM asked)
        ) OR EXISTS (
            SELECT FROM tokens t
            WHERE t.state = 'F' AND t.xid >= (SELECT after FROM asked) AND t.node = l.node AND t.scope_id = l.scope_id))
        AND NOT EXISTS (
            SELECT FROM tokens t WHERE t.state <> 'F' AND t.node = l.node AND t.scope_id = l.scope_id)
    ORDER BY l.node DESC, l.scope_id DESC, l.generation DESC, l.attempt DESC
)
-- Times as text: Python reads 20,000 of them three times as fast as the driver does.
SELECT source, node, scope_id, attempt, state, ports, begun::text, ended::text, error, waiting, clock::text, queue,
    fresh, progress
FROM (
SELECT 'R' AS source, 0 AS node, a.seq AS scope_id, 0 AS attempt, a.state::text AS state, NULL::text[] AS ports,
    clock_timestamp() AS begun, a.finished_at AS ended, a.error,
    CASE WHEN a.state = 'paused' THEN to_jsonb((
        SELECT p.actor FROM orchestrator_runrecord p
        WHERE p.run_id = a.id AND p.kind IN ('paused', 'pause_requested') ORDER BY p.id DESC LIMIT 1))
        WHEN a.queued THEN jsonb_build_object('limit', a.concurrency_limit, 'key', a.concurrency_key,
            'open', branchline_slots_taken(a.workflow_id, a.concurrency_key)) END AS waiting,
    NULL::timestamptz AS clock, '' AS queue, a.fresh, NULL::jsonb AS progress
FROM asked a
UNION ALL
SELECT 'T', t.node, t.scope_id,
    -- A wait is part of its attempt, which counts only when a worker has it in hand.
    t.attempt + (t.phase = 1 AND t.state <> 'L' AND coalesce(t.waiting->>'kind', '') <> 'retry')::int,
    t.state, NULL, t.first_started_at, NULL, NULL,
    CASE WHEN q.id IS NOT NULL AND t.queue = ANY (s.queues) THEN jsonb_build_object('line', q.line,
            'concurrency', q.concurrency, 'starts', q.starts, 'period', q.period)
        WHEN t.state = 'R' THEN to_jsonb(t.queue <> ALL (s.queues)
            AND t.ready_at < clock_timestamp() - make_interval(secs => %(patience)s))
        WHEN h.id IS NULL THEN t.waiting || jsonb_build_object('before', t.tried_before)
        ELSE jsonb_build_object('kind', 'person', 'users', h.users, 'roles', h.roles, 'groups', h.groups,
            'claimed_by', (SELECT u.username FROM orchestrator_user u WHERE u.id = h.claimed_by_id)) END,
    coalesce(h.due_at, t.wake_at, q.next_at), t.queue, t.xid >= a.after, {progress_of_t}
FROM asked a CROSS JOIN served s CROSS JOIN tokens t
    -- Who stands in the line of a limited queue.
    LEFT JOIN orchestrator_queue_limit q ON t.state = 'R' AND q.id = t.queue_limit_id
    LEFT JOIN orchestrator_human_task h
        ON t.state = 'W' AND h.token_id = t.id AND h.epoch = t.epoch AND h.state IN ('open', 'claimed')
WHERE t.xid >= a.after
    OR (a.fresh AND t.state IN ('R', 'H'))
    OR (t.state = 'R' AND t.queue <> ALL (s.queues)
        AND t.ready_at < clock_timestamp() - make_interval(secs => %(patience)s))
    OR {task_is_fresh}
    OR t.node = ANY(%(lists)s::int[]) AND EXISTS (SELECT FROM {block_of_t} AND {block_is_fresh})
UNION ALL
SELECT 'L', l.node, l.scope_id, greatest(l.attempt, 0), l.outcome, l.ports,
    least({begun_of_l}, CASE WHEN l.attempt = 1 THEN l.started_at ELSE (
        SELECT min(p.started_at) FROM orchestrator_steplog p
        WHERE p.run_id = %(run)s AND p.node = l.node AND p.scope_id = l.scope_id AND p.generation = l.generation
    ) END),
    CASE WHEN l.outcome <> 'R' THEN l.finished_at END, l.error,
    CASE WHEN u.state IS NOT NULL THEN jsonb_build_object('state', u.state, 'error', u.error) END, NULL, '',
    l.xid >= a.after, {progress_of_l}
FROM asked a CROSS JOIN ended l
    LEFT JOIN undoing u ON u.node = l.node AND u.scope_id = l.scope_id AND u.generation = l.generation
UNION ALL
SELECT 'G', g.node, g.scope_id, 0, 'W', NULL, NULL, NULL, NULL,
    jsonb_build_object('ok', g.ok, 'skip', g.skip, 'fail', g.fail, 'size', g.size, 'need', g.need), g.deadline_at,
    '', true, NULL
FROM asked a JOIN orchestrator_gate g ON g.run_id = a.id
-- Skips alone do not make a join wait for anybody, unless its clock runs.
WHERE NOT a.closed AND g.verdict = 'O' AND (g.ok + g.fail > 0 OR g.deadline_at IS NOT NULL)
    AND g.node = ANY(%(nodes)s::int[]) AND (%(scope)s::bigint IS NULL OR g.scope_id = %(scope)s)
    AND (a.after = 0 OR {gate_is_fresh})
UNION ALL
SELECT 'E', l.node, 0, l.attempt, l.outcome, l.ports, NULL, NULL, NULL, NULL, NULL, '', l.xid >= a.after, NULL
FROM asked a JOIN LATERAL (
    SELECT DISTINCT ON (p.node) p.node, p.attempt, p.outcome, p.ports, p.xid FROM orchestrator_steplog p
    WHERE p.run_id = a.id AND p.final AND p.scope_id = 0 AND p.node = ANY(%(tops)s::int[])
    ORDER BY p.node, p.generation DESC, p.attempt DESC
) l ON l.outcome <> 'R'
WHERE NOT a.closed
    AND (a.only_node IS NOT NULL OR a.after > 0 AND EXISTS (SELECT FROM ended))
    AND NOT EXISTS (
        SELECT FROM orchestrator_token t
        WHERE t.run_id = a.id AND t.state <> 'F' AND t.node = l.node AND t.scope_id = 0)
) rows
"""

#: Gates and tasks keep no position of their own: the row's xmin is the transaction that last wrote it, modulo 2^32.
#: A row frozen long ago may count as new after 2^31 transactions; that repeats a change and loses none.
IS_FRESH = "((({row}.xmin::text::bigint - a.after %% 4294967296) + 4294967296) %% 4294967296 < 2147483648)"

#: The items of a for-each, by the index of (run, parent): a for-each that runs again has a block for each generation.
BLOCK_OF = """orchestrator_scope s WHERE s.run_id = %(run)s AND s.parent = {row}.scope_id AND s.node = {row}.node
        AND s.generation = {row}.generation"""
PROGRESS_OF = """CASE WHEN {row}.node = ANY(%(lists)s::int[]) THEN (
        SELECT jsonb_build_object('total', s.total, 'ok', s.ok, 'failed', s.fail) FROM {block}
        ORDER BY s.id DESC LIMIT 1) END"""

#: A for-each begins with the first of its items: its own row knows only when it went on after the last one.
BEGUN_OF = """CASE WHEN {row}.node = ANY(%(lists)s::int[]) THEN (
        SELECT min(i.started_at) FROM orchestrator_steplog i JOIN {block}
        WHERE i.run_id = %(run)s AND i.node = ANY(%(inside)s::int[]) AND i.scope_id = s.id + 1) END"""

for _name, _text in {
    "{task_is_fresh}": IS_FRESH.format(row="h"),
    "{gate_is_fresh}": IS_FRESH.format(row="g"),
    "{block_is_fresh}": IS_FRESH.format(row="s"),
    "{block_of_t}": BLOCK_OF.format(row="t"),
    "{progress_of_t}": PROGRESS_OF.format(row="t", block=BLOCK_OF.format(row="t")),
    "{begun_of_l}": BEGUN_OF.format(row="l", block=BLOCK_OF.format(row="l").replace("WHERE", "ON", 1)),
    "{progress_of_l}": PROGRESS_OF.format(row="l", block=BLOCK_OF.format(row="l")),
}.items():
    STEP_RUNS = STEP_RUNS.replace(_name, _text)
