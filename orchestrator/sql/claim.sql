-- Lease up to p_n ready tokens to a session. Commits without waiting for the flush: losing a claim is harmless,
-- because the fence is (session, epoch): a lost epoch may be issued again to another session, whose random id differs, or
-- to the same one, which knows what it has at work and does not begin it twice.
-- A suspect is a token that two workers died with: one of them may be what kills workers. A session gets one of them at
-- a time, and none if it says so (p_suspects): a step that kills takes an innocent one along twice at most.
-- Tokens of queues that their workspace limits stand in lines; who is admitted competes with all others, in one order.
CREATE FUNCTION branchline_claim(p_session bigint, p_queues text[], p_n int, p_suspects boolean)
RETURNS TABLE(id bigint, run_id uuid, version_id bigint, node int, scope_id bigint, generation int, epoch int,
    attempt int, lost smallint, tried_before int, phase smallint, verdict text, started_at timestamptz, first_started_at timestamptz,
    waiting jsonb, signal jsonb, cause bigint[], queue text, timeout float8,
    workspace_id bigint, workflow_id bigint, input jsonb, input_ref uuid, correlation_id text, run_started_at timestamptz,
    trigger text, business_key text, started_by_id bigint, trace_context jsonb, root_run_id uuid, depth smallint,
    queue_limit_id bigint)
LANGUAGE plpgsql AS $$
DECLARE
    t orchestrator_token;
    r record;
    v_now timestamptz := clock_timestamp();
    v_suspects boolean := p_suspects;
    v_limited boolean;
    v_limit bigint;
    v_lines orchestrator_queue_limit[];
    v_admitted bigint[];
    v_started bigint[] := '{}';
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    v_limited := EXISTS (SELECT FROM orchestrator_queue_limit l WHERE l.queue = ANY(p_queues));
    IF v_limited THEN
        v_lines := branchline_lines(p_queues, p_n, v_now);
        v_admitted := ARRAY(SELECT branchline_admit(l, p_n, p_suspects, v_now) FROM unnest(v_lines) l);
    END IF;
    FOR t IN
        SELECT k.* FROM orchestrator_token k
        WHERE k.state = 'R' AND k.queue_limit_id IS NULL AND k.queue = ANY(p_queues) AND k.ready_at <= v_now
            AND (p_suspects OR k.lost < 2)
        ORDER BY k.priority, k.ready_at, k.id FOR UPDATE SKIP LOCKED LIMIT p_n
    LOOP
        CONTINUE WHEN t.lost >= 2 AND NOT v_suspects;
        PERFORM branchline_share_run(t.run_id);
        SELECT q.control, q.workspace_id, q.workflow_id, q.input, q.input_ref, q.correlation_id, q.started_at, q.trigger,
            q.business_key, q.started_by_id, q.trace_context, q.root_run_id, q.depth INTO r
            FROM orchestrator_run q WHERE q.id = t.run_id;
        IF t.scope_id <> 0 AND t.node >= 0 AND branchline_scope_closed(t.scope_id) THEN
            PERFORM branchline_drop_token(t);
            CONTINUE;
        END IF;
        IF v_limited THEN
            v_limit := (SELECT l.id FROM orchestrator_queue_limit l WHERE l.workspace_id = r.workspace_id AND l.queue = t.queue);
            -- One that came this very moment: whoever tells of it has it line up.
            CONTINUE WHEN v_limit IS NOT NULL AND t.id <> ALL (v_admitted);
        END IF;
        IF r.control = '-' OR (r.control = 'K' AND t.node < 0) THEN
            UPDATE orchestrator_token k SET state = 'L', session_id = p_session, epoch = k.epoch + 1,
                attempt = k.attempt + (k.verdict = '')::int, started_at = v_now,
                first_started_at = coalesce(k.first_started_at, v_now),
                deadline_at = v_now + make_interval(secs => k.timeout + 10), queue_limit_id = v_limit, xid = branchline_xid()
            WHERE k.id = t.id RETURNING k.* INTO t;
            id := t.id; run_id := t.run_id; version_id := t.version_id; node := t.node; scope_id := t.scope_id;
            generation := t.generation; epoch := t.epoch; attempt := t.attempt; lost := t.lost; tried_before := t.tried_before;
            phase := t.phase;
            verdict := t.verdict; started_at := t.started_at; first_started_at := t.first_started_at;
            waiting := t.waiting; signal := t.signal; cause := t.cause; queue := t.queue; timeout := t.timeout;
            workspace_id := r.workspace_id; workflow_id := r.workflow_id; input := r.input; input_ref := r.input_ref;
            correlation_id := r.correlation_id; run_started_at := r.started_at; trigger := r.trigger;
            business_key := r.business_key; started_by_id := r.started_by_id; trace_context := r.trace_context;
            root_run_id := r.root_run_id; depth := r.depth;
            queue_limit_id := v_limit;
            IF v_limit IS NOT NULL AND phase = 0 THEN v_started := v_started || v_limit; END IF;
            v_suspects := v_suspects AND lost < 2;
            RETURN NEXT;
        ELSIF r.control = 'P' THEN
            UPDATE orchestrator_token k SET state = 'H', epoch = k.epoch + 1, xid = branchline_xid() WHERE k.id = t.id;
        ELSE
            PERFORM branchline_drop_token(t);
        END IF;
    END LOOP;
    IF v_lines <> '{}' THEN PERFORM branchline_leave_lines(v_lines, v_admitted, v_started, v_now); END IF;
END $$;
