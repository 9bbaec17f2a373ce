-- A token that will not go on (its run, or its branch, is cancelled) leaves a row in the step log, so that nothing
-- vanishes unseen: left by no port, for nothing behind it follows. Returns the row's entry.
CREATE FUNCTION branchline_drop_token(t orchestrator_token) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE v_entry bigint := nextval('orchestrator_step_log_entry');
BEGIN
    -- A lane of a for-each is no step: its items leave rows of their own.
    IF t.phase = 2 THEN
        DELETE FROM orchestrator_token k WHERE k.id = t.id;
        RETURN NULL;
    END IF;
    IF t.inner_scope IS NOT NULL THEN PERFORM branchline_close_scopes(t.run_id, branchline_block(t.inner_scope)); END IF;
    INSERT INTO orchestrator_steplog (entry, run_id, node, scope_id, generation, attempt, outcome, final, ports, started_at,
        finished_at, session_id, cause, xid)
    VALUES (v_entry, t.run_id, t.node, t.scope_id, t.generation,
        t.attempt + (t.state <> 'L')::int, 'K', true, '{}', t.started_at, clock_timestamp(), t.session_id, t.cause,
        branchline_xid())
    ON CONFLICT DO NOTHING;
    DELETE FROM orchestrator_token k WHERE k.id = t.id;
    RETURN v_entry;
END $$;
