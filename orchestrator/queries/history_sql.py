"""The one statement behind `history`."""

from orchestrator.queries.step_runs_sql import IS_FRESH

#: Parameters: run, after (0: everything), at and place (the last row read), size, and those of `within.places_of`.
#: One statement, one snapshot. `place` orders what has the same time: records of the run, then attempts, then
#: decisions, then events, each as they were written. What people did to the run as a whole is not of any one scope.
HISTORY = """
WITH RECURSIVE {within}asked AS (SELECT %(after)s::bigint AS after), rows AS (
    SELECT p.at, '0' || lpad(p.id::text, 20, '0') AS place, 'run' AS kind, p.kind AS what, p.actor, NULL::int AS node,
        0::bigint AS scope_id, NULL::int AS generation, NULL::int AS attempt, NULL::bigint AS entry,
        NULL::bigint[] AS cause, NULL::text[] AS ports, NULL::timestamptz AS started_at, NULL AS step_key, p.detail
    FROM orchestrator_runrecord p, asked a
    WHERE p.run_id = %(run)s AND p.xid >= a.after AND %(scope)s::bigint IS NULL
    UNION ALL
    SELECT l.finished_at, '1' || lpad(l.entry::text, 20, '0'), 'attempt', l.outcome, '', l.node, l.scope_id,
        l.generation, greatest(l.attempt, 0),
        l.entry, l.cause, l.ports, l.started_at, NULL, jsonb_build_object('error', l.error, 'final', l.final)
    FROM {log}, asked a WHERE l.run_id = %(run)s AND (%(nodes)s::int[] IS NULL OR l.node = ANY(%(nodes)s::int[]))
        AND l.xid >= a.after AND l.outcome <> 'R'
    UNION ALL
    SELECT d.at, '2' || lpad(d.id::text, 20, '0'), 'decision', d.outcome, d.user_name, NULL, 0, NULL, NULL, NULL, NULL,
        NULL, NULL, h.step_key, jsonb_build_object('task', h.id, 'comment', d.comment)
    FROM orchestrator_human_task h JOIN orchestrator_decision d ON d.task_id = h.id, asked a
    WHERE h.run_id = %(run)s AND (a.after = 0 OR {decision_is_fresh}) AND %(scope)s::bigint IS NULL
    UNION ALL
    SELECT d.ended_at, '3' || lpad(d.id::text, 20, '0'), 'event', d.state, '', d.node, d.scope_id, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL, jsonb_build_object('error', d.error, 'event', d.event_id, 'type', e.type, 'key', e.key)
    FROM {deliveries} JOIN orchestrator_event e ON e.id = d.event_id, asked a
    WHERE d.run_id = %(run)s AND (%(nodes)s::int[] IS NULL OR d.node = ANY(%(nodes)s::int[])) AND d.xid >= a.after
        AND d.state IN ('D', 'X')
)
SELECT s.seq, r.at, r.place, r.kind, r.what, r.actor, r.node, r.scope_id, r.attempt, r.entry, r.cause, r.ports,
    r.started_at, r.step_key, r.detail, CASE WHEN r.node = ANY(%(lists)s::int[]) THEN (
        SELECT jsonb_build_object('total', b.total, 'ok', b.ok, 'failed', b.fail) FROM orchestrator_scope b
        WHERE b.run_id = %(run)s AND b.parent = r.scope_id AND b.node = r.node AND b.generation = r.generation
        ORDER BY b.id DESC LIMIT 1) END
FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS seq) s LEFT JOIN (
    SELECT * FROM rows WHERE (at, place) > (%(at)s::timestamptz, %(place)s) ORDER BY at, place LIMIT %(size)s
) r ON true ORDER BY r.at, r.place
""".replace("{decision_is_fresh}", IS_FRESH.format(row="d"))
