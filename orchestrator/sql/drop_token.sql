-- A token that will not go on (its run, or its branch, is cancelled) leaves a row in the step log, so that nothing
-- vanishes unseen: left by no port, for nothing behind it follows. Returns the row's entry.
-- p_gently: what is at work in its body is not taken away with it, but ends by itself (see branchline_close_scopes): its
-- run is cancelled or undone, and whoever stops that sees to what is still at work after the grace.
CREATE FUNCTION branchline_drop_token(t orchestrator_token, p_gently boolean DEFAULT false) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_entry bigint := nextval('orchestrator_step_log_entry');
    v_attempt int := t.attempt + (t.state <> 'L')::int;
BEGIN
    -- A lane of a for-each is no step: its items leave rows of their own.
    IF t.phase = 2 THEN
        DELETE FROM orchestrator_token k WHERE k.id = t.id;
        -- Else it went with its container, by this very call.
        IF FOUND THEN PERFORM branchline_log_in_hand(t); END IF;
        RETURN NULL;
    END IF;
    IF t.inner_scope IS NOT NULL THEN PERFORM branchline_close_scopes(t.run_id, branchline_block(t.inner_scope), p_gently); END IF;
    -- Its time is up, and nobody has written that down yet: the attempt has acted.
    IF t.verdict = 'T' AND t.state <> 'L' THEN
        INSERT INTO orchestrator_steplog (entry, run_id, node, scope_id, generation, attempt, outcome, final, started_at,
            finished_at, cause, xid)
        VALUES (v_entry, t.run_id, t.node, t.scope_id, t.generation, t.attempt, 'T', false,
            coalesce(t.started_at, t.first_started_at), clock_timestamp(), t.cause, branchline_xid())
        ON CONFLICT DO NOTHING;
        v_entry := nextval('orchestrator_step_log_entry');
    END IF;
    INSERT INTO orchestrator_steplog (entry, run_id, node, scope_id, generation, attempt, outcome, final, ports, started_at,
        finished_at, session_id, cause, xid)
    VALUES (v_entry, t.run_id, t.node, t.scope_id, t.generation, v_attempt, 'K', true, '{}',
        branchline_attempt_began(t, v_attempt), clock_timestamp(), t.session_id, t.cause, branchline_xid())
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

-- When the attempt of that number was first in somebody's hands, where its step waits or has waited (phase 1): a wait
-- belongs to its attempt, though the token is claimed again after it. The first attempt began with the step.
CREATE FUNCTION branchline_taken_at(t orchestrator_token, p_attempt int) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_attempt = 1 THEN t.first_started_at
        WHEN t.waiting->'taken'->>0 = p_attempt::text THEN (t.waiting->'taken'->>1)::timestamptz ELSE t.started_at END
$$;

-- What a later attempt that begins to wait keeps of that in `waiting`, for the next claim writes over it.
CREATE FUNCTION branchline_taken(t orchestrator_token) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN t.attempt > 1 THEN jsonb_build_object('taken', jsonb_build_array(t.attempt,
        CASE t.phase WHEN 1 THEN branchline_taken_at(t, t.attempt) ELSE t.started_at END)) ELSE '{}' END
$$;

-- When the attempt of that number began. NULL where it never did: the token was not claimed, waits for a lock, was handed
-- back, or what it was claimed for last is in the log, and the next attempt was to come.
CREATE FUNCTION branchline_attempt_began(t orchestrator_token, p_attempt int) RETURNS timestamptz LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN t.state <> 'L' AND t.phase = 0 OR EXISTS (
        SELECT FROM orchestrator_steplog s WHERE s.run_id = t.run_id AND s.node = t.node AND s.scope_id = t.scope_id
            AND s.generation = t.generation AND s.attempt = p_attempt - 1 AND s.finished_at >= t.started_at) THEN NULL
        ELSE branchline_taken_at(t, p_attempt) END
$$;

-- Why an undo that had begun, or whose turn had come, goes no further by itself.
CREATE FUNCTION branchline_undo_cut() RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('code', 'undo_cut_short', 'message', 'What held this step ended before its undo had. '
        'Undo the run to go on, or settle this step by hand.')
$$;
