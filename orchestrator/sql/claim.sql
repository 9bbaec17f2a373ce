-- Lease up to p_n ready tokens to a session. Commits without waiting for the flush: losing a claim is harmless,
-- because the fence is (session, epoch): a lost epoch may be issued again to another session, whose random id differs, or
-- to the same one, which knows what it has at work and does not begin it twice.
-- A suspect is a token that two workers died with: one of them may be what kills workers. A session gets one of them at
-- a time, and none if it says so (p_suspects): a step that kills takes an innocent one along twice at most.
-- What concerns the run as a whole (from workspace_id on) stands in one row of each run, and is NULL in its others.
-- Tokens of queues that their workspace limits stand in lines; who is admitted competes with all others, in one order.
CREATE FUNCTION branchline_claim(p_session bigint, p_queues text[], p_n int, p_suspects boolean)
RETURNS TABLE(id bigint, run_id uuid, version_id bigint, node int, scope_id bigint, generation int, epoch int,
    attempt int, lost smallint, tried_before int, phase smallint, verdict text, started_at timestamptz, first_started_at timestamptz,
    waiting jsonb, signal jsonb, cause bigint[], queue text, timeout float8,
    workspace_id bigint, workflow_id bigint, input jsonb, input_ref uuid, correlation_id text, run_started_at timestamptz,
    trigger text, business_key text, started_by_id bigint, trace_context jsonb, root_run_id uuid, depth smallint,
    queue_limit_id bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_flush text := set_config('synchronous_commit', 'off', true);
    -- Each plan is made once, and not one that reads all tokens because there were few of them.
    v_plans text := set_config('plan_cache_mode', 'force_generic_plan', true)
        || set_config('enable_seqscan', 'off', true) || set_config('enable_bitmapscan', 'off', true);
    t orchestrator_token;
    r record;
    v_now timestamptz := clock_timestamp();
    v_at timestamptz;
    v_suspects boolean := p_suspects;
    v_limited boolean;
    v_limit bigint;
    v_lines orchestrator_queue_limit[];
    v_admitted bigint[];
    v_started bigint[] := '{}';
    v_look int := 4 * p_n;
    v_found bigint[];
    v_n int := 0;
    v_seen bigint[] := '{}';
    v_held orchestrator_token[];
    v_run uuid;
    v_in_line boolean;
    v_locked boolean;
    v_leased bigint[] := '{}';
    v_limits bigint[] := '{}';
BEGIN
    v_limited := EXISTS (SELECT FROM orchestrator_queue_limit l WHERE l.queue = ANY(p_queues));
    IF v_limited THEN
        v_lines := branchline_lines(p_queues, p_n, v_now);
        v_admitted := ARRAY(SELECT branchline_admit(l, p_n, p_suspects, v_now) FROM unnest(v_lines) l);
    END IF;
    -- The first of each queue by its index, however many stand behind them; further on where others hold those.
    LOOP
        v_found := ARRAY(SELECT h.id FROM unnest(p_queues) q CROSS JOIN LATERAL (
                SELECT k.id, k.priority, k.ready_at FROM orchestrator_token k
                WHERE k.state = 'R' AND k.queue_limit_id IS NULL AND k.queue = q
                    AND (p_suspects OR k.lost < 2)
                ORDER BY k.priority, k.ready_at, k.id LIMIT v_look) h
            ORDER BY h.priority, h.ready_at, h.id LIMIT v_look);
        v_held := ARRAY(
            SELECT k FROM orchestrator_token k
            WHERE k.id = ANY(v_found) AND k.id <> ALL(v_seen) AND k.state = 'R' AND k.queue_limit_id IS NULL
                AND (p_suspects OR k.lost < 2)
            ORDER BY k.priority, k.ready_at, k.id FOR UPDATE SKIP LOCKED LIMIT p_n - v_n);
        -- A run before its sub-workflows, which began later: so does control lock them.
        IF cardinality(v_held) > 1 THEN
            FOR v_run IN SELECT DISTINCT x.run_id FROM unnest(v_held) x ORDER BY 1 LOOP
                v_locked := branchline_share_run(v_run);
            END LOOP;
            v_run := NULL;
        END IF;
        FOREACH t IN ARRAY v_held LOOP
            v_n := v_n + 1;
            v_seen := v_seen || t.id;
            CONTINUE WHEN t.lost >= 2 AND NOT v_suspects;
            IF v_run IS DISTINCT FROM t.run_id THEN
                v_locked := branchline_share_run(t.run_id);
                SELECT q.control, q.workspace_id, q.queued OR q.parent_run_id IS NOT NULL AS may_wait INTO r
                    FROM orchestrator_run q WHERE q.id = t.run_id;
                v_run := t.run_id;
                v_in_line := false;
                IF r.may_wait THEN v_in_line := branchline_kept_in_line(t.run_id); END IF;
            END IF;
            IF t.scope_id <> 0 AND t.node >= 0 AND branchline_scope_closed(t.scope_id) THEN
                PERFORM branchline_drop_token(t);
                CONTINUE;
            END IF;
            IF v_limited THEN
                v_limit := (SELECT l.id FROM orchestrator_queue_limit l WHERE l.workspace_id = r.workspace_id AND l.queue = t.queue);
                -- One that came this very moment: whoever tells of it has it line up.
                CONTINUE WHEN v_limit IS NOT NULL AND t.id <> ALL (v_admitted);
            END IF;
            -- Its line moves on at this very moment: the next call knows.
            CONTINUE WHEN r.control = '-' AND v_in_line IS NULL;
            IF r.control = '-' AND NOT v_in_line OR (r.control = 'K' AND t.node < 0) THEN
                v_leased := v_leased || t.id;
                v_limits := v_limits || v_limit;
                IF v_limit IS NOT NULL AND t.phase = 0 THEN v_started := v_started || v_limit; END IF;
                v_suspects := v_suspects AND t.lost < 2;
            ELSIF r.control IN ('-', 'P') THEN
                UPDATE orchestrator_token k SET state = 'H', epoch = k.epoch + 1, xid = branchline_xid() WHERE k.id = t.id;
            ELSE
                PERFORM branchline_drop_token(t, true);
            END IF;
        END LOOP;
        EXIT WHEN v_n >= p_n OR cardinality(v_found) < v_look;
        v_look := 8 * v_look;
    END LOOP;
    -- Now, not when this call began: what led to a step may have ended meanwhile, and a step never begins before that.
    v_at := clock_timestamp();
    RETURN QUERY
        WITH leased AS (
            UPDATE orchestrator_token k SET state = 'L', session_id = p_session, epoch = k.epoch + 1,
                attempt = k.attempt + (k.verdict = '')::int, started_at = v_at,
                first_started_at = coalesce(k.first_started_at, v_at),
                deadline_at = v_at + make_interval(secs => k.timeout + 10), queue_limit_id = l.limit_id, xid = branchline_xid()
            -- By the key, named twice: from the list alone a plan may follow that reads all tokens.
            FROM unnest(v_leased, v_limits) AS l(id, limit_id) WHERE k.id = ANY(v_leased) AND k.id = l.id RETURNING k.*
        )
        , first AS (SELECT DISTINCT ON (k.run_id) k.id, k.run_id FROM leased k ORDER BY k.run_id)
        SELECT k.id, k.run_id, k.version_id, k.node, k.scope_id, k.generation, k.epoch, k.attempt, k.lost, k.tried_before,
            k.phase, k.verdict::text, k.started_at, k.first_started_at, k.waiting, k.signal, k.cause, k.queue::text, k.timeout,
            q.workspace_id, q.workflow_id, q.input, q.input_ref, q.correlation_id::text, q.started_at, q.trigger::text,
            q.business_key::text, q.started_by_id, q.trace_context, q.root_run_id, q.depth, k.queue_limit_id
        FROM leased k LEFT JOIN (first f JOIN orchestrator_run q ON q.id = f.run_id) ON f.id = k.id
        ORDER BY k.priority, k.ready_at, k.id;
    -- The rate counts from when the steps are said to begin: starts are as far apart as the log says.
    IF v_lines <> '{}' THEN PERFORM branchline_leave_lines(v_lines, v_admitted, v_started, v_at); END IF;
END $$;
