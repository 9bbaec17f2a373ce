-- What happens at a join without any step ending: its deadline, and the end of the branches it no longer wants.

-- Joins past their deadline, in every scope. The gate is the timer: while it is open and due, this finds it.
CREATE FUNCTION branchline_fire_gates(p_limit int) RETURNS TABLE(kind text, run_id uuid, queue text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    g record;
    v_run record;
    v_signals branchline_signal[] := '{}';
    v_queue text;
BEGIN
    FOR g IN SELECT q.run_id, q.gate, q.scope_id, q.generation FROM orchestrator_gate q
        WHERE q.deadline_at <= clock_timestamp() ORDER BY q.deadline_at LIMIT p_limit
    LOOP
        PERFORM branchline_share_run(g.run_id);
        -- Read after the lock. A run that is cancelled or closed needs no timer any more.
        SELECT r.version_id, r.priority, p.queue INTO v_run
        FROM orchestrator_run r JOIN orchestrator_plan_gate p ON p.version_id = r.version_id AND p.gate = g.gate
        WHERE r.id = g.run_id AND r.state IN ('running', 'paused') AND r.control <> 'C';
        IF NOT FOUND THEN
            UPDATE orchestrator_gate q SET deadline_at = NULL
                WHERE q.run_id = g.run_id AND q.gate = g.gate AND q.scope_id = g.scope_id;
            CONTINUE;
        END IF;
        v_queue := v_run.queue;
        v_signals := v_signals || ROW(g.run_id, g.scope_id, v_run.version_id, g.generation, v_run.priority, g.gate,
            -1, 3, NULL)::branchline_signal;
    END LOOP;
    RETURN QUERY SELECT a.kind, a.run_id, a.queue FROM branchline_apply(v_signals, v_queue) a;
END $$;

-- Cancel the live steps of branches that a decided join of this run no longer wants, or that a step has marked: each
-- leaves a row in the step log and sends `skip` on its arrows, so that every edge still gives one signal. Its worker is
-- fenced, for its token is gone. A for-each that a mark completes is woken instead: it ends with what it has.
-- A join stays pending until all branches have answered, so a crash loses nothing and steps that begin later are found,
-- too; a mark until nothing of it is at work: workers ask for marks before they begin a step.
-- Tokens that somebody holds right now are left to the next call. It has the run alone: it goes from gate to gate and from
-- container to container, in other orders than whoever ends a step there.
CREATE FUNCTION branchline_cancel_branches(p_run uuid)
RETURNS TABLE(kind text, run_id uuid, queue text, token_id bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    g record;
    t orchestrator_token;
    v_entry bigint;
    v_signals branchline_signal[];
BEGIN
    -- Asked after every step that might have decided such a join: most have not. In a closed container nothing is left to end.
    IF NOT EXISTS (SELECT FROM orchestrator_gate q WHERE q.run_id = p_run AND q.cancel_pending
        AND NOT (q.scope_id <> 0 AND branchline_scope_closed(q.scope_id))) THEN RETURN; END IF;
    PERFORM branchline_lock_run(p_run);
    IF NOT EXISTS (SELECT FROM orchestrator_run r WHERE r.id = p_run AND r.state IN ('running', 'paused')) THEN
        UPDATE orchestrator_gate q SET cancel_pending = false WHERE q.run_id = p_run AND q.cancel_pending;
        RETURN;
    END IF;
    FOR g IN SELECT q.gate, q.scope_id, p.queue, p.branch, p.mode, p.mode = 'C' AND NOT p.cancels_late AS completes, q.generation,
            ARRAY(SELECT (b->>'node')::int FROM jsonb_array_elements(p.branch) b) AS nodes
        FROM orchestrator_gate q JOIN orchestrator_run r ON r.id = q.run_id
        JOIN orchestrator_plan_gate p ON p.version_id = r.version_id AND p.gate = q.gate
        WHERE q.run_id = p_run AND q.cancel_pending ORDER BY q.scope_id, q.gate
    LOOP
        LOOP
            v_signals := '{}';
            FOR t IN SELECT k.* FROM orchestrator_token k WHERE k.run_id = p_run AND k.scope_id = g.scope_id
                -- What an operator has had done again since the mark was set is none of its business.
                AND (g.mode <> 'C' OR k.generation <= g.generation)
                AND k.node = ANY(g.nodes) AND k.state IN ('R', 'L', 'W', 'H') ORDER BY k.id FOR UPDATE SKIP LOCKED
            LOOP
                IF g.completes THEN
                    RETURN QUERY SELECT 'ready', p_run, branchline_complete_items(t), NULL::bigint;
                    CONTINUE;
                END IF;
                CONTINUE WHEN NOT branchline_close_task(t);
                v_entry := branchline_drop_token(t);
                RETURN QUERY SELECT 'cancelled', p_run, NULL::text, t.id;
                v_signals := v_signals || ARRAY(
                    SELECT ROW(p_run, t.scope_id, t.version_id, t.generation, t.priority, (b->'sig'->>n)::int,
                        (b->'sig'->>(n + 1))::int, (b->'sig'->>(n + 2))::int, v_entry)::branchline_signal
                    FROM jsonb_array_elements(g.branch) b, generate_series(0, jsonb_array_length(b->'sig') - 1, 3) n
                    WHERE (b->>'node')::int = t.node);
            END LOOP;
            EXIT WHEN cardinality(v_signals) = 0;
            -- A join inside the branch may fire by this: what it starts is cancelled in the next turn.
            RETURN QUERY SELECT a.kind, a.run_id, a.queue, NULL::bigint FROM branchline_apply(v_signals, g.queue) a;
        END LOOP;
        UPDATE orchestrator_gate q SET cancel_pending = false
            WHERE g.mode = 'C' AND q.run_id = p_run AND q.gate = g.gate AND q.scope_id = g.scope_id
            AND NOT EXISTS (SELECT FROM orchestrator_token k WHERE k.run_id = p_run AND k.scope_id = g.scope_id
                AND k.node = ANY(g.nodes) AND k.phase <> 2 AND k.generation <= g.generation
                -- One that is resumed ends by itself.
                AND NOT (g.completes AND k.phase = 1 AND k.state IN ('R', 'L')));
    END LOOP;
END $$;

-- Let a for-each end with the items it has. NULL for one that has not begun with them, or has ended.
CREATE FUNCTION branchline_complete_items(t orchestrator_token) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF t.state <> 'W' OR t.phase <> 1 OR t.waiting->>'kind' <> 'items' THEN RETURN NULL; END IF;
    UPDATE orchestrator_token k SET state = 'R', wake_at = NULL, ready_at = clock_timestamp(), epoch = k.epoch + 1,
        signal = jsonb_build_object('state', 'completed'), xid = branchline_xid() WHERE k.id = t.id;
    RETURN t.queue;
END $$;

-- Cancel the human task a token waits for. False when somebody decides it at this moment: their lock comes before the
-- token's, so waiting for it here could end in a deadlock.
CREATE FUNCTION branchline_close_task(t orchestrator_token) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE v_task uuid;
BEGIN
    IF t.state <> 'W' OR t.waiting->>'kind' IS DISTINCT FROM 'person' THEN RETURN true; END IF;
    SELECT h.id INTO v_task FROM orchestrator_human_task h WHERE h.token_id = t.id AND h.epoch = t.epoch
        AND h.state IN ('open', 'claimed') FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN RETURN false; END IF;
    UPDATE orchestrator_human_task h SET state = 'cancelled', closed_at = clock_timestamp(), version = h.version + 1
        WHERE h.id = v_task;
    RETURN true;
END $$;
