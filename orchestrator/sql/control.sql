-- Control of a whole run. The exclusive run lock is taken first: when this returns, every earlier advance has committed
-- and every later one sees the change. Other locks are then only taken with SKIP LOCKED, or (human tasks) from
-- transactions that never wait for the run lock.
-- p_closing: {"state", "error"} the end a cancelled run heads for. Returns the run's state, or NULL when it is closed.
CREATE FUNCTION branchline_set_control(p_run uuid, p_control char, p_closing jsonb, p_actor text, p_kind text, p_detail jsonb)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_state text;
    v_control char;
    v_child uuid;
    t orchestrator_token;
BEGIN
    PERFORM branchline_lock_run(p_run);
    SELECT r.state, r.control INTO v_state, v_control FROM orchestrator_run r WHERE r.id = p_run FOR UPDATE;
    IF v_state IS NULL OR v_state NOT IN ('running', 'paused', 'cancelling') THEN RETURN NULL; END IF;
    IF v_state = 'cancelling' THEN RETURN v_state; END IF;
    -- It failed while it was paused, and its undo is held.
    IF v_control = 'C' AND p_control = 'P' THEN RETURN v_state; END IF;
    IF v_control = 'C' AND p_control = '-' THEN
        INSERT INTO orchestrator_runrecord (run_id, at, kind, actor, detail, xid)
            VALUES (p_run, clock_timestamp(), p_kind, p_actor, p_detail, branchline_xid());
        RETURN branchline_begin_undo(p_run, '{}', '', 'undo_started', '{}');
    END IF;
    v_state := CASE p_control WHEN 'C' THEN 'cancelling' WHEN 'P' THEN 'paused' ELSE 'running' END;
    UPDATE orchestrator_run r SET control = p_control, state = v_state, closing = p_closing, xid = branchline_xid()
        WHERE r.id = p_run;
    INSERT INTO orchestrator_runrecord (run_id, at, kind, actor, detail, xid)
        VALUES (p_run, clock_timestamp(), p_kind, p_actor, p_detail, branchline_xid());
    -- Its sub-workflows follow, before any token here is locked: one that ends right now marks its parent's token.
    FOR v_child IN SELECT r.id FROM orchestrator_run r WHERE r.parent_run_id = p_run AND r.finished_at IS NULL ORDER BY r.id LOOP
        PERFORM branchline_set_control(v_child, p_control, CASE WHEN p_control = 'C' THEN '{"state": "cancelled"}'::jsonb END,
            p_actor, p_kind, p_detail || jsonb_build_object('by_run', p_run));
    END LOOP;
    IF p_control = 'C' THEN
        UPDATE orchestrator_human_task h SET state = 'cancelled', closed_at = clock_timestamp(), version = h.version + 1
            WHERE h.run_id = p_run AND h.state IN ('open', 'claimed');
        FOR t IN SELECT k.* FROM orchestrator_token k WHERE k.run_id = p_run AND k.state <> 'L' ORDER BY k.id
            FOR UPDATE SKIP LOCKED LOOP
            PERFORM branchline_drop_token(t, true);
        END LOOP;
        IF branchline_close_cancelled(p_run) THEN v_state := p_closing->>'state'; END IF;
    ELSIF p_control = 'P' THEN
        UPDATE orchestrator_token k SET state = 'H', queue_limit_id = NULL, epoch = k.epoch + 1, xid = branchline_xid() WHERE k.id IN (
            SELECT q.id FROM orchestrator_token q WHERE q.run_id = p_run AND q.state = 'R' ORDER BY q.id FOR UPDATE SKIP LOCKED);
    ELSIF branchline_kept_in_line(p_run) IS NOT TRUE THEN
        UPDATE orchestrator_token k SET state = 'R', ready_at = clock_timestamp(), epoch = k.epoch + 1, xid = branchline_xid()
            WHERE k.id IN (SELECT q.id FROM orchestrator_token q WHERE q.run_id = p_run AND q.state = 'H' ORDER BY q.id
                FOR UPDATE SKIP LOCKED);
    END IF;
    RETURN v_state;
END $$;

-- Close a cancelling run whose last token is gone. The caller holds the exclusive run lock.
CREATE FUNCTION branchline_close_cancelled(p_run uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE v jsonb;
BEGIN
    IF EXISTS (SELECT 1 FROM orchestrator_token k WHERE k.run_id = p_run) THEN RETURN false; END IF;
    -- Its sub-workflows end first; the keeper looks again.
    IF EXISTS (SELECT 1 FROM orchestrator_run r WHERE r.parent_run_id = p_run AND r.finished_at IS NULL) THEN RETURN false; END IF;
    SELECT r.closing INTO v FROM orchestrator_run r WHERE r.id = p_run AND r.control = 'C' AND r.state = 'cancelling' FOR UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;
    RETURN branchline_end_run(p_run, v->>'state', NULL, NULL, v->'error') IS NOT NULL;
END $$;

-- Take away at once what is still at work in a run that is being cancelled, and in its sub-workflows. One that is being undone
-- is left to it. False when something has not ended: the keeper looks again.
CREATE FUNCTION branchline_stop_now(p_run uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_child uuid;
    t orchestrator_token;
BEGIN
    PERFORM branchline_lock_run(p_run);
    IF NOT EXISTS (SELECT 1 FROM orchestrator_run r WHERE r.id = p_run AND r.state = 'cancelling') THEN RETURN false; END IF;
    -- First what is below, as in `branchline_set_control`.
    FOR v_child IN SELECT r.id FROM orchestrator_run r WHERE r.parent_run_id = p_run AND r.finished_at IS NULL ORDER BY r.id LOOP
        PERFORM branchline_stop_now(v_child);
    END LOOP;
    FOR t IN SELECT k.* FROM orchestrator_token k WHERE k.run_id = p_run ORDER BY k.id FOR UPDATE SKIP LOCKED LOOP
        PERFORM branchline_drop_token(t);
    END LOOP;
    RETURN branchline_close_cancelled(p_run);
END $$;

-- The same for a worker whose token was the last to hear of the cancellation, and for the keeper.
CREATE FUNCTION branchline_drain(p_run uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM branchline_lock_run(p_run);
    RETURN branchline_close_cancelled(p_run);
END $$;
