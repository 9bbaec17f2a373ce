-- Close a run that is still open. Returns NULL when it was closed before, else the queues on which something became ready:
-- the step that waited for it, and the queued run that gets its slot.
CREATE FUNCTION branchline_end_run(p_run uuid, p_state text, p_output jsonb, p_output_ref uuid, p_error jsonb)
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    v orchestrator_run;
    v_queues text[] := '{}';
BEGIN
    UPDATE orchestrator_run r SET state = p_state, finished_at = clock_timestamp(), 
        output = CASE WHEN r.state = 'undoing' THEN r.output ELSE p_output END,
        output_ref = CASE WHEN r.state = 'undoing' THEN r.output_ref ELSE p_output_ref END, error = p_error, closing = NULL, xid = branchline_xid()
    WHERE r.id = p_run AND r.state IN ('running', 'paused', 'cancelling', 'undoing') RETURNING r.* INTO v;
    IF NOT FOUND THEN RETURN NULL; END IF;
    INSERT INTO orchestrator_runrecord (run_id, at, kind, actor, detail, xid)
    VALUES (p_run, clock_timestamp(), p_state, '', coalesce(jsonb_strip_nulls(jsonb_build_object('error', p_error)), '{}'),
        branchline_xid());
    IF v.concurrency_key IS NOT NULL AND NOT v.queued THEN v_queues := branchline_unqueue(v.workflow_id, v.concurrency_key); END IF;
    IF v.parent_token IS NOT NULL THEN
        v_queues := v_queues || branchline_wake(v.parent_token, v.parent_epoch, jsonb_build_object('state', p_state, 'run', p_run));
    END IF;
    RETURN array_remove(v_queues, NULL);
END $$;
-- The failure a run, or a body, ends with: its first step that failed for good and whose failure nobody took, neither a
-- port nor a join that goes on without it. So it is looked for backwards: what failed at the last gate, then what had failed at
-- the joins that failed there. Where no gate was needed, it is the only way. What a later attempt or generation has
-- replaced counts no more. p_nodes: the steps that may have failed; by them few rows are read of a run with many items.
CREATE FUNCTION branchline_first_failure(p_run uuid, p_scope bigint, p_nodes int[] DEFAULT NULL) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE failed AS MATERIALIZED (
        SELECT l.entry, l.node, l.attempt, l.error, l.finished_at FROM orchestrator_steplog l
        WHERE l.run_id = p_run AND l.node = ANY(coalesce(p_nodes, ARRAY(SELECT DISTINCT f.node FROM orchestrator_steplog f
                WHERE f.run_id = p_run AND f.final AND f.outcome IN ('F', 'T'))))
            AND l.scope_id = p_scope AND l.final AND l.outcome IN ('F', 'T') AND l.ports IS NULL
            AND NOT EXISTS (SELECT FROM orchestrator_steplog n WHERE n.run_id = p_run AND n.node = l.node
                AND n.scope_id = p_scope AND n.final AND (n.generation, n.attempt) > (l.generation, l.attempt))
    ), led AS (
        SELECT a.entry FROM orchestrator_run r JOIN orchestrator_plan_gate p ON p.version_id = r.version_id AND p.queue = ''
                AND p.owner IS NOT DISTINCT FROM (SELECT s.node FROM orchestrator_scope s WHERE s.id = p_scope & ~131071::bigint)
            JOIN orchestrator_gate_arrival a ON a.run_id = p_run AND a.gate = p.gate AND a.scope_id = p_scope
        WHERE r.id = p_run AND a.outcome = 'f'
        UNION
        SELECT a.entry FROM led JOIN failed f ON f.entry = led.entry AND f.error->>'code' = 'branch_failed' AND f.attempt <= 0
            JOIN orchestrator_gate_arrival a ON a.run_id = p_run AND a.gate = f.node AND a.scope_id = p_scope
        WHERE a.outcome = 'f' AND NOT a.late
    )
    SELECT f.error || jsonb_build_object('node', f.node) FROM failed f
    ORDER BY f.entry NOT IN (SELECT l.entry FROM led l WHERE l.entry IS NOT NULL), (f.error->>'code' = 'branch_failed'),
        f.finished_at, f.entry LIMIT 1
$$;
-- The number of a step log row without an attempt (a join that could not start, the mark that a step is repeated):
-- below every attempt's, and rising, so that the newest row of a step comes last by number.
CREATE FUNCTION branchline_unstarted(p_run uuid, p_node int, p_scope bigint, p_generation int) RETURNS int
LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(s.attempt), -1000000) + 1 FROM orchestrator_steplog s
    WHERE s.run_id = p_run AND s.node = p_node AND s.scope_id = p_scope AND s.generation = p_generation AND s.attempt <= 0
$$;
