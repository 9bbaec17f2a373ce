-- A token that will not go on (its run is being cancelled) leaves a row in the step log, so that nothing vanishes unseen.
CREATE FUNCTION branchline_drop_token(t orchestrator_token) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO orchestrator_steplog (entry, run_id, node, scope_id, generation, attempt, outcome, final, started_at,
        finished_at, session_id, cause, xid)
    VALUES (nextval('orchestrator_step_log_entry'), t.run_id, t.node, t.scope_id, t.generation,
        t.attempt + (t.state <> 'L')::int, 'K', true, t.started_at, clock_timestamp(), t.session_id, t.cause,
        branchline_xid())
    ON CONFLICT DO NOTHING;
    DELETE FROM orchestrator_token k WHERE k.id = t.id;
END $$;
