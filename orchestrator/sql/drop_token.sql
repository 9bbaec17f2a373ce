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
    -- An undo that is cut short is nobody's any more: its line says so, until a person or the undo of the run goes on.
    IF t.node < 0 THEN
        UPDATE orchestrator_undo_item i SET state = 'stuck', error = branchline_undo_cut(), at = clock_timestamp(), xid = branchline_xid()
            WHERE i.run_id = t.run_id AND i.node = -1 - t.node AND i.scope_id = t.scope_id AND i.generation = t.generation
                AND i.state = 'running';
    END IF;
    RETURN v_entry;
END $$;

-- Why an undo that had begun, or whose turn had come, goes no further by itself.
CREATE FUNCTION branchline_undo_cut() RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('code', 'undo_cut_short', 'message', 'What held this step ended before its undo had. '
        'Undo the run to go on, or settle this step by hand.')
$$;
