-- Undo. A run's control becomes K: its forward tokens (node >= 0) end and open nothing; when none is left, the ledger is
-- written (engine/undo.py) and undo tokens (node = -1 - node of the step) work through it, from the last step to the first.

-- Begin to undo a whole run, open or ended. p_closing: {"error"} to keep. NULL: nothing to begin in that state.
CREATE FUNCTION branchline_begin_undo(p_run uuid, p_closing jsonb, p_actor text, p_kind text, p_detail jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE v_state text;
BEGIN
    PERFORM branchline_lock_run(p_run);
    SELECT r.state INTO v_state FROM orchestrator_run r WHERE r.id = p_run FOR UPDATE;
    IF v_state IN ('undoing', 'undone') THEN RETURN v_state; END IF;
    IF v_state IS NULL OR v_state = 'undo_stuck' THEN RETURN NULL; END IF;
    PERFORM branchline_mark_undoing(p_run, p_closing, p_actor, p_kind, p_detail);
    PERFORM branchline_drop_forward(p_run);
    RETURN 'undoing';
END $$;

-- What waits in a run, or is ready, will not go on; what is leased hears of it at its next call.
CREATE FUNCTION branchline_drop_forward(p_run uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE t orchestrator_token;
BEGIN
    UPDATE orchestrator_human_task h SET state = 'cancelled', closed_at = clock_timestamp(), version = h.version + 1
        WHERE h.run_id = p_run AND h.state IN ('open', 'claimed');
    FOR t IN SELECT k.* FROM orchestrator_token k WHERE k.run_id = p_run AND k.state <> 'L' AND k.node >= 0 ORDER BY k.id
        FOR UPDATE SKIP LOCKED LOOP
        PERFORM branchline_drop_token(t, true);
    END LOOP;
END $$;

CREATE FUNCTION branchline_mark_undoing(p_run uuid, p_closing jsonb, p_actor text, p_kind text, p_detail jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE orchestrator_run r SET control = 'K', state = 'undoing', finished_at = NULL,
        closing = jsonb_build_object('error', coalesce(p_closing->'error', r.closing->'error', r.error)), xid = branchline_xid()
        WHERE r.id = p_run;
    INSERT INTO orchestrator_runrecord (run_id, at, kind, actor, detail, xid)
        VALUES (p_run, clock_timestamp(), p_kind, p_actor, p_detail, branchline_xid());
END $$;

-- A run has failed: it ends, or what happened in it is undone first. Returns as branchline_end_run.
CREATE FUNCTION branchline_fail_run(p_run uuid, p_error jsonb) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    v_closing jsonb := jsonb_build_object('error', p_error);
    v_detail jsonb := coalesce(jsonb_strip_nulls(v_closing), '{}');
BEGIN
    IF NOT branchline_undoes_failure(p_run) THEN RETURN branchline_end_run(p_run, 'failed', NULL, NULL, p_error); END IF;
    -- Whoever paused it expects nothing to act: under C nothing goes on, and the resume begins the undo (decision 45).
    UPDATE orchestrator_run r SET control = 'C', closing = v_closing, xid = branchline_xid()
        WHERE r.id = p_run AND r.state = 'paused' AND r.control = 'P';
    IF FOUND THEN
        INSERT INTO orchestrator_runrecord (run_id, at, kind, actor, detail, xid)
            VALUES (p_run, clock_timestamp(), 'undo_held', '', v_detail, branchline_xid());
    ELSIF EXISTS (SELECT FROM orchestrator_run r WHERE r.id = p_run AND r.state = 'running') THEN
        PERFORM branchline_mark_undoing(p_run, v_closing, '', 'undo_started', v_detail);
    END IF;
    RETURN '{}';
END $$;

-- Whether what happened in an open run is undone when it fails: its workflow says so.
CREATE FUNCTION branchline_undoes_failure(p_run uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM orchestrator_run r JOIN orchestrator_plan_gate g ON g.version_id = r.version_id
        WHERE r.id = p_run AND r.state IN ('running', 'paused') AND g.queue = '' AND g.owner IS NULL AND g.on_failure = 'u')
$$;

-- A run past its deadline fails: it stops like a cancelled one, or is undone. Nothing when it is closed, has failed while
-- it was paused, or an operator has just let it go on with a new deadline.
CREATE FUNCTION branchline_fail_overdue(p_run uuid, p_error jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM branchline_lock_run(p_run);
    PERFORM FROM orchestrator_run r WHERE r.id = p_run AND r.deadline_at < clock_timestamp() AND r.control <> 'C'
        AND r.state IN ('running', 'paused') FOR UPDATE;
    IF NOT FOUND THEN RETURN; END IF;
    IF NOT branchline_undoes_failure(p_run) THEN
        PERFORM branchline_set_control(p_run, 'C', jsonb_build_object('state', 'failed', 'error', p_error), '',
            'deadline_passed', '{}');
        RETURN;
    END IF;
    INSERT INTO orchestrator_runrecord (run_id, at, kind, actor, detail, xid)
        VALUES (p_run, clock_timestamp(), 'deadline_passed', '', '{}', branchline_xid());
    PERFORM branchline_fail_run(p_run, p_error);
    PERFORM branchline_drop_forward(p_run);
END $$;

-- The ledger of one boundary (0: the run; else a container's block), written once. p_items: [{entry, node, scope,
-- generation, state, position, awaits, releases, queue, timeout}]. Returns the queues on which undo steps became ready,
-- or NULL when it stands already or something forward is still under way.
CREATE FUNCTION branchline_write_ledger(p_run uuid, p_boundary bigint, p_items jsonb) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE v_queues text[]; v_more text[];
BEGIN
    PERFORM branchline_lock_run(p_run);
    IF NOT branchline_undo_due(p_run, p_boundary) THEN RETURN NULL; END IF;
    INSERT INTO orchestrator_undo_item (run_id, entry, node, scope_id, generation, boundary, state, awaits, releases,
        position, queue, timeout, error, reason, actor, at, xid)
    SELECT p_run, x.entry, x.node, x.scope, x.generation, p_boundary, x.state, x.awaits, x.releases, x.position, x.queue,
        x.timeout, NULL, '', '', clock_timestamp(), branchline_xid()
    FROM jsonb_to_recordset(p_items) AS x(entry bigint, node int, scope bigint, generation int, state text, awaits int,
        releases bigint[], position int, queue text, timeout float8, listed boolean) WHERE NOT x.listed;
    IF p_boundary = 0 THEN PERFORM branchline_take_in_ledgers(p_run, p_items); END IF;
    UPDATE orchestrator_run r SET closing = coalesce(r.closing, '{}') || '{"ledger": true}' WHERE r.id = p_run AND p_boundary = 0;
    UPDATE orchestrator_token k SET waiting = k.waiting || '{"ledger": true}'
        WHERE k.run_id = p_run AND k.state = 'W' AND k.waiting->>'kind' = 'undo' AND (k.waiting->>'block')::bigint = p_boundary
          AND p_boundary <> 0;
    SELECT array_agg(branchline_spawn_undo(u)) INTO v_queues FROM orchestrator_undo_item u
        WHERE u.run_id = p_run AND u.boundary = p_boundary AND u.state = 'running' AND u.xid = branchline_xid();
    v_more := branchline_undo_progress(p_run, p_boundary);
    RETURN array_remove(array_remove(coalesce(v_queues, '{}') || v_more, NULL), '');
END $$;

-- What is still open of the undo of scopes belongs to the whole run's from here on: earlier steps wait for it, what was cut
-- short goes on once everything later is undone.
CREATE FUNCTION branchline_take_in_ledgers(p_run uuid, p_items jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE r record; v_entry bigint;
BEGIN
    UPDATE orchestrator_undo_item i SET boundary = 0 WHERE i.run_id = p_run AND i.state IN ('stuck', 'unknown', 'waiting');
    FOR r IN
        UPDATE orchestrator_undo_item i SET releases = i.releases || x.releases,
            awaits = i.awaits + CASE WHEN i.state = 'waiting' OR i.state = 'stuck' AND i.error->>'code' = branchline_undo_cut()->>'code'
                THEN x.awaits ELSE 0 END
        FROM jsonb_to_recordset(p_items) AS x(entry bigint, awaits int, releases bigint[], listed boolean)
        WHERE x.listed AND i.run_id = p_run AND i.entry = x.entry RETURNING i.state, x.releases
    LOOP
        -- Settled by a person since the ledger was told: nobody need wait for it.
        CONTINUE WHEN r.state IN ('stuck', 'unknown', 'waiting');
        FOREACH v_entry IN ARRAY r.releases LOOP
            UPDATE orchestrator_undo_item i SET awaits = i.awaits - 1, xid = branchline_xid(),
                state = CASE WHEN i.awaits = 1 AND i.state = 'waiting' THEN 'running' ELSE i.state END
            WHERE i.run_id = p_run AND i.entry = v_entry;
        END LOOP;
    END LOOP;
    UPDATE orchestrator_undo_item i SET state = CASE WHEN i.awaits = 0 THEN 'running' ELSE 'waiting' END, error = NULL,
        xid = branchline_xid() WHERE i.run_id = p_run AND i.state = 'stuck' AND i.error->>'code' = branchline_undo_cut()->>'code';
END $$;

-- Is it time to write this ledger? Certain for who holds the exclusive run lock.
CREATE FUNCTION branchline_undo_due(p_run uuid, p_boundary bigint) RETURNS boolean LANGUAGE sql AS $$
    SELECT CASE WHEN p_boundary = 0 THEN EXISTS (SELECT 1 FROM orchestrator_run r WHERE r.id = p_run AND r.state = 'undoing'
            AND NOT coalesce(r.closing ? 'ledger', false))
            AND NOT EXISTS (SELECT 1 FROM orchestrator_token k WHERE k.run_id = p_run)
        ELSE EXISTS (SELECT 1 FROM orchestrator_token k WHERE k.run_id = p_run AND k.state = 'W'
            AND k.waiting->>'kind' = 'undo' AND (k.waiting->>'block')::bigint = p_boundary AND NOT k.waiting ? 'ledger')
            AND NOT EXISTS (SELECT 1 FROM orchestrator_token k WHERE k.run_id = p_run AND k.scope_id <> 0
                AND branchline_block(k.scope_id) IN (SELECT branchline_blocks_inside(p_run, p_boundary))) END
$$;

-- Ledgers that are due: of undoing runs, and of scopes whose steps are to be undone and have all ended.
CREATE FUNCTION branchline_pending_undo(p_run uuid, p_limit int) RETURNS TABLE(run_id uuid, boundary bigint)
LANGUAGE sql STABLE AS $$
    SELECT r.id, 0::bigint FROM orchestrator_run r WHERE r.state = 'undoing' AND NOT coalesce(r.closing ? 'ledger', false)
        AND (p_run IS NULL OR r.id = p_run) AND NOT EXISTS (SELECT 1 FROM orchestrator_token k WHERE k.run_id = r.id)
    UNION ALL
    SELECT k.run_id, (k.waiting->>'block')::bigint FROM orchestrator_token k
        WHERE k.state = 'W' AND k.waiting->>'kind' = 'undo' AND k.waiting ? 'block' AND NOT k.waiting ? 'ledger'
        AND (p_run IS NULL OR k.run_id = p_run) AND branchline_undo_due(k.run_id, (k.waiting->>'block')::bigint)
    LIMIT p_limit
$$;

-- An item's undo step gets its token.
CREATE FUNCTION branchline_spawn_undo(u orchestrator_undo_item) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    -- What was tried before does not count against its retries: a person has asked for it anew.
    INSERT INTO orchestrator_token (run_id, version_id, node, scope_id, generation, state, queue, priority, ready_at, epoch,
        attempt, tried_before, timeout, lost, phase, verdict, cause, xid)
    SELECT u.run_id, r.version_id, -1 - u.node, u.scope_id, u.generation, 'R', u.queue, r.priority, clock_timestamp(), 0,
        b.attempts, b.attempts, u.timeout, 0, 0, '', ARRAY[u.entry], branchline_xid()
    FROM orchestrator_run r, LATERAL (SELECT coalesce(max(s.attempt), 0) AS attempts FROM orchestrator_steplog s
        WHERE s.run_id = u.run_id AND s.node = -1 - u.node AND s.scope_id = u.scope_id AND s.generation = u.generation) b
    WHERE r.id = u.run_id;
    RETURN u.queue;
END $$;

-- An item is settled (undone, skipped, done by hand): earlier ones that waited only for it begin; in a run that has ended
-- nothing begins, so they wait for a person, too. Returns their queues.
CREATE FUNCTION branchline_release_undo(u orchestrator_undo_item) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    v orchestrator_undo_item;
    v_entry bigint;
    v_queues text[] := '{}';
    v_ended boolean := branchline_run_ended(u.run_id);
BEGIN
    -- Ascending, so that two that end at once lock in one order.
    FOREACH v_entry IN ARRAY u.releases LOOP
        UPDATE orchestrator_undo_item i SET awaits = i.awaits - 1,
            state = CASE WHEN i.awaits > 1 OR i.state <> 'waiting' THEN i.state WHEN v_ended THEN 'stuck' ELSE 'running' END,
            error = CASE WHEN v_ended AND i.awaits = 1 AND i.state = 'waiting' THEN branchline_undo_cut() ELSE i.error END,
            at = CASE WHEN v_ended AND i.awaits = 1 AND i.state = 'waiting' THEN clock_timestamp() ELSE i.at END,
            xid = branchline_xid()
            WHERE i.run_id = u.run_id AND i.entry = v_entry RETURNING i.* INTO v;
        IF v.awaits = 0 AND v.state = 'running' THEN v_queues := v_queues || branchline_spawn_undo(v); END IF;
    END LOOP;
    RETURN v_queues;
END $$;

-- Whether nothing can run in a run any more. One whose undo is stuck goes on with it.
CREATE FUNCTION branchline_run_ended(p_run uuid) RETURNS boolean LANGUAGE sql AS $$
    SELECT r.state IN ('succeeded', 'failed', 'cancelled', 'undone') FROM orchestrator_run r WHERE r.id = p_run
$$;

-- An undo step has ended, well or not. Called by branchline_advance for its token, which is gone.
CREATE FUNCTION branchline_undo_settled(t orchestrator_token, p_error jsonb) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    u orchestrator_undo_item;
    v_queues text[] := '{}';
BEGIN
    -- Before any item: whoever ends several undo steps has the run's row from the first on, and comes to the items of others.
    PERFORM FROM orchestrator_run r WHERE r.id = t.run_id FOR UPDATE;
    UPDATE orchestrator_undo_item i SET state = CASE WHEN p_error IS NULL THEN 'undone' ELSE 'stuck' END, error = p_error,
        at = clock_timestamp(), xid = branchline_xid()
    WHERE i.run_id = t.run_id AND i.node = -1 - t.node AND i.scope_id = t.scope_id AND i.generation = t.generation
        AND i.state = 'running' RETURNING i.* INTO u;
    IF NOT FOUND THEN RETURN v_queues; END IF;
    IF p_error IS NULL THEN v_queues := branchline_release_undo(u); END IF;
    RETURN v_queues || branchline_undo_progress(t.run_id, u.boundary);
END $$;

-- An operator settles an item that is stuck or unknown: retry | skip | by_hand. NULL: it is not, or the run is not there,
-- or is to try it again and has ended.
CREATE FUNCTION branchline_settle_undo(p_run uuid, p_entry bigint, p_how text, p_reason text, p_actor text) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
    u orchestrator_undo_item;
    v_queues text[] := '{}';
BEGIN
    PERFORM branchline_lock_run(p_run);
    UPDATE orchestrator_undo_item i SET state = CASE p_how WHEN 'skip' THEN 'skipped' WHEN 'by_hand' THEN 'by_hand'
            ELSE CASE WHEN i.awaits = 0 THEN 'running' ELSE 'waiting' END END,
        reason = p_reason, actor = p_actor, at = clock_timestamp(), xid = branchline_xid(),
        error = CASE WHEN p_how = 'retry' THEN NULL ELSE i.error END
    WHERE i.run_id = p_run AND i.entry = p_entry AND i.state IN ('stuck', 'unknown')
        AND NOT (p_how = 'retry' AND branchline_run_ended(p_run)) RETURNING i.* INTO u;
    IF NOT FOUND THEN RETURN NULL; END IF;
    INSERT INTO orchestrator_runrecord (run_id, at, kind, actor, detail, xid)
        VALUES (p_run, clock_timestamp(), 'undo_' || p_how, p_actor,
            jsonb_build_object('node', u.node, 'scope', u.scope_id, 'entry', u.entry, 'reason', p_reason), branchline_xid());
    UPDATE orchestrator_run r SET state = 'undoing', control = 'K', finished_at = NULL,
        closing = jsonb_build_object('error', r.error, 'ledger', true), xid = branchline_xid()
        WHERE r.id = p_run AND r.state = 'undo_stuck';
    IF u.state = 'running' THEN v_queues := ARRAY[branchline_spawn_undo(u)];
    ELSIF p_how <> 'retry' THEN v_queues := branchline_release_undo(u); END IF;
    RETURN array_remove(array_remove(v_queues || branchline_undo_progress(p_run, u.boundary), NULL), '');
END $$;

-- Has a ledger been worked through, or is it stuck? Then its run ends, or its scope goes on. Returns queues to wake.
CREATE FUNCTION branchline_undo_progress(p_run uuid, p_boundary bigint) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    v_running int; v_open int;
    v_error jsonb;
    v_queue text;
    v_text text;
BEGIN
    -- Two last items may end at once: the second to come here sees both.
    SELECT r.closing->'error' INTO v_error FROM orchestrator_run r WHERE r.id = p_run FOR UPDATE;
    SELECT count(*) FILTER (WHERE u.state = 'running'),
        count(*) FILTER (WHERE u.state IN ('waiting', 'stuck', 'unknown')) INTO v_running, v_open
    FROM orchestrator_undo_item u WHERE u.run_id = p_run AND u.boundary = p_boundary;
    IF p_boundary <> 0 AND v_open + v_running > 0 THEN
        v_text := CASE WHEN v_running > 0 THEN 'Undoing what happened inside'
            ELSE 'What happened inside could not all be undone: a person is needed' END;
        UPDATE orchestrator_token k SET waiting = k.waiting || jsonb_build_object('text', v_text), xid = branchline_xid()
            WHERE k.run_id = p_run AND k.state = 'W' AND k.waiting->>'kind' = 'undo'
                AND (k.waiting->>'block')::bigint = p_boundary AND k.waiting->>'text' IS DISTINCT FROM v_text;
    END IF;
    IF v_running > 0 THEN RETURN '{}'; END IF;
    IF p_boundary = 0 THEN
        RETURN branchline_end_run(p_run, CASE WHEN v_open = 0 THEN 'undone' ELSE 'undo_stuck' END, NULL, NULL,
            nullif(v_error, 'null'));
    ELSIF v_open = 0 THEN
        UPDATE orchestrator_token k SET state = 'R', wake_at = NULL, ready_at = clock_timestamp(), epoch = k.epoch + 1,
            signal = coalesce(nullif(k.waiting->'failed', 'null'), '{}') || '{"undone": true}', xid = branchline_xid()
        WHERE k.run_id = p_run AND k.state = 'W' AND k.waiting->>'kind' = 'undo'
            AND (k.waiting->>'block')::bigint = p_boundary RETURNING k.queue INTO v_queue;
        RETURN array_remove(ARRAY[v_queue], NULL);
    END IF;
    RETURN '{}';
END $$;

-- A token parks until what it asked to undo is undone: what is in its own body, or the run of a sub-workflow step.
CREATE FUNCTION branchline_wait_for_undo(t orchestrator_token, i jsonb, p_now timestamptz) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    v_child uuid;
    v_more boolean;
    v_state text;
    v_waiting jsonb := (i->'waiting') || jsonb_build_object('since', p_now);
BEGIN
    IF i->>'then' = 'undo_inside' THEN
        PERFORM branchline_close_scopes(t.run_id, branchline_block(t.inner_scope), true);
        v_waiting := v_waiting || jsonb_build_object('block', branchline_block(t.inner_scope), 'failed', t.signal);
    ELSE
        -- A step that was retried may have had several: the latest is undone first.
        SELECT r.id, count(*) OVER () > 1 INTO v_child, v_more FROM orchestrator_run r WHERE r.parent_run_id = t.run_id
            AND r.parent_node = -1 - t.node AND r.parent_scope = t.scope_id AND r.parent_generation = t.generation
            AND r.state <> 'undone' ORDER BY r.id DESC LIMIT 1;
        v_waiting := v_waiting || jsonb_build_object('more', coalesce(v_more, false));
        UPDATE orchestrator_run r SET parent_token = t.id, parent_epoch = t.epoch + 1 WHERE r.id = v_child;
        v_state := branchline_begin_undo(v_child, '{}', '', 'undo_requested', jsonb_build_object('by_run', t.run_id));
    END IF;
    UPDATE orchestrator_token k SET state = 'W', session_id = NULL, queue_limit_id = NULL, epoch = k.epoch + 1,
        deadline_at = NULL, lost = 0, verdict = '',
        signal = NULL, phase = 1, attempt = k.attempt - 1, wake_at = NULL, waiting = v_waiting, xid = branchline_xid()
        WHERE k.id = t.id;
    -- No such run, or undone or stuck before: there is nothing to wait for.
    IF i->>'then' = 'undo_child' AND v_state IS DISTINCT FROM 'undoing' THEN
        RETURN ARRAY[branchline_wake(t.id, t.epoch + 1, jsonb_build_object('run', v_child, 'state',
            CASE WHEN v_child IS NULL OR v_state = 'undone' THEN 'undone' ELSE 'undo_stuck' END))];
    END IF;
    RETURN '{}';
END $$;
