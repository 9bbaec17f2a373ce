-- Why a join failed: its message names the branches by title, its details by key. Called once the arrivals are written.
CREATE FUNCTION branchline_join_error(g orchestrator_gate, p orchestrator_plan_gate, p_late boolean) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    v_arrived text[]; v_failed text[]; v_missing text[];
    v_told text;
BEGIN
    SELECT array_agg(DISTINCT n.name) FILTER (WHERE a.outcome = 'o'), array_agg(DISTINCT n.name) FILTER (WHERE a.outcome = 'f'),
        array_agg(DISTINCT n.name) FILTER (WHERE a.outcome IS NULL),
        string_agg(DISTINCT n.title, ', ') FILTER (WHERE CASE WHEN p_late THEN a.outcome IS NULL ELSE a.outcome = 'f' END)
        INTO v_arrived, v_failed, v_missing, v_told
    FROM unnest(p.names, p.titles) WITH ORDINALITY AS n(name, title, place) LEFT JOIN orchestrator_gate_arrival a
        ON a.run_id = g.run_id AND a.gate = g.gate AND a.scope_id = g.scope_id AND a.edge = n.place - 1;
    RETURN jsonb_build_object(
        'code', CASE WHEN p_late THEN 'join_deadline' ELSE 'branch_failed' END,
        'message', CASE
            WHEN p_late THEN format('The deadline of this join passed when %s of %s branches had arrived; missing: %s.',
                g.ok, g.size - g.skip, v_told)
            WHEN p.mode = 'A' THEN format('%s of %s branches failed before this step (%s), so it could not start.',
                g.fail, g.size, v_told) || CASE WHEN p.tolerate > 0
                THEN format(' It tolerates %s.', p.tolerate) ELSE '' END
            ELSE format('This step needs %s, but at most %s of %s can arrive: %s failed%s, %s skipped.',
                CASE g.need WHEN 1 THEN 'one branch' ELSE g.need || ' branches' END,
                g.size - g.skip - g.fail, g.size, g.fail, coalesce(' (' || v_told || ')', ''), g.skip) END,
        'details', jsonb_build_object('arrived', to_jsonb(coalesce(v_arrived, '{}')),
            'failed', to_jsonb(coalesce(v_failed, '{}')), 'missing', to_jsonb(coalesce(v_missing, '{}'))));
END $$;

