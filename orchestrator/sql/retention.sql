-- Retention: ended runs go once they are older than their workspace keeps them (decision 0032). A run and its sub-workflows
-- are one family: none goes before all are due, and then the deepest go first, so that no run is left without its parent.

-- Families that are due, oldest first. Served by run_by_finish and run_by_root. A stuck undo waits for somebody: it stays.
CREATE FUNCTION branchline_forgettable(p_limit int) RETURNS TABLE(root uuid, cut timestamptz) LANGUAGE sql STABLE AS $$
    SELECT due.id, w.cut
    FROM (SELECT s.id, now() - make_interval(days => s.keep_runs_days) AS cut
        FROM orchestrator_workspace s WHERE s.keep_runs_days IS NOT NULL) w
    CROSS JOIN LATERAL (
        SELECT r.id, r.finished_at FROM orchestrator_run r
        WHERE r.workspace_id = w.id AND r.finished_at < w.cut AND r.parent_run_id IS NULL AND r.state <> 'undo_stuck'
            AND NOT EXISTS (SELECT 1 FROM orchestrator_run m WHERE m.root_run_id = r.id
                AND (m.finished_at IS NULL OR m.finished_at >= w.cut OR m.state = 'undo_stuck'))
        ORDER BY r.finished_at LIMIT p_limit
    ) due ORDER BY due.finished_at LIMIT p_limit
$$;

-- One run and everything that hangs on it, audit entries apart. Answers how many rows of the step log went.
CREATE FUNCTION branchline_forget_run(p_run uuid) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE v_rows bigint;
BEGIN
    DELETE FROM orchestrator_steplog WHERE run_id = p_run;
    GET DIAGNOSTICS v_rows = ROW_COUNT;
    DELETE FROM orchestrator_gate_arrival WHERE run_id = p_run;
    DELETE FROM orchestrator_gate WHERE run_id = p_run;
    DELETE FROM orchestrator_scope WHERE run_id = p_run;
    DELETE FROM orchestrator_undo_item WHERE run_id = p_run;
    DELETE FROM orchestrator_payload WHERE run_id = p_run;
    DELETE FROM orchestrator_decision d USING orchestrator_human_task h WHERE h.run_id = p_run AND d.task_id = h.id;
    DELETE FROM orchestrator_human_task WHERE run_id = p_run;
    DELETE FROM orchestrator_runrecord WHERE run_id = p_run;
    DELETE FROM orchestrator_delivery WHERE run_id = p_run;
    DELETE FROM orchestrator_run WHERE id = p_run;
    RETURN v_rows;
END $$;

-- At most so many runs, fewer when their step logs are long: whoever sweeps has timers to fire too. Answers how many went.
CREATE FUNCTION branchline_forget_runs(p_limit int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    v_family record;
    v_run uuid;
    v_n int := 0;
    v_rows bigint := 0;
BEGIN
    FOR v_family IN SELECT f.root, f.cut FROM branchline_forgettable(p_limit) f LOOP
        EXIT WHEN v_n >= p_limit OR v_rows >= 20000;
        -- Somebody may be opening it again: what is reopened begins with the run at the top.
        CONTINUE WHEN NOT pg_try_advisory_xact_lock(uuid_hash_extended(v_family.root, 7));
        FOR v_run IN SELECT m.id FROM orchestrator_run m WHERE m.id = v_family.root OR m.root_run_id = v_family.root
            ORDER BY m.depth DESC, m.id LIMIT p_limit - v_n
        LOOP
            -- Under its lock the run is looked at afresh; where one stays, those above it stay too.
            EXIT WHEN v_rows >= 20000 OR NOT pg_try_advisory_xact_lock(uuid_hash_extended(v_run, 7))
                OR NOT EXISTS (SELECT 1 FROM orchestrator_run r
                    WHERE r.id = v_run AND r.finished_at < v_family.cut AND r.state <> 'undo_stuck');
            v_rows := v_rows + branchline_forget_run(v_run);
            v_n := v_n + 1;
        END LOOP;
    END LOOP;
    RETURN v_n;
END $$;

-- Events that are as old as their workspace keeps ended runs, and that no kept run has had; the oldest first. Served by
-- event_by_workspace and delivery_once. Under the locks that a publisher holds, for somebody who begins to wait may be about
-- to take one of them; where somebody has them, the event stays for a later sweep. Answers how many went.
CREATE FUNCTION branchline_forget_events(p_limit int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    v record;
    v_n int := 0;
BEGIN
    FOR v IN SELECT due.* FROM (SELECT s.id, now() - make_interval(days => s.keep_runs_days) AS cut
            FROM orchestrator_workspace s WHERE s.keep_runs_days IS NOT NULL) w
        CROSS JOIN LATERAL (
            SELECT e.id, branchline_topic(e.workspace_id, e.type, NULL) AS of_type,
                branchline_topic(e.workspace_id, e.type, e.key) AS topic
            FROM orchestrator_event e WHERE e.workspace_id = w.id AND e.accepted_at < w.cut
                AND NOT EXISTS (SELECT FROM orchestrator_delivery d WHERE d.event_id = e.id)
            ORDER BY e.accepted_at, e.id LIMIT p_limit
        ) due LIMIT p_limit
    LOOP
        CONTINUE WHEN NOT pg_try_advisory_xact_lock_shared(branchline_topic_lock(v.of_type))
            OR NOT pg_try_advisory_xact_lock(branchline_topic_lock(v.topic));
        DELETE FROM orchestrator_event e WHERE e.id = v.id
            AND NOT EXISTS (SELECT FROM orchestrator_delivery d WHERE d.event_id = e.id);
        v_n := v_n + CASE WHEN FOUND THEN 1 ELSE 0 END;
    END LOOP;
    RETURN v_n;
END $$;
