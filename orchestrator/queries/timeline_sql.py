"""The statements behind `spans_of`."""

#: Parameters: run, most, and those of `within.places_of`. Read by the primary key, and nothing inside items.
ATTEMPTS = """
WITH RECURSIVE {within}chosen AS (
    SELECT l.node, l.scope_id, l.generation, l.attempt, l.outcome, l.started_at, l.finished_at, l.entry
    FROM {log}
    WHERE l.run_id = %(run)s AND (%(nodes)s::int[] IS NULL OR l.node = ANY(%(nodes)s::int[]))
        AND l.started_at <= l.finished_at AND l.outcome <> 'R'
)
SELECT node, scope_id, generation, attempt, outcome, started_at, finished_at FROM chosen
ORDER BY started_at, entry LIMIT %(most)s
"""
#: Parameters: the same. A lane of a for-each (phase 2) is a hand at work, no attempt of the for-each. A step that waits
#: (phase 1) is in the attempt that parked it.
AT_WORK = """
WITH RECURSIVE {within}chosen AS (
    SELECT t.node, t.scope_id, t.generation, t.attempt + (t.state = 'W')::int AS attempt, t.state,
        CASE WHEN t.state = 'W' AND t.attempt = 0 THEN t.first_started_at
            WHEN t.state = 'W' AND t.waiting->'taken'->>0 = (t.attempt + 1)::text
                THEN (t.waiting->'taken'->>1)::timestamptz
            ELSE t.started_at END AS began FROM {tokens}
    WHERE t.run_id = %(run)s AND (%(nodes)s::int[] IS NULL OR t.node = ANY(%(nodes)s::int[]))
        AND t.started_at IS NOT NULL AND (t.state = 'L' AND t.phase <> 2
            OR t.state = 'W' AND t.phase = 1 AND t.waiting->>'kind' <> 'retry')
)
SELECT node, scope_id, generation, attempt, state, began, NULL FROM chosen ORDER BY began LIMIT %(most)s
"""
#: Parameters: the same, and shown (the for-eaches that are told), inside (all steps inside items). A for-each begins
#: with the first of its items: the log knows of its own step only when it went on after the last one.
LISTS = """
WITH RECURSIVE {within}stands AS (
    SELECT t.node, t.scope_id, t.generation, NULL AS outcome, t.first_started_at AS began, NULL::timestamptz AS ended
    FROM {tokens}
    WHERE t.run_id = %(run)s AND t.node = ANY(%(shown)s::int[]) AND t.phase <> 2 AND t.state <> 'F'
    UNION ALL
    SELECT l.node, l.scope_id, l.generation, l.outcome, l.started_at, l.finished_at
    FROM {log}
    WHERE l.run_id = %(run)s AND l.node = ANY(%(shown)s::int[]) AND l.final AND l.outcome <> 'R'
)
SELECT s.node, s.scope_id, s.generation, s.outcome, least(s.began, f.began), s.ended, b.total, b.ok, b.fail
FROM stands s JOIN LATERAL (
    SELECT o.id, o.total, o.ok, o.fail FROM orchestrator_scope o
    WHERE o.run_id = %(run)s AND o.parent = s.scope_id AND o.node = s.node AND o.generation = s.generation
    ORDER BY o.id DESC LIMIT 1
) b ON true LEFT JOIN LATERAL (
    SELECT min(i.started_at) AS began FROM orchestrator_steplog i
    WHERE i.run_id = %(run)s AND i.node = ANY(%(inside)s::int[]) AND i.scope_id = b.id + 1
) f ON true
WHERE least(s.began, f.began) IS NOT NULL
ORDER BY 5 LIMIT %(most)s
"""
