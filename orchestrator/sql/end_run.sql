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
-- The failure a run, or a body, ends with: its first step that failed for good and whose failure nobody took. What a
-- later attempt or generation has replaced counts no more.
CREATE FUNCTION branchline_first_failure(p_run uuid, p_scope bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT s.error || jsonb_build_object('node', s.node) FROM (
        SELECT DISTINCT ON (l.node) l.* FROM orchestrator_steplog l
        WHERE l.run_id = p_run AND l.scope_id = p_scope AND l.final
        ORDER BY l.node, l.generation DESC, l.attempt DESC
    ) s WHERE s.outcome IN ('F', 'T') AND s.ports IS NULL
    ORDER BY (s.error->>'code' = 'branch_failed'), s.finished_at, s.entry LIMIT 1
$$;
-- The number of a step log row without an attempt (a join that could not start, the mark that a step is repeated):
-- below every attempt's, and rising, so that the newest row of a step comes last by number.
CREATE FUNCTION branchline_unstarted(p_run uuid, p_node int, p_scope bigint, p_generation int) RETURNS int
LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(s.attempt), -1000000) + 1 FROM orchestrator_steplog s
    WHERE s.run_id = p_run AND s.node = p_node AND s.scope_id = p_scope AND s.generation = p_generation AND s.attempt <= 0
$$;
