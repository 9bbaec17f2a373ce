"""The one statement behind `items_of`."""

#: Parameters: run, node and parent (NULL: any) of the for-each, inside (the nodes of its body), exits (its last ones),
#: end (the last gate of its body: where it has spoken, what failed or was cancelled before says nothing of the item),
#: state (NULL: all), rank and index (after which item), most.
ITEMS = """
WITH block AS (
    SELECT s.id, s.total, s.ok, s.fail, s.state FROM orchestrator_scope s
    WHERE s.run_id = %(run)s AND s.node = %(node)s AND (%(parent)s::bigint IS NULL OR s.parent = %(parent)s)
    ORDER BY s.id DESC LIMIT 1
), last AS (
    -- Rows without an attempt: what a lane may have begun when it was taken away.
    SELECT DISTINCT ON (l.node, l.scope_id) l.node, l.scope_id, l.outcome, l.ports, l.final
    FROM block b JOIN orchestrator_steplog l ON l.run_id = %(run)s AND l.node = ANY(%(inside)s::int[])
        AND l.scope_id BETWEEN b.id + 1 AND b.id + b.total AND (l.final OR l.attempt < 1)
    ORDER BY l.node, l.scope_id, l.generation DESC, l.attempt DESC
), ended AS (
    SELECT scope_id, bool_or(outcome IN ('F', 'T') AND ports IS NULL) AS failed, bool_or(outcome = 'K') AS cut,
        bool_or(final AND outcome <> 'R' AND node = ANY(%(exits)s::int[])) AS done, bool_or(final) AS known
    FROM last GROUP BY scope_id
), live AS (
    SELECT scope_id, bool_or(leased) AS at_work FROM (
        SELECT t.scope_id, t.state = 'L' AS leased FROM block b JOIN orchestrator_token t ON t.run_id = %(run)s
            AND t.node >= 0 AND t.scope_id BETWEEN b.id + 1 AND b.id + b.total AND t.state <> 'F'
        UNION ALL
        -- A lane (models.scope) has the item `lo` in hand.
        SELECT b.id + 1 + (t.signal->>'lo')::int, true FROM block b JOIN orchestrator_token t ON t.run_id = %(run)s
            AND t.scope_id = b.id AND t.node = %(node)s AND t.state = 'L'
            AND (t.signal->>'lo')::int < (t.signal->>'hi')::int
    ) tokens GROUP BY scope_id
), gates AS (
    SELECT g.scope_id, g.verdict FROM block b JOIN orchestrator_gate g ON g.run_id = %(run)s AND g.gate = %(end)s
        AND g.scope_id BETWEEN b.id + 1 AND b.id + b.total AND g.verdict <> 'O'
), items AS (
    SELECT n AS index, b.id + 1 + n AS scope_id, CASE
        WHEN l.at_work THEN 'running'
        WHEN l.scope_id IS NOT NULL THEN 'waiting'
        WHEN g.verdict = 'X' THEN 'failed'
        WHEN g.verdict IS NOT NULL THEN 'succeeded'
        WHEN e.failed THEN 'failed'
        WHEN e.cut THEN 'cancelled'
        WHEN e.done THEN 'succeeded'
        WHEN e.scope_id IS NULL OR b.state = 'O' AND NOT e.known THEN 'not_begun'
        WHEN b.state = 'O' THEN 'waiting'
        ELSE 'cancelled' END AS state
    FROM block b CROSS JOIN generate_series(0, b.total - 1) n
        LEFT JOIN ended e ON e.scope_id = b.id + 1 + n LEFT JOIN live l ON l.scope_id = b.id + 1 + n
        LEFT JOIN gates g ON g.scope_id = b.id + 1 + n
), page AS (
    SELECT i.index, i.scope_id, i.state, (i.state <> 'failed')::int AS rank FROM items i
    WHERE (%(state)s::text IS NULL OR i.state = %(state)s)
        AND ((i.state <> 'failed')::int, i.index) > (%(rank)s::int, %(index)s::int)
    ORDER BY rank, i.index LIMIT %(most)s
)
SELECT b.total, b.ok, b.fail, p.index, p.scope_id, p.state, CASE WHEN p.state = 'failed'
    THEN branchline_first_failure(%(run)s, p.scope_id, %(inside)s) END
FROM block b LEFT JOIN page p ON true
ORDER BY p.rank, p.index
"""
