"""The one statement behind `tallies_of`: it reads so many rows for each step, however many items there are."""

#: Parameters: run; nodes (the steps inside a for-each) and, for each of them, roots (the for-each around it that stands
#: outside of everything, else -1); lists (all for-eaches); window (how many ends and how many failures are read of each
#: node); standing (how many tokens, and lines of the undo ledger, in all).
#: Rows: source, node, state, count, ports, cut (there are more than were read). Sources: tokens (T), lanes at work (N,
#: by the node of the for-each), failures (F), other ends (L), undos (U).
TALLIES = """
WITH asked AS (
    -- What a for-each did before it ran again has lower numbers than the block of its newest run.
    SELECT n.node, coalesce((SELECT max(s.id) FROM orchestrator_scope s
        WHERE s.run_id = %(run)s AND s.parent = 0 AND s.node = n.root), 0) AS block
    FROM unnest(%(nodes)s::int[], %(roots)s::int[]) n (node, root)
), standing AS MATERIALIZED (
    SELECT t.node, t.scope_id, t.state, coalesce(t.waiting->>'kind', '') = 'retry' AS again
    FROM orchestrator_token t JOIN asked a ON a.node = t.node
    WHERE t.run_id = %(run)s AND t.scope_id > a.block AND t.scope_id & 131071 <> 0 AND t.state <> 'F'
    LIMIT %(standing)s
), undoing AS MATERIALIZED (
    -- Those that need a person come first: they have an index of their own.
    (SELECT u.node, u.scope_id, u.generation, u.state FROM orchestrator_undo_item u
    WHERE u.run_id = %(run)s AND u.state NOT IN ('by_hand', 'irreversible', 'not_needed', 'skipped', 'undone')
        AND u.state <> 'waiting' AND u.node = ANY(%(nodes)s::int[]) LIMIT %(standing)s)
    UNION ALL
    SELECT u.node, u.scope_id, u.generation, u.state FROM (
        SELECT i.* FROM orchestrator_undo_item i WHERE i.run_id = %(run)s LIMIT %(standing)s) u
    WHERE u.state IN ('undone', 'by_hand') AND u.node = ANY(%(nodes)s::int[])
), failed AS MATERIALIZED (
    -- Found by step_failed: a failure is never overlooked among ends that are not read.
    SELECT a.node, l.scope_id, l.generation, l.attempt, l.outcome, l.ports FROM asked a CROSS JOIN LATERAL (
        SELECT f.scope_id, f.generation, f.attempt, f.outcome, f.ports FROM orchestrator_steplog f
        WHERE f.run_id = %(run)s AND f.node = a.node AND f.scope_id > a.block
            AND f.final AND f.outcome IN ('F', 'T', 'U')
        ORDER BY f.scope_id DESC LIMIT %(window)s
    ) l
), ended AS MATERIALIZED (
    -- The order is the primary key's, read backwards: the newest items come first, and nothing is sorted.
    SELECT a.node, l.* FROM asked a CROSS JOIN LATERAL (
        SELECT DISTINCT ON (e.scope_id) e.scope_id, e.generation, e.outcome, e.ports FROM orchestrator_steplog e
        WHERE e.run_id = %(run)s AND e.node = a.node AND e.scope_id > a.block AND e.final
        ORDER BY e.scope_id DESC, e.generation DESC, e.attempt DESC LIMIT %(window)s
    ) l
), settled AS (
    SELECT 'F' AS source, f.node, f.scope_id, f.generation, f.outcome, f.ports FROM failed f
    WHERE NOT EXISTS (
        SELECT FROM orchestrator_steplog n
        WHERE n.run_id = %(run)s AND n.node = f.node AND n.scope_id = f.scope_id
            AND (n.generation, n.attempt) > (f.generation, f.attempt))
    UNION ALL
    SELECT 'L', e.node, e.scope_id, e.generation, e.outcome, e.ports FROM ended e
    WHERE e.outcome NOT IN ('F', 'T', 'U')
)
SELECT 'T' AS source, t.node, CASE WHEN t.state = 'W' AND t.again THEN 'again' ELSE t.state END AS state,
    count(*) AS count, NULL::text[] AS ports, (SELECT count(*) FROM standing) = %(standing)s AS cut
FROM standing t GROUP BY 1, 2, 3
UNION ALL
SELECT 'N', t.node, t.state, count(*), NULL, false FROM orchestrator_token t
WHERE t.run_id = %(run)s AND t.node = ANY(%(lists)s::int[]) AND t.state = 'L' AND t.phase = 2
    AND (t.signal->>'lo')::int < (t.signal->>'hi')::int
GROUP BY 1, 2, 3
UNION ALL
SELECT 'U', u.node, u.state, count(*), NULL, false FROM undoing u GROUP BY 1, 2, 3
UNION ALL
SELECT s.source, s.node, s.outcome, count(*), s.ports,
    (SELECT count(*) FROM ended e WHERE e.node = s.node) = %(window)s
        OR (SELECT count(*) FROM failed f WHERE f.node = s.node) = %(window)s
FROM settled s
WHERE NOT EXISTS (SELECT FROM standing t WHERE t.node = s.node AND t.scope_id = s.scope_id)
    AND NOT EXISTS (
        SELECT FROM undoing u WHERE u.node = s.node AND u.scope_id = s.scope_id AND u.generation = s.generation)
GROUP BY 1, 2, 3, 5
"""
