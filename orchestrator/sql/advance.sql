-- The only function that moves control. p_items is a list; each item ends or parks one attempt of one leased token:
--   t, e      token and epoch (with p_session: the fence); n the node, where the item was made before its token got there;
--             r its run, for the order of the items
--   o         outcome S, F, T, U; absent when nothing is logged (a wait, a hand-back, the run's own last node)
--   final, ports, out, oref, inp, iref, err, log, pay [{id, body}]   what the step log keeps
--   sig       flat triples gate, slot, signal; starts [{node, queue, timeout}] steps without a gate that may begin
--   mark      the number of the mark by which this step cancels others, see branchline_cancel_branches
--   then      go | retry | wait | back (stray: nobody knows what was done with it); delay (seconds) or until; waiting; form (a human task to open) or
--             await (an event, see branchline_advance_events);
--             open | items | child: see branchline_open; undo_inside | undo_child: see branchline_wait_for_undo
--   end       {state, output, oref} when the run ends right here
-- Items of one call commit together, in the order given: ascending by run, so that a run comes before its sub-workflows, then
-- by t, then e (steps of one chain may come at once). Rows of one token come in the order of its items.
-- Lock order (docs/architecture.md): tokens (only ours) -> run lock, shared -> containers -> gates, ascending -> run row.
-- Returns a row per item: fenced | cancelled | moved | ready | held | parked | waiting | retrying | back | ended.
CREATE FUNCTION branchline_advance(p_session bigint, p_items jsonb)
RETURNS TABLE(token_id bigint, status text, node int, epoch int, entry bigint, started_at timestamptz, queues text[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    -- Each made once, not for every call; and right for few tokens and for many: tokens are found by their key. Those of
    -- a session are few or none whenever statistics are taken, so an index of them looks cheaper, and a thousand ends
    -- of a session that holds a thousand would read a million: `state || ''` fits no such index.
    v_plans text := set_config('plan_cache_mode', 'force_generic_plan', true)
        || set_config('enable_seqscan', 'off', true) || set_config('enable_bitmapscan', 'off', true);
    i jsonb;
    v_at int;
    t orchestrator_token;
    s record;
    -- Whether `t` stands further on than its row: steps of one chain that end in one call write it once.
    v_carried boolean := false;
    -- The run whose lock we hold and whose control we have read: it stays so until we commit, or change it ourselves.
    v_run uuid;
    v_locked boolean;
    v_run_ctl char;
    v_ctl char;
    v_entry bigint;
    v_then text;
    v_move jsonb;
    v_now timestamptz;
    v_xid bigint := branchline_xid();
    v_ready char;
    v_queues text[] := '{}';
    v_signals branchline_signal[] := '{}';
    -- Tokens whose step ended and that nothing ungated follows: a gate that fires may carry them on.
    v_idle orchestrator_token[] := '{}';
    v_idle_ctl text[] := '{}';
    v_idle_entry bigint[] := '{}';
    v_n int := jsonb_array_length(p_items);
    v_plain boolean := false;
BEGIN
    -- Many ends of branches that only signal a gate, all of one run that goes on, are what a fan-out consists of: they are
    -- written together, as the loop below would write them one by one. The fence is the same.
    IF v_n >= 4 THEN
        v_plain := (SELECT bool_and(x ?& '{n,o,sig}' AND NOT x ?| '{starts,mark,end,pay}' AND coalesce(x->>'then', 'go') = 'go')
            FROM jsonb_array_elements(p_items) x);
    END IF;
    IF v_plain THEN
        -- Each by the primary key, in the order of the items: a plan for all of them might read every token there is.
        v_idle := ARRAY(SELECT l.k FROM jsonb_to_recordset(p_items) AS x(t bigint, e int, n int) CROSS JOIN LATERAL (
            SELECT k FROM orchestrator_token k
            WHERE k.id = x.t AND k.session_id = p_session AND k.epoch = x.e AND k.node = x.n AND k.state || '' = 'L'
                AND k.scope_id = 0 AND k.node >= 0 AND k.inner_scope IS NULL FOR UPDATE) l);
        v_plain := cardinality(v_idle) = v_n AND NOT EXISTS (
            SELECT FROM ROWS FROM (unnest(v_idle), jsonb_array_elements(p_items)) AS x
            WHERE x.run_id <> v_idle[1].run_id OR x.id <> (x.value->>'t')::bigint);
        IF v_plain THEN
            v_run := v_idle[1].run_id;
            v_locked := branchline_share_run(v_run);
            SELECT r.control INTO v_run_ctl FROM orchestrator_run r WHERE r.id = v_run;
            v_plain := v_run_ctl = '-';
        END IF;
        IF v_plain THEN
            v_now := clock_timestamp();
            v_idle_ctl := array_fill(v_run_ctl::text, ARRAY[v_n]);
            v_idle_entry := ARRAY(SELECT nextval('orchestrator_step_log_entry') FROM generate_series(1, v_n));
            INSERT INTO orchestrator_steplog (entry, run_id, node, scope_id, generation, attempt, outcome, final, ports,
                started_at, finished_at, session_id, cause, input, input_ref, output, output_ref, error, log, xid)
            SELECT v_idle_entry[x.ordinality], x.run_id, x.node, x.scope_id, x.generation, x.attempt, x.value->>'o', true,
                CASE WHEN x.value ? 'ports' THEN ARRAY(SELECT jsonb_array_elements_text(x.value->'ports')) END,
                CASE x.phase WHEN 1 THEN branchline_taken_at(v_idle[x.ordinality], x.attempt) ELSE x.started_at END, v_now,
                CASE WHEN x.value->>'o' <> 'K' OR x.phase > 0 THEN p_session END, x.cause,
                x.value->'inp', (x.value->>'iref')::uuid, x.value->'out', (x.value->>'oref')::uuid, x.value->'err', x.value->'log', v_xid
            FROM ROWS FROM (unnest(v_idle), jsonb_array_elements(p_items)) WITH ORDINALITY AS x;
            v_signals := ARRAY(
                SELECT ROW(x.run_id, x.scope_id, x.version_id, x.generation, x.priority, (x.value->'sig'->>s)::int,
                    (x.value->'sig'->>(s + 1))::int, (x.value->'sig'->>(s + 2))::int,
                    v_idle_entry[x.ordinality])::branchline_signal
                FROM ROWS FROM (unnest(v_idle), jsonb_array_elements(p_items)) WITH ORDINALITY AS x,
                    generate_series(0, jsonb_array_length(x.value->'sig') - 1, 3) s);
        ELSE
            v_idle := '{}';
        END IF;
    END IF;
    FOR v_at IN CASE WHEN v_plain THEN v_n ELSE 0 END .. v_n - 1 LOOP
        i := p_items->v_at;
        v_then := coalesce(i->>'then', 'go');
        IF v_carried AND v_then = 'go' AND t.id = (i->>'t')::bigint AND t.epoch = (i->>'e')::int AND t.node = (i->>'n')::int THEN
            v_carried := false;  -- the next step of its chain: ours, locked, and under the control just read
        ELSE
            IF v_carried THEN PERFORM branchline_store(t); v_carried := false; END IF;
            SELECT k.* INTO t FROM orchestrator_token k
                WHERE k.id = (i->>'t')::bigint AND k.session_id = p_session AND k.epoch = (i->>'e')::int
                AND k.node = coalesce((i->>'n')::int, k.node) AND k.state || '' = 'L' FOR UPDATE;
            IF NOT FOUND THEN
                RETURN QUERY SELECT (i->>'t')::bigint, 'fenced', NULL::int, NULL::int, NULL::bigint, NULL::timestamptz, NULL::text[];
                CONTINUE;
            END IF;
            IF v_run IS DISTINCT FROM t.run_id THEN
                v_locked := branchline_share_run(t.run_id);
                -- Read after the lock: a control change that returned before is seen, a later one waits for us.
                SELECT r.control INTO v_run_ctl FROM orchestrator_run r WHERE r.id = t.run_id;
                v_run := t.run_id;
            END IF;
            v_ctl := v_run_ctl;
            IF t.scope_id <> 0 AND t.node >= 0 AND branchline_scope_closed(t.scope_id) THEN v_ctl := 'C'; END IF;
        END IF;
        v_now := clock_timestamp();
        v_entry := NULL;
        IF i ? 'pay' THEN
            INSERT INTO orchestrator_payload (id, run_id, body, block)
            SELECT p.id, t.run_id, p.body, p.block FROM jsonb_to_recordset(i->'pay') AS p(id uuid, body jsonb, block bigint);
        END IF;
        IF i ? 'o' THEN
            v_entry := nextval('orchestrator_step_log_entry');
            INSERT INTO orchestrator_steplog (entry, run_id, node, scope_id, generation, attempt, outcome, final, ports,
                started_at, finished_at, session_id, cause, input, input_ref, output, output_ref, error, log, xid)
            VALUES (v_entry, t.run_id, t.node, t.scope_id, t.generation, t.attempt, i->>'o',
                v_then = 'go', CASE WHEN i ? 'ports' THEN ARRAY(SELECT jsonb_array_elements_text(i->'ports')) END,
                -- What another step kept from beginning was in nobody's hands: an undo knows by that that it has not acted.
                CASE t.phase WHEN 1 THEN branchline_taken_at(t, t.attempt) ELSE t.started_at END, v_now,
                CASE WHEN i->>'o' <> 'K' OR t.phase > 0 THEN p_session END, t.cause,
                i->'inp', (i->>'iref')::uuid, i->'out', (i->>'oref')::uuid, i->'err', i->'log', v_xid);
        END IF;
        IF v_ctl = 'C' OR (v_ctl = 'K' AND t.node >= 0) THEN
            IF t.inner_scope IS NOT NULL THEN PERFORM branchline_close_scopes(t.run_id, branchline_block(t.inner_scope), true); END IF;
            IF v_entry IS NULL OR v_then <> 'go' THEN
                t.attempt := t.attempt + (v_entry IS NOT NULL)::int;
                PERFORM branchline_drop_token(t, true);
            ELSE
                DELETE FROM orchestrator_token k WHERE k.id = t.id;
                -- Undone is undone: the line says so, whatever became of the run.
                IF t.node < 0 THEN PERFORM branchline_undo_settled(t, i->'err'); END IF;
            END IF;
            RETURN QUERY SELECT t.id, 'cancelled', t.node, t.epoch, v_entry, NULL::timestamptz, NULL::text[];
            v_run := NULL;
            CONTINUE;
        END IF;
        v_ready := CASE v_ctl WHEN 'P' THEN 'H' ELSE 'R' END;

        IF v_then = 'back' THEN
            -- Nothing logged: the attempt did not begin. Logged (as unknown): it may have acted and counts like a takeover.
            UPDATE orchestrator_token k SET state = v_ready, session_id = NULL, queue_limit_id = NULL, epoch = k.epoch + 1,
                attempt = k.attempt + CASE WHEN v_entry IS NOT NULL THEN (k.lost >= 4 OR k.verdict <> '')::int
                    ELSE -(k.verdict = '')::int END,
                lost = k.lost + (v_entry IS NOT NULL)::int,
                verdict = CASE WHEN v_entry IS NOT NULL AND k.lost >= 4 THEN 'U' ELSE k.verdict END,
                -- One that has never begun waits like any other: for its queue, in no time of its own.
                first_started_at = CASE WHEN v_entry IS NOT NULL OR k.verdict <> '' OR k.phase > 0 OR k.lost > 0
                    OR k.attempt > k.tried_before + 1 THEN k.first_started_at END,
                signal = CASE WHEN k.phase = 2 AND i ? 'stray' THEN branchline_lost_lane(k) ELSE k.signal END,
                deadline_at = NULL, xid = v_xid WHERE k.id = t.id;
            v_queues := v_queues || t.queue::text;
            RETURN QUERY SELECT t.id, 'back', t.node, t.epoch, v_entry, NULL::timestamptz, NULL::text[];
        ELSIF v_then IN ('retry', 'wait') THEN
            UPDATE orchestrator_token k SET state = 'W', session_id = NULL, queue_limit_id = NULL, epoch = k.epoch + 1, deadline_at = NULL,
                -- A resumed step that is retried is asked again with what it waited for.
                verdict = '', signal = CASE v_then WHEN 'retry' THEN k.signal END,
                wake_at = coalesce((i->>'until')::timestamptz, v_now + make_interval(secs => (i->>'delay')::float8)),
                waiting = (i->'waiting') || jsonb_build_object('since', v_now) || CASE WHEN v_then = 'retry' AND k.phase = 1
                    THEN jsonb_build_object('memo', k.waiting->'memo') WHEN v_then = 'wait' THEN branchline_taken(t) ELSE '{}' END,
                -- A resumed step is asked to go on. The wait is part of the same attempt.
                phase = CASE WHEN v_then = 'wait' THEN 1 ELSE k.phase END,
                -- Whoever comes back from a wait has killed nobody in what it does next.
                lost = CASE v_then WHEN 'wait' THEN 0 ELSE k.lost END,
                attempt = k.attempt - (v_then = 'wait')::int, xid = v_xid WHERE k.id = t.id;
            IF i ? 'form' THEN
                PERFORM branchline_open_task(t, i->'form', (i->>'until')::timestamptz);
            END IF;
            IF i ? 'await' THEN v_queues := v_queues || branchline_await_event(t, i->'await'); END IF;
            RETURN QUERY SELECT t.id, CASE v_then WHEN 'wait' THEN 'waiting' ELSE 'retrying' END, t.node, t.epoch + 1,
                v_entry, NULL::timestamptz, NULL::text[];
        ELSIF v_then IN ('undo_inside', 'undo_child') THEN
            v_queues := v_queues || branchline_wait_for_undo(t, i, v_now);
            RETURN QUERY SELECT t.id, 'waiting', t.node, t.epoch + 1, v_entry, NULL::timestamptz, NULL::text[];
        ELSIF t.node < 0 THEN
            DELETE FROM orchestrator_token k WHERE k.id = t.id;
            v_queues := v_queues || branchline_undo_settled(t, i->'err');
            v_run := NULL;
            RETURN QUERY SELECT t.id, 'parked', t.node, t.epoch, v_entry, NULL::timestamptz, NULL::text[];
        ELSIF v_then IN ('open', 'items', 'child') THEN
            v_queues := v_queues || branchline_open(t, i, v_ready, v_now);
            RETURN QUERY SELECT t.id, 'waiting', t.node, t.epoch + 1, v_entry, NULL::timestamptz, NULL::text[];
        ELSIF i ? 'end' THEN
            IF t.inner_scope IS NOT NULL THEN PERFORM branchline_close_scopes(t.run_id, branchline_block(t.inner_scope)); END IF;
            DELETE FROM orchestrator_token k WHERE k.id = t.id;
            v_queues := v_queues || CASE WHEN i->'end'->>'state' = 'failed'
                THEN branchline_fail_run(t.run_id, coalesce(i->'end'->'error', (i->'err') || jsonb_build_object('node', t.node),
                    branchline_first_failure(t.run_id, 0)))
                ELSE branchline_end_run(t.run_id, i->'end'->>'state', i->'end'->'output', (i->'end'->>'oref')::uuid, NULL) END;
            v_run := NULL;
            RETURN QUERY SELECT t.id, 'ended', t.node, t.epoch, v_entry, NULL::timestamptz, NULL::text[];
        ELSE
            IF t.inner_scope IS NOT NULL THEN
                v_queues := v_queues || branchline_close_scopes(t.run_id, branchline_block(t.inner_scope));
            END IF;
            IF i ? 'sig' THEN
                v_signals := v_signals || ARRAY(
                    SELECT ROW(t.run_id, t.scope_id, t.version_id, t.generation, t.priority, (i->'sig'->>n)::int,
                        (i->'sig'->>(n + 1))::int, (i->'sig'->>(n + 2))::int, v_entry)::branchline_signal
                    FROM generate_series(0, jsonb_array_length(i->'sig') - 1, 3) n);
            END IF;
            IF i ? 'mark' THEN
                INSERT INTO orchestrator_gate AS q (run_id, gate, scope_id, node, size, need, ok, skip, fail, verdict, decided,
                    cancel_pending, generation)
                VALUES (t.run_id, (i->>'mark')::int, t.scope_id, t.node, 0, 0, 0, 0, 0, 'F', 1, true, t.generation)
                ON CONFLICT (run_id, gate, scope_id) DO UPDATE SET cancel_pending = true, generation = excluded.generation;
            END IF;
            v_move := NULL;
            -- The commonest case, one step that follows in the same queue, needs no statement of its own.
            IF jsonb_array_length(i->'starts') = 1 AND i->'starts'->0->>'queue' = t.queue THEN
                v_move := i->'starts'->0;
            ELSIF i ? 'starts' THEN
                SELECT x INTO v_move FROM jsonb_array_elements(i->'starts') WITH ORDINALITY AS e(x, n)
                    WHERE x->>'queue' = t.queue ORDER BY n LIMIT 1;
                INSERT INTO orchestrator_token (run_id, version_id, node, scope_id, generation, state, queue, priority,
                    ready_at, epoch, attempt, timeout, lost, phase, verdict, cause, xid)
                SELECT t.run_id, t.version_id, s.node, t.scope_id, t.generation, v_ready, s.queue, t.priority, v_now, 0, 0,
                    s.timeout, 0, 0, '', ARRAY[v_entry], v_xid
                FROM jsonb_to_recordset(i->'starts') AS s(node int, queue text, timeout float8)
                WHERE v_move IS NULL OR s.node <> (v_move->>'node')::int;
                v_queues := v_queues || ARRAY(SELECT s.queue
                    FROM jsonb_to_recordset(i->'starts') AS s(node int, queue text)
                    WHERE v_move IS NULL OR s.node <> (v_move->>'node')::int);
            END IF;
            IF v_move IS NOT NULL AND v_ctl <> 'P' AND t.queue_limit_id IS NULL AND p_session <> 0 THEN
                t := branchline_carried(t, (v_move->>'node')::int, (v_move->>'timeout')::float8, ARRAY[v_entry], v_now);
                v_carried := true;
                token_id := t.id; status := 'moved'; node := t.node; epoch := t.epoch; entry := v_entry; started_at := v_now;
                RETURN NEXT;
            ELSIF v_move IS NOT NULL THEN
                RETURN QUERY SELECT * FROM branchline_carry(t, v_ctl, (v_move->>'node')::int,
                    (v_move->>'timeout')::float8, ARRAY[v_entry], v_entry, v_now, false);
                IF t.queue_limit_id IS NOT NULL OR p_session = 0 THEN v_queues := v_queues || t.queue::text; END IF;
            ELSE
                v_idle := v_idle || t; v_idle_ctl := v_idle_ctl || v_ctl::text; v_idle_entry := v_idle_entry || v_entry;
            END IF;
        END IF;
    END LOOP;
    IF v_carried THEN PERFORM branchline_store(t); END IF;

    IF cardinality(v_signals) > 0 THEN
        v_now := clock_timestamp();
        FOR s IN SELECT * FROM branchline_signal_gates(v_signals) LOOP
            SELECT n INTO v_n FROM generate_subscripts(v_idle, 1) n
                WHERE (v_idle[n]).run_id = s.run_id AND (v_idle[n]).scope_id = s.scope_id AND (s.queue = ''
                    OR (v_idle[n]).queue = s.queue AND (v_idle[n]).generation = s.generation) LIMIT 1;
            IF s.kind = 'scope' THEN
                -- The token that was last in a body has nothing to go on to: its container's own token does.
                v_queues := v_queues || branchline_scope_ended(s.run_id, s.scope_id, s.queue);
                CONTINUE;
            ELSIF s.kind = 'failed' THEN
                v_queues := v_queues
                    || branchline_fail_run(s.run_id, branchline_first_failure(s.run_id, 0));
                IF v_n IS NOT NULL THEN
                    t := v_idle[v_n];
                    DELETE FROM orchestrator_token k WHERE k.id = t.id;
                    RETURN QUERY SELECT t.id, 'ended', t.node, t.epoch, v_idle_entry[v_n], NULL::timestamptz, NULL::text[];
                END IF;
            ELSIF v_n IS NOT NULL THEN
                t := v_idle[v_n];
                RETURN QUERY SELECT * FROM branchline_carry(t, v_idle_ctl[v_n]::char, s.node, s.timeout, s.cause,
                    v_idle_entry[v_n], v_now, s.kind = 'end');
                IF t.queue_limit_id IS NOT NULL OR p_session = 0 THEN v_queues := v_queues || t.queue::text; END IF;
            ELSE
                SELECT r.control INTO v_ctl FROM orchestrator_run r WHERE r.id = s.run_id;
                INSERT INTO orchestrator_token (run_id, version_id, node, scope_id, generation, state, queue, priority,
                    ready_at, epoch, attempt, timeout, lost, phase, verdict, cause, xid)
                VALUES (s.run_id, s.version_id, s.node, s.scope_id, s.generation, CASE v_ctl WHEN 'P' THEN 'H' ELSE 'R' END,
                    s.queue, s.priority, v_now, 0, 0, s.timeout, 0, 0, '', s.cause, v_xid);
                v_queues := v_queues || s.queue;
            END IF;
            IF v_n IS NOT NULL THEN
                v_idle := v_idle[:v_n - 1] || v_idle[v_n + 1:];
                v_idle_ctl := v_idle_ctl[:v_n - 1] || v_idle_ctl[v_n + 1:];
                v_idle_entry := v_idle_entry[:v_n - 1] || v_idle_entry[v_n + 1:];
            END IF;
        END LOOP;
    END IF;
    IF cardinality(v_idle) > 0 THEN
        DELETE FROM orchestrator_token k WHERE k.id = ANY(ARRAY(SELECT (x).id FROM unnest(v_idle) x));
        RETURN QUERY SELECT (v_idle[n]).id, 'parked', (v_idle[n]).node, (v_idle[n]).epoch, v_idle_entry[n],
            NULL::timestamptz, NULL::text[] FROM generate_subscripts(v_idle, 1) n;
    END IF;
    v_queues := array_remove(array_remove(v_queues, NULL), '');
    IF cardinality(v_queues) > 0 THEN
        RETURN QUERY SELECT NULL::bigint, 'queues', NULL::int, NULL::int, NULL::bigint, NULL::timestamptz, v_queues;
    END IF;
END $$;
