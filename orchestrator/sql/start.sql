-- Start a run: its row, its first tokens and its record, or nothing. One statement, one transaction.
-- p_run: {id, workspace, workflow, workflow_slug, version, input, input_ref, pay, correlation_id, business_key,
--         idempotency_key, digest, trace_context, trigger, user, actor, via, priority, deadline (seconds), deadline_at (wins),
--         parent_run, parent_token, parent_epoch, parent_node, parent_scope, parent_generation, root_run, depth,
--         concurrency_key, concurrency_limit, on_limit: only under a limit};
-- p_starts: [{node, queue, timeout}].
-- Answers also when it began, and the position of a read that sees this start (see queries/runs.py).
CREATE FUNCTION branchline_start_run(p_run jsonb, p_starts jsonb)
RETURNS TABLE(run_id uuid, status text, started_at timestamptz, seq bigint)
LANGUAGE plpgsql AS $$
DECLARE
    v_plans text := set_config('plan_cache_mode', 'force_generic_plan', true);
    v_id uuid := (p_run->>'id')::uuid;
    v_old record;
    v_xid bigint := branchline_xid();
    v_now timestamptz := clock_timestamp();
    v_full boolean := false;
BEGIN
    IF p_run ? 'concurrency_key' THEN
        v_full := branchline_limit_reached(p_run);
        IF v_full AND p_run->>'on_limit' = 'refuse' AND NOT EXISTS (SELECT 1 FROM orchestrator_run r
            WHERE r.workflow_id = (p_run->>'workflow')::bigint AND r.idempotency_key = p_run->>'idempotency_key') THEN
            RETURN QUERY SELECT NULL::uuid, 'concurrency_limit', NULL::timestamptz, NULL::bigint;
            RETURN;
        END IF;
    END IF;
    INSERT INTO orchestrator_run AS r (id, workspace_id, workflow_id, version_id, state, control, input, input_ref,
        correlation_id, business_key, idempotency_key, idempotency_digest, trace_context, trigger, started_by_id, priority,
        generation, started_at, deadline_at, parent_run_id, parent_token, parent_epoch, parent_node, parent_scope,
        parent_generation, call, root_run_id, depth, concurrency_key, concurrency_limit, replaces, queued, xid)
    VALUES (v_id, (p_run->>'workspace')::bigint, (p_run->>'workflow')::bigint, (p_run->>'version')::bigint, 'running', '-',
        p_run->'input', (p_run->>'input_ref')::uuid, p_run->>'correlation_id', p_run->>'business_key',
        p_run->>'idempotency_key', coalesce(p_run->>'digest', ''), p_run->'trace_context', p_run->>'trigger',
        (p_run->>'user')::bigint, (p_run->>'priority')::smallint, 0, v_now,
        coalesce((p_run->>'deadline_at')::timestamptz, v_now + make_interval(secs => (p_run->>'deadline')::float8)),
        (p_run->>'parent_run')::uuid, (p_run->>'parent_token')::bigint, (p_run->>'parent_epoch')::int,
        (p_run->>'parent_node')::int, (p_run->>'parent_scope')::bigint, (p_run->>'parent_generation')::int,
        CASE WHEN p_run ? 'parent_scope' THEN branchline_call(p_run) END, (p_run->>'root_run')::uuid, coalesce((p_run->>'depth')::smallint, 0),
        p_run->>'concurrency_key', (p_run->>'concurrency_limit')::int, coalesce(p_run->>'on_limit' = 'replace', false), v_full, v_xid)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        SELECT r.id, r.idempotency_digest INTO v_old FROM orchestrator_run r
            WHERE r.workflow_id = (p_run->>'workflow')::bigint AND r.idempotency_key = p_run->>'idempotency_key';
        IF FOUND THEN
            RETURN QUERY SELECT v_old.id,
                CASE WHEN v_old.idempotency_digest = p_run->>'digest' THEN 'repeated' ELSE 'key_reused' END,
                NULL::timestamptz, NULL::bigint;
        ELSE
            RETURN QUERY SELECT NULL::uuid, 'business_key_open', NULL::timestamptz, NULL::bigint;
        END IF;
        RETURN;
    END IF;
    IF p_run ? 'pay' THEN
        INSERT INTO orchestrator_payload (id, run_id, body)
        SELECT p.id, v_id, p.body FROM jsonb_to_recordset(p_run->'pay') AS p(id uuid, body jsonb);
    END IF;
    INSERT INTO orchestrator_token (run_id, version_id, node, scope_id, generation, state, queue, priority, ready_at,
        epoch, attempt, timeout, lost, phase, verdict, cause, xid)
    SELECT v_id, (p_run->>'version')::bigint, s.node, 0, 0, CASE WHEN v_full THEN 'H' ELSE 'R' END, s.queue, (p_run->>'priority')::smallint,
        clock_timestamp(), 0, 0, s.timeout, 0, 0, '', '{}', v_xid
    FROM jsonb_to_recordset(p_starts) AS s(node int, queue text, timeout float8);
    INSERT INTO orchestrator_runrecord (run_id, at, kind, actor, detail, xid)
    VALUES (v_id, clock_timestamp(), 'started', coalesce(p_run->>'actor', ''),
        jsonb_build_object('trigger', p_run->>'trigger'), v_xid);
    INSERT INTO orchestrator_auditentry (workspace_id, actor_id, actor_name, via, action, target, allowed, detail, at)
    VALUES ((p_run->>'workspace')::bigint, (p_run->>'user')::bigint, coalesce(p_run->>'actor', ''), p_run->>'via',
        'run.start', 'run ' || v_id, true,
        jsonb_build_object('workflow', p_run->>'workflow_slug', 'trigger', p_run->>'trigger'), clock_timestamp());
    run_id := v_id;
    status := CASE WHEN v_full THEN 'queued' ELSE 'started' END;
    started_at := v_now;
    seq := pg_snapshot_xmin(pg_current_snapshot())::text::bigint;
    RETURN NEXT;
END $$;
