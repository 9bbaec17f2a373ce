-- Work through signals, lowest gate first: every cascade leads to higher gates, so all transactions lock gates in one
-- order. Gates appear with their first signal; what follows from a verdict stands in orchestrator_plan_gate.
-- Returns what may start: kind 'step' (an ungated step behind a failed join, or a join that fired), 'end' (the run's
-- last gate: signal 0 succeeded, 2 failed).
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
    v_ok int; v_skip int; v_fail int; v_is_end boolean;
    v_verdict char := 'O';
    v_onward int[];
    v_spawn jsonb;
BEGIN
    WHILE cardinality(pending) > 0 LOOP
        SELECT s.* INTO first FROM unnest(pending) s ORDER BY s.run_id, s.scope_id, s.gate LIMIT 1;
        SELECT count(*) FILTER (WHERE s.kind = 0), count(*) FILTER (WHERE s.kind = 1), count(*) FILTER (WHERE s.kind = 2)
            INTO v_ok, v_skip, v_fail FROM unnest(pending) s
            WHERE s.run_id = first.run_id AND s.scope_id = first.scope_id AND s.gate = first.gate;
        SELECT * INTO STRICT p FROM orchestrator_plan_gate q WHERE q.version_id = first.version_id AND q.gate = first.gate;
        -- The upsert takes the gate's row lock: from here on nobody else counts at this gate.
        INSERT INTO orchestrator_gate AS q (run_id, gate, scope_id, node, size, need, ok, skip, fail, verdict, decided)
            VALUES (first.run_id, first.gate, first.scope_id, p.node, p.size, p.need, v_ok, v_skip, v_fail, 'O', 0)
            ON CONFLICT (run_id, gate, scope_id) DO UPDATE
            SET ok = q.ok + excluded.ok, skip = q.skip + excluded.skip, fail = q.fail + excluded.fail
            RETURNING * INTO g;
        INSERT INTO orchestrator_gate_arrival (run_id, gate, scope_id, edge, entry, outcome)
            SELECT s.run_id, s.gate, s.scope_id, s.edge, s.entry, substr('osf', s.kind + 1, 1) FROM unnest(pending) s
            WHERE s.run_id = first.run_id AND s.scope_id = first.scope_id AND s.gate = first.gate;
        pending := ARRAY(SELECT s FROM unnest(pending) s
            WHERE (s.run_id, s.scope_id, s.gate) <> (first.run_id, first.scope_id, first.gate));

        v_is_end := p.queue = '';
        v_verdict := 'O'; v_onward := '{}'; v_spawn := '[]';
        IF g.verdict = 'O' THEN
            IF p.mode = 'N' AND g.ok >= g.need THEN v_verdict := 'F';
            ELSIF g.ok + g.skip + g.fail = g.size THEN
                v_verdict := CASE
                    WHEN p.mode = 'A' AND g.fail > 0 THEN 'X'
                    WHEN p.mode = 'A' AND (g.ok > 0 OR v_is_end) THEN 'F'
                    WHEN g.ok + g.fail = 0 THEN 'S'
                    ELSE 'X' END;
            END IF;
            IF v_verdict <> 'O' THEN
                UPDATE orchestrator_gate q SET verdict = v_verdict, decided = q.decided + 1
                    WHERE q.run_id = g.run_id AND q.gate = g.gate AND q.scope_id = g.scope_id;
            END IF;
        END IF;
        v_entry := first.entry;
        IF v_verdict = 'F' THEN
            RETURN QUERY SELECT CASE WHEN v_is_end THEN 'end' ELSE 'step' END, g.run_id, g.scope_id, first.version_id,
                first.generation, first.priority, g.node, p.queue::text, p.timeout,
                ARRAY(SELECT a.entry FROM orchestrator_gate_arrival a
                    WHERE a.run_id = g.run_id AND a.gate = g.gate AND a.scope_id = g.scope_id AND a.outcome = 'o'
                      AND a.entry IS NOT NULL AND NOT v_is_end ORDER BY a.edge);
        ELSIF v_verdict = 'X' AND v_is_end THEN
            RETURN QUERY SELECT 'failed', g.run_id, g.scope_id, first.version_id, first.generation, first.priority, g.node,
                ''::text, 0::float8, '{}'::bigint[];
        ELSIF v_verdict = 'X' THEN
            v_entry := nextval('orchestrator_step_log_entry');
            INSERT INTO orchestrator_steplog (entry, run_id, node, scope_id, generation, attempt, outcome, final, ports,
                finished_at, cause, error, xid)
            VALUES (v_entry, g.run_id, g.node, g.scope_id, first.generation, 1, 'F', true,
                CASE WHEN p.on_fail_handled THEN ARRAY['error'] END, clock_timestamp(),
                ARRAY(SELECT a.entry FROM orchestrator_gate_arrival a WHERE a.run_id = g.run_id AND a.gate = g.gate
                    AND a.scope_id = g.scope_id AND a.entry IS NOT NULL ORDER BY a.edge),
                jsonb_build_object('code', 'branch_failed', 'message', format(
                    '%s of %s branches failed before this step, so it could not start.', g.fail, g.size)),
                branchline_xid());
            v_onward := p.on_fail; v_spawn := p.on_fail_spawn;
        ELSIF v_verdict = 'S' THEN
            v_onward := p.on_skip;
        END IF;
        -- A gate that may fire early tells the end gate when its last branch is in: a run waits for its late branches.
        IF g.ok + g.skip + g.fail = g.size THEN v_onward := v_onward || p.on_closed; END IF;
        pending := pending || ARRAY(
            SELECT ROW(g.run_id, g.scope_id, first.version_id, first.generation, first.priority, v_onward[i],
                v_onward[i + 1], v_onward[i + 2], v_entry)::branchline_signal
            FROM generate_series(1, coalesce(cardinality(v_onward), 0), 3) i);
        RETURN QUERY SELECT 'step', g.run_id, g.scope_id, first.version_id, first.generation, first.priority, s.node,
            s.queue, s.timeout, ARRAY[v_entry]
            FROM jsonb_to_recordset(v_spawn) AS s(node int, queue text, timeout float8);
    END LOOP;
END $$;
