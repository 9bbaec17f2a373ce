-- Close a run that is still open. Returns whether this call did it.
CREATE FUNCTION branchline_end_run(p_run uuid, p_state text, p_output jsonb, p_output_ref uuid, p_error jsonb)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE orchestrator_run r SET state = p_state, finished_at = clock_timestamp(), output = p_output,
        output_ref = p_output_ref, error = p_error, closing = NULL, xid = branchline_xid()
    WHERE r.id = p_run AND r.state IN ('running', 'paused', 'cancelling');
    IF NOT FOUND THEN RETURN false; END IF;
    INSERT INTO orchestrator_runrecord (run_id, at, kind, actor, detail, xid)
    VALUES (p_run, clock_timestamp(), p_state, '', coalesce(jsonb_strip_nulls(jsonb_build_object('error', p_error)), '{}'),
        branchline_xid());
    RETURN true;
END $$;
-- The failure a run ends with: the first step that failed for good and whose failure nobody took.
CREATE FUNCTION branchline_first_failure(p_run uuid) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT s.error || jsonb_build_object('node', s.node) FROM orchestrator_steplog s
    WHERE s.run_id = p_run AND s.final AND s.outcome IN ('F', 'T') AND s.ports IS NULL
    ORDER BY (s.error->>'code' = 'branch_failed'), s.finished_at, s.entry LIMIT 1
$$;