-- Work through signals, inner scopes first (they have the higher numbers), lowest gate first: every cascade leads to
-- higher gates, so all transactions lock gates in one order. Gates appear with their first signal; what follows from a
-- verdict stands in orchestrator_plan_gate.
-- Returns what may start: kind 'step' (an ungated step behind a failed join, or a join that fired), 'end' (the run's
-- last gate), 'failed' (the run's last gate, failed), 'scope' (a body's last gate; queue: succeeded or failed).
-- A gate is decided as soon as its verdict is certain; kind 3 is no branch's signal but the keeper's word that the gate's deadline has passed. Branches that a verdict cancels are not
-- touched here, where other tokens are locked already: the gate is marked, see branchline_cancel_branches.
CREATE FUNCTION branchline_signal_gates(p_pending branchline_signal[])
RETURNS TABLE(kind text, run_id uuid, scope_id bigint, version_id bigint, generation int, priority smallint, node int,
    queue text, timeout float8, cause bigint[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    pending branchline_signal[] := p_pending;
    first branchline_signal;
    g orchestrator_gate;
    p orchestrator_plan_gate;
    v_entry bigint;
    v_generation int;
    v_ok int; v_skip int; v_fail int; v_is_end boolean;
    v_verdict char := 'O';
    v_onward int[];
    v_spawn jsonb;
    v_complete boolean;
    v_due boolean;
    v_cancelled boolean;
BEGIN
    WHILE cardinality(pending) > 0 LOOP
        SELECT s.* INTO first FROM unnest(pending) s ORDER BY s.run_id, s.scope_id DESC, s.gate LIMIT 1;
        SELECT count(*) FILTER (WHERE s.kind = 0), count(*) FILTER (WHERE s.kind = 1), count(*) FILTER (WHERE s.kind = 2),
            max(s.generation) INTO v_ok, v_skip, v_fail, v_generation FROM unnest(pending) s
            WHERE s.run_id = first.run_id AND s.scope_id = first.scope_id AND s.gate = first.gate;
        SELECT * INTO STRICT p FROM orchestrator_plan_gate q WHERE q.version_id = first.version_id AND q.gate = first.gate;
        -- The upsert takes the gate's row lock: from here on nobody else counts at this gate.
        INSERT INTO orchestrator_gate AS q (run_id, gate, scope_id, node, size, need, ok, skip, fail, verdict, decided,
            deadline_at, cancel_pending, generation)
            VALUES (first.run_id, first.gate, first.scope_id, p.node, p.size, p.need, v_ok, v_skip, v_fail, 'O', 0,
                clock_timestamp() + make_interval(secs => p.deadline), false, v_generation)
            ON CONFLICT (run_id, gate, scope_id) DO UPDATE
            SET ok = q.ok + excluded.ok, skip = q.skip + excluded.skip, fail = q.fail + excluded.fail,
                -- What is behind a gate belongs to the newest generation that leads to it.
                generation = greatest(q.generation, excluded.generation),
                -- A row may stand there before its first signal: made by a rerun, it has no deadline yet.
                deadline_at = CASE WHEN q.verdict = 'O' AND q.ok + q.skip + q.fail = 0 THEN excluded.deadline_at
                    ELSE q.deadline_at END
            RETURNING * INTO g;
        INSERT INTO orchestrator_gate_arrival (run_id, gate, scope_id, edge, entry, outcome, late)
            SELECT s.run_id, s.gate, s.scope_id, s.edge, s.entry, substr('osf', s.kind + 1, 1), g.verdict <> 'O'
            FROM unnest(pending) s
            WHERE s.run_id = first.run_id AND s.scope_id = first.scope_id AND s.gate = first.gate AND s.kind < 3;
        pending := ARRAY(SELECT s FROM unnest(pending) s
            WHERE (s.run_id, s.scope_id, s.gate) <> (first.run_id, first.scope_id, first.gate));

        v_is_end := p.queue = '';
        v_verdict := 'O'; v_onward := '{}'; v_spawn := '[]'; v_cancelled := false;
        v_complete := g.ok + g.skip + g.fail = g.size;
        IF g.verdict = 'O' THEN
            v_due := g.deadline_at <= clock_timestamp() AND EXISTS (SELECT FROM unnest(p_pending) s
                WHERE s.run_id = g.run_id AND s.scope_id = g.scope_id AND s.gate = g.gate AND s.kind = 3);
            v_verdict := CASE
                WHEN p.mode = 'N' AND g.ok >= g.need THEN 'F'
                WHEN p.mode = 'A' AND g.fail > p.tolerate AND (v_complete OR p.on_failure = 'a' OR v_due) THEN 'X'
                -- Only skips may still come and then the whole join is skipped: not certain before somebody ran.
                WHEN p.mode = 'N' AND p.on_failure <> 'c' AND g.ok + g.fail > 0 AND g.size - g.skip - g.fail < g.need
                    THEN 'X'
                WHEN g.skip = g.size AND NOT v_is_end THEN 'S'
                WHEN v_complete THEN 'F'
                WHEN v_due THEN CASE WHEN p.deadline_fails THEN 'D' ELSE 'F' END
                ELSE 'O' END;
            v_due := v_verdict = 'D' OR (v_due AND v_verdict = 'F');
            IF v_verdict = 'D' THEN v_verdict := 'X'; END IF;
            -- Inside a branch that is being cancelled nothing fails for want of what was cancelled.
            v_cancelled := v_verdict = 'X' AND NOT v_is_end AND EXISTS (
                SELECT FROM orchestrator_gate c JOIN orchestrator_plan_gate b
                    ON b.version_id = first.version_id AND b.gate = c.gate
                WHERE c.run_id = g.run_id AND c.scope_id = g.scope_id AND (c.cancel_pending OR b.mode = 'C' AND b.cancels_late AND c.generation >= g.generation)
                    AND b.branch @> jsonb_build_array(jsonb_build_object('node', g.node)));
            IF v_cancelled THEN v_verdict := 'S'; END IF;
            IF v_verdict <> 'O' THEN
                UPDATE orchestrator_gate q SET verdict = v_verdict, decided = q.decided + 1, deadline_at = NULL,
                    cancel_pending = NOT v_complete AND p.branch <> '[]' AND v_verdict IN ('F', 'X')
                        AND CASE WHEN v_verdict = 'F' OR v_due THEN p.cancels_late ELSE p.on_failure = 'a' END
                    WHERE q.run_id = g.run_id AND q.gate = g.gate AND q.scope_id = g.scope_id;
            END IF;
        ELSIF g.cancel_pending AND v_complete THEN
            UPDATE orchestrator_gate q SET cancel_pending = false
                WHERE q.run_id = g.run_id AND q.gate = g.gate AND q.scope_id = g.scope_id;
        END IF;
        v_entry := first.entry;
        IF p.owner IS NOT NULL AND v_verdict <> 'O' THEN
            RETURN QUERY SELECT 'scope', g.run_id, g.scope_id, first.version_id, g.generation, first.priority, p.owner,
                CASE v_verdict WHEN 'X' THEN 'failed' ELSE 'succeeded' END, 0::float8, '{}'::bigint[];
        ELSIF v_verdict = 'F' THEN
            RETURN QUERY SELECT CASE WHEN v_is_end THEN 'end' ELSE 'step' END, g.run_id, g.scope_id, first.version_id,
                g.generation, first.priority, g.node, p.queue::text, p.timeout,
                ARRAY(SELECT a.entry FROM orchestrator_gate_arrival a
                    WHERE a.run_id = g.run_id AND a.gate = g.gate AND a.scope_id = g.scope_id AND a.outcome = 'o'
                      AND a.entry IS NOT NULL AND NOT v_is_end ORDER BY a.edge);
        ELSIF v_verdict = 'X' AND v_is_end THEN
            RETURN QUERY SELECT 'failed', g.run_id, g.scope_id, first.version_id, g.generation, first.priority, g.node,
                ''::text, 0::float8, '{}'::bigint[];
        ELSIF v_verdict = 'X' THEN
            v_entry := nextval('orchestrator_step_log_entry');
            INSERT INTO orchestrator_steplog (entry, run_id, node, scope_id, generation, attempt, outcome, final, ports,
                finished_at, cause, error, xid)
            VALUES (v_entry, g.run_id, g.node, g.scope_id, g.generation,
                branchline_unstarted(g.run_id, g.node, g.scope_id, g.generation), 'F', true,
                CASE WHEN p.on_fail_handled THEN ARRAY['error'] END, clock_timestamp(),
                ARRAY(SELECT a.entry FROM orchestrator_gate_arrival a WHERE a.run_id = g.run_id AND a.gate = g.gate
                    AND a.scope_id = g.scope_id AND a.entry IS NOT NULL ORDER BY a.edge),
                branchline_join_error(g, p, coalesce(v_due, false)),
                branchline_xid());
            v_onward := p.on_fail; v_spawn := p.on_fail_spawn;
        ELSIF v_verdict = 'S' THEN
            IF v_cancelled THEN
                v_entry := nextval('orchestrator_step_log_entry');
                INSERT INTO orchestrator_steplog (entry, run_id, node, scope_id, generation, attempt, outcome, final, ports,
                    finished_at, cause, xid)
                VALUES (v_entry, g.run_id, g.node, g.scope_id, g.generation,
                    branchline_unstarted(g.run_id, g.node, g.scope_id, g.generation), 'K', true, '{}', clock_timestamp(),
                    '{}', branchline_xid());
            END IF;
            v_onward := p.on_skip;
        END IF;
        -- A gate that may fire early tells the end gate when its last branch is in: a run waits for its late branches.
        IF v_complete AND v_ok + v_skip + v_fail > 0 THEN v_onward := v_onward || p.on_closed; END IF;
        pending := pending || ARRAY(
            SELECT ROW(g.run_id, g.scope_id, first.version_id, g.generation, first.priority, v_onward[i],
                v_onward[i + 1], v_onward[i + 2], v_entry)::branchline_signal
            FROM generate_series(1, coalesce(cardinality(v_onward), 0), 3) i);
        RETURN QUERY SELECT 'step', g.run_id, g.scope_id, first.version_id, g.generation, first.priority, s.node,
            s.queue, s.timeout, ARRAY[v_entry]
            FROM jsonb_to_recordset(v_spawn) AS s(node int, queue text, timeout float8);
    END LOOP;
END $$;

-- Apply signals without a token that ends: for the keeper and for cancelled branches, in any scope. The caller holds the
-- runs' shared locks and has seen that none of them is being cancelled. `p_queue` is where a run's own last node goes.
-- Returns what others must hear: a run that ended, or a queue with work.
CREATE FUNCTION branchline_apply(p_signals branchline_signal[], p_queue text)
RETURNS TABLE(kind text, run_id uuid, queue text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    s record;
    v_queue text;
    v_queues text[];
BEGIN
    FOR s IN SELECT * FROM branchline_signal_gates(p_signals) LOOP
        IF s.kind = 'failed' THEN
            RETURN QUERY SELECT 'ended', s.run_id, NULL::text;
            v_queues := branchline_fail_run(s.run_id, branchline_first_failure(s.run_id, 0));
        ELSIF s.kind = 'scope' THEN
            v_queues := ARRAY[branchline_scope_ended(s.run_id, s.scope_id, s.queue)];
        END IF;
        IF s.kind IN ('failed', 'scope') THEN
            RETURN QUERY SELECT 'ready', s.run_id, q FROM unnest(v_queues) q WHERE q <> '';
            CONTINUE;
        END IF;
        v_queue := coalesce(nullif(s.queue, ''), p_queue);
        INSERT INTO orchestrator_token (run_id, version_id, node, scope_id, generation, state, queue, priority,
            ready_at, epoch, attempt, timeout, lost, phase, verdict, cause, xid)
        SELECT s.run_id, s.version_id, s.node, s.scope_id, s.generation,
            CASE WHEN r.control = 'P' OR r.control = '-' AND branchline_kept_in_line(r.id) THEN 'H' ELSE 'R' END,
            v_queue, s.priority, clock_timestamp(), 0, 0, s.timeout, 0, 0, '', s.cause, branchline_xid()
        FROM orchestrator_run r WHERE r.id = s.run_id;
        RETURN QUERY SELECT 'ready', s.run_id, v_queue;
    END LOOP;
END $$;
