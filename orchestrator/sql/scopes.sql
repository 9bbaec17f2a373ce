-- What stands inside containers. A scope's number is its block's number plus an index below 131072; the block has the row.
CREATE FUNCTION branchline_block(p_scope bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT p_scope & ~131071::bigint $$;

-- A container's block and those of all containers in it.
CREATE FUNCTION branchline_blocks_inside(p_run uuid, p_block bigint) RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    WITH RECURSIVE inside AS (
        SELECT p_block AS id
        UNION ALL
        SELECT s.id FROM inside i JOIN orchestrator_scope s ON s.run_id = p_run AND s.parent BETWEEN i.id AND i.id + 131071
    ) SELECT id FROM inside
$$;

CREATE FUNCTION branchline_scope_closed(p_scope bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT 1 FROM orchestrator_scope s WHERE s.id = branchline_block(p_scope) AND s.state = 'C')
$$;

-- A token parks for what it opens: then = open (one body), items (a for-each's lanes) or child (a run of its own).
-- i.scope: {index, starts} or {total, chunk, lanes, timeout, tolerate, items | iref}; i.child: a run for branchline_start_run.
-- Returns the queues on which something became ready.
CREATE FUNCTION branchline_open(t orchestrator_token, i jsonb, p_ready char, p_now timestamptz) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
    v_open jsonb := i->'scope';
    v_block bigint := (t.waiting->>'block')::bigint;
    v_inner bigint;
    v_queues text[];
    v_status text;
    v_goes_on boolean;
    v_xid bigint := branchline_xid();
BEGIN
    IF i->>'then' = 'child' THEN
        SELECT c.status INTO v_status FROM branchline_start_run(i->'child' || jsonb_build_object('parent_token', t.id, 'parent_epoch', t.epoch + 1,
            'parent_node', t.node, 'parent_scope', t.scope_id, 'parent_generation', t.generation, 'priority', t.priority),
            i->'starts') c;
        IF p_ready = 'H' THEN
            -- The pause has passed by this run, which was not there yet; the resume will find it.
            PERFORM branchline_set_control((i->'child'->>'id')::uuid, 'P', NULL, '', 'paused', jsonb_build_object('by_run', t.run_id));
        ELSIF v_status = 'started' THEN
            v_queues := ARRAY(SELECT x->>'queue' FROM jsonb_array_elements(i->'starts') x);
        END IF;
    ELSE
        IF v_block IS NULL THEN
            IF v_open ? 'lock' AND NOT branchline_lock_is_free(t.run_id, v_open->>'lock') THEN
                RETURN branchline_await_lock(t, v_open->>'lock', p_now);
            END IF;
            -- A retry goes on inside the block that it has found, now that it has the lock.
            UPDATE orchestrator_scope s SET state = 'O', token_id = t.id
                WHERE s.id = branchline_block(t.inner_scope) AND s.run_id = t.run_id RETURNING s.id INTO v_block;
        END IF;
        v_goes_on := v_block IS NOT NULL AND NOT coalesce(t.waiting ? 'block', false);
        IF v_block IS NULL THEN
            v_block := nextval('orchestrator_scope_block') * 131072;
            INSERT INTO orchestrator_scope (id, run_id, parent, node, generation, token_id, state, total, next, chunk, lanes,
                ok, fail, tolerate, enough, lock, items, items_ref, cause)
            VALUES (v_block, t.run_id, t.scope_id, t.node, t.generation, t.id, 'O', coalesce((v_open->>'total')::int, 0),
                coalesce(least((v_open->>'total')::int, (v_open->>'chunk')::int * (v_open->>'lanes')::int), 0),
                coalesce((v_open->>'chunk')::int, 0), coalesce((v_open->>'lanes')::int, 0), 0, 0,
                coalesce((v_open->>'tolerate')::int, 0), (v_open->>'enough')::int, v_open->>'lock', v_open->'items', (v_open->>'iref')::uuid, t.cause[1]);
        END IF;
        IF v_goes_on THEN
            v_inner := t.inner_scope;
            v_queues := branchline_next_turn(t.run_id, v_block);
        ELSIF i->>'then' = 'open' THEN
            v_inner := v_block + (v_open->>'index')::int;
            v_queues := branchline_enter(t, v_inner, v_open->'starts', p_ready, p_now);
        ELSE
            v_inner := v_block;
            -- A lane does one item after another. Its attempts are numbered apart, so that lost ones can all be logged.
            INSERT INTO orchestrator_token (run_id, version_id, node, scope_id, generation, state, queue, priority, ready_at,
                epoch, attempt, timeout, lost, phase, verdict, signal, cause, xid)
            SELECT t.run_id, t.version_id, t.node, v_block, t.generation, p_ready, t.queue, t.priority, p_now, 0, n * 1000,
                (v_open->>'timeout')::float8, 0, 2, '', jsonb_build_object('lo', n * (v_open->>'chunk')::int,
                    'hi', least((n + 1) * (v_open->>'chunk')::int, (v_open->>'total')::int)), t.cause, v_xid
            FROM generate_series(0, (v_open->>'lanes')::int - 1) n;
            v_queues := array_fill(t.queue::text, ARRAY[least((v_open->>'lanes')::int, 16)]);
        END IF;
    END IF;
    UPDATE orchestrator_token k SET state = 'W', session_id = NULL, queue_limit_id = NULL, epoch = k.epoch + 1,
        deadline_at = NULL, lost = 0, verdict = '',
        signal = NULL, phase = 1, attempt = k.attempt - 1, inner_scope = v_inner,
        wake_at = p_now + make_interval(secs => (i->>'delay')::float8),
        waiting = (i->'waiting') || jsonb_build_object('since', p_now) || jsonb_strip_nulls(jsonb_build_object('block', v_block))
            || branchline_taken(t),
        xid = v_xid
    WHERE k.id = t.id;
    IF v_status = 'concurrency_limit' THEN
        RETURN ARRAY[branchline_wake(t.id, t.epoch + 1, jsonb_build_object('state', 'refused', 'workflow',
            i->'child'->>'workflow_slug', 'limit', i->'child'->'concurrency_limit', 'key', i->'child'->>'concurrency_key'))];
    END IF;
    RETURN v_queues;
END $$;

-- Whether no open container of the run has this lock. Two that ask at once come one after the other, until their commit;
-- one that asks while the holder ends either sees it ended, or is seen waiting by it.
CREATE FUNCTION branchline_lock_is_free(p_run uuid, p_lock text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(p_lock, uuid_hash_extended(p_run, 11)));
    RETURN NOT EXISTS (SELECT FROM orchestrator_scope s WHERE s.run_id = p_run AND s.lock = p_lock AND s.state = 'O');
END $$;

-- Not begun yet: it asks again when the holder ends, and every few seconds, should that word be lost.
CREATE FUNCTION branchline_await_lock(t orchestrator_token, p_lock text, p_now timestamptz) RETURNS text[]
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE orchestrator_token k SET state = 'W', session_id = NULL, queue_limit_id = NULL, epoch = k.epoch + 1,
        deadline_at = NULL, lost = 0, verdict = '',
        attempt = k.attempt - 1, first_started_at = NULL, wake_at = p_now + interval '5 seconds',
        waiting = jsonb_build_object('kind', 'lock', 'text', format('Waiting for its turn at "%s"', p_lock), 'lock', p_lock,
            'since', p_now),
        xid = branchline_xid()
    WHERE k.id = t.id;
    RETURN '{}';
END $$;

-- The next one that waits for a lock asks again. Returns its queue.
CREATE FUNCTION branchline_pass_lock(p_run uuid, p_lock text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE v_queue text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(p_lock, uuid_hash_extended(p_run, 11)));
    UPDATE orchestrator_token k SET state = 'R', wake_at = NULL, ready_at = clock_timestamp(), epoch = k.epoch + 1,
        xid = branchline_xid()
    WHERE k.id = (SELECT q.id FROM orchestrator_token q WHERE q.run_id = p_run AND q.state = 'W'
        AND q.waiting->>'kind' = 'lock' AND q.waiting->>'lock' = p_lock ORDER BY q.id FOR UPDATE SKIP LOCKED LIMIT 1)
    RETURNING k.queue INTO v_queue;
    RETURN v_queue;
END $$;

-- The first steps of a body begin in its scope.
CREATE FUNCTION branchline_enter(t orchestrator_token, p_scope bigint, p_starts jsonb, p_ready char, p_now timestamptz)
RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO orchestrator_token (run_id, version_id, node, scope_id, generation, state, queue, priority, ready_at, epoch,
        attempt, timeout, lost, phase, verdict, cause, xid)
    SELECT t.run_id, t.version_id, (x->>'node')::int, p_scope, t.generation, p_ready, x->>'queue', t.priority, p_now, 0, 0,
        (x->>'timeout')::float8, 0, 0, '', t.cause, branchline_xid()
    FROM jsonb_array_elements(p_starts) x;
    RETURN ARRAY(SELECT x->>'queue' FROM jsonb_array_elements(p_starts) x);
END $$;

-- All paths of a body have ended: whoever waits for it goes on. Ready even while paused, as in branchline_wake.
CREATE FUNCTION branchline_scope_ended(p_run uuid, p_scope bigint, p_state text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE v_queue text;
BEGIN
    UPDATE orchestrator_token k SET state = 'R', wake_at = NULL, ready_at = clock_timestamp(), epoch = k.epoch + 1,
        signal = coalesce(k.signal, '{}') || jsonb_build_object('state', p_state, 'scope', p_scope), xid = branchline_xid()
    WHERE k.inner_scope = p_scope AND k.run_id = p_run AND k.state = 'W' RETURNING k.queue INTO v_queue;
    RETURN v_queue;
END $$;

-- A container has ended, perhaps before everything in it did: nothing in it, at any depth, goes on.
-- What somebody has locked at this moment is left to branchline_drain_scopes: a leased token meets the closed scope at its
-- next call, but one that parks has none. So is all that is leased when `p_gently`: an undo of what happened inside waits
-- for it, and it has the grace of a cancelled run. The caller holds the run lock, shared.
-- Returns the queues of those who waited for a lock that is free now.
CREATE FUNCTION branchline_close_scopes(p_run uuid, p_block bigint, p_gently boolean DEFAULT false) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
    t orchestrator_token;
    v_blocks bigint[];
    v_locks text[];
BEGIN
    v_blocks := ARRAY(SELECT branchline_blocks_inside(p_run, p_block));
    WITH closed AS (
        UPDATE orchestrator_scope s SET state = 'C' WHERE s.id = ANY(v_blocks) AND s.state = 'O' RETURNING s.lock
    ) SELECT array_agg(DISTINCT c.lock ORDER BY c.lock) INTO v_locks FROM closed c WHERE c.lock IS NOT NULL;
    FOR t IN SELECT k.* FROM orchestrator_token k WHERE k.run_id = p_run AND k.scope_id <> 0
        AND branchline_block(k.scope_id) = ANY(v_blocks) AND NOT (p_gently AND k.state = 'L')
        ORDER BY k.id FOR UPDATE SKIP LOCKED
    LOOP
        CONTINUE WHEN NOT branchline_close_task(t);
        -- What is in its own body is seen to here, gently or not.
        t.inner_scope := NULL;
        PERFORM branchline_drop_token(t);
    END LOOP;
    UPDATE orchestrator_scope s SET draining_since = clock_timestamp() WHERE s.id IN (
        SELECT branchline_block(k.scope_id) FROM orchestrator_token k
        WHERE k.run_id = p_run AND k.scope_id <> 0 AND branchline_block(k.scope_id) = ANY(v_blocks));
    RETURN ARRAY(SELECT branchline_pass_lock(p_run, l) FROM unnest(v_locks) l);
END $$;

-- What was left in containers when they closed goes like the rest, except the undo steps that a container waits for: what
-- is at work in an open run after the grace (seconds). One whose task is decided, or token moved, at this moment is left to
-- the next call. Returns the runs that lost something.
CREATE FUNCTION branchline_drain_scopes(p_grace float8, p_limit int) RETURNS SETOF uuid LANGUAGE plpgsql AS $$
DECLARE
    s record;
    t orchestrator_token;
BEGIN
    FOR s IN SELECT q.id, q.run_id, r.finished_at IS NOT NULL
            OR q.draining_since < clock_timestamp() - make_interval(secs => p_grace) AS hard
        FROM orchestrator_scope q JOIN orchestrator_run r ON r.id = q.run_id
        WHERE q.draining_since IS NOT NULL ORDER BY q.id LIMIT p_limit
    LOOP
        -- A retry may open it again right now.
        CONTINUE WHEN NOT pg_try_advisory_xact_lock_shared(uuid_hash_extended(s.run_id, 7));
        -- Before the tokens of containers in it: a lane that ends has its block before its container's token.
        PERFORM FROM orchestrator_scope b WHERE b.id IN (SELECT branchline_blocks_inside(s.run_id, s.id)) ORDER BY b.id FOR UPDATE;
        FOR t IN SELECT k.* FROM orchestrator_token k WHERE k.run_id = s.run_id AND k.scope_id BETWEEN s.id AND s.id + 131071
            AND branchline_is_left(k) AND (s.hard OR k.state <> 'L') ORDER BY k.id FOR UPDATE SKIP LOCKED
        LOOP
            CONTINUE WHEN NOT branchline_close_task(t);
            PERFORM branchline_drop_token(t);
            RETURN NEXT s.run_id;
        END LOOP;
        UPDATE orchestrator_scope q SET draining_since = NULL WHERE q.id = s.id AND NOT EXISTS (
            SELECT FROM orchestrator_token k WHERE k.run_id = s.run_id AND k.scope_id BETWEEN s.id AND s.id + 131071
            AND branchline_is_left(k));
    END LOOP;
END $$;

-- Whether a token in a container has nothing to do there any more: the container is closed, and nobody waits for its undo.
CREATE FUNCTION branchline_is_left(t orchestrator_token) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT branchline_scope_closed(t.scope_id) AND (t.node >= 0 OR NOT EXISTS (
        SELECT FROM orchestrator_undo_item u WHERE u.run_id = t.run_id AND u.node = -1 - t.node AND u.scope_id = t.scope_id
            AND u.generation = t.generation AND u.state = 'running' AND (u.boundary = 0 OR EXISTS (
                SELECT FROM orchestrator_token w WHERE w.run_id = t.run_id AND w.state = 'W' AND w.waiting->>'kind' = 'undo'
                    AND (w.waiting->>'block')::bigint = u.boundary))))
$$;

-- A lane of a for-each stores what its items did since the last call, and learns what is next. p:
--   t, e          token and epoch (with p_session: the fence; every call uses its epoch up, so none counts twice)
--   lo, ok, fail  the next item; how many succeeded and failed since the last call
--   rows          [{node, index, attempt, o, final, ports, began, ended, prev, inp, iref, out, oref, err, log}]; pay
--   leave         {index, starts} or {index, token: {...}, sig}: this item goes on by tokens of its own, the lane waits
--   hold          {index, node, timeout, prev, began}: the lane, which is to stop, becomes the token of the item it has in hand
-- Lock order as in branchline_advance, then the block's row, then the container's token.
CREATE FUNCTION branchline_flush(p_session bigint, p jsonb)
RETURNS TABLE(status text, epoch int, lo int, hi int, queues text[]) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    t orchestrator_token;
    q orchestrator_scope;
    v_ctl char;
    v_over boolean;
    v_now timestamptz := clock_timestamp();
    v_xid bigint := branchline_xid();
    v_entries bigint[];
    v_queue text;
    v_queues text[];
    v_lo int := (p->>'lo')::int;
    v_hi int;
    v_state char;
BEGIN
    SELECT k.* INTO t FROM orchestrator_token k WHERE k.id = (p->>'t')::bigint AND k.session_id = p_session
        AND k.epoch = (p->>'e')::int AND k.state = 'L' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'fenced', NULL::int, NULL::int, NULL::int, NULL::text[];
        RETURN;
    END IF;
    PERFORM branchline_share_run(t.run_id);
    SELECT r.control INTO v_ctl FROM orchestrator_run r WHERE r.id = t.run_id;
    IF p ? 'hold' AND NOT (v_ctl IN ('C', 'K') OR branchline_scope_closed(t.scope_id)) THEN
        RETURN QUERY SELECT 'not_stopped', NULL::int, NULL::int, NULL::int, NULL::text[];
        RETURN;
    END IF;
    INSERT INTO orchestrator_payload (id, run_id, body)
        SELECT x.id, t.run_id, x.body FROM jsonb_to_recordset(p->'pay') AS x(id uuid, body jsonb);
    v_entries := ARRAY(SELECT nextval('orchestrator_step_log_entry')
        FROM generate_series(1, coalesce(jsonb_array_length(p->'rows'), 0)));
    INSERT INTO orchestrator_steplog (entry, run_id, node, scope_id, generation, attempt, outcome, final, ports, started_at,
        finished_at, session_id, cause, input, input_ref, output, output_ref, error, log, xid)
    SELECT v_entries[n], t.run_id, r.node, t.scope_id + r.index, t.generation, r.attempt, r.o, r.final, r.ports,
        t.started_at + make_interval(secs => r.began), t.started_at + make_interval(secs => r.ended),
        CASE WHEN r.o <> 'K' THEN p_session END,
        CASE WHEN r.prev IS NULL THEN t.cause ELSE ARRAY[v_entries[r.prev]] END, r.inp, r.iref, r.out, r.oref, r.err,
        r.log, v_xid
    FROM ROWS FROM (jsonb_to_recordset(p->'rows') AS (node int, index int, attempt int, o text, final boolean, ports text[],
        began float8, ended float8, prev int, inp jsonb, iref uuid, out jsonb, oref uuid, err jsonb, log jsonb))
        WITH ORDINALITY AS r(node, index, attempt, o, final, ports, began, ended, prev, inp, iref, out, oref, err, log, n);
    v_hi := (t.signal->>'hi')::int;
    SELECT s.* INTO q FROM orchestrator_scope s WHERE s.id = t.scope_id FOR UPDATE;
    q.ok := q.ok + (p->>'ok')::int;
    q.fail := q.fail + (p->>'fail')::int;
    v_over := q.fail > q.tolerate OR coalesce(q.ok >= q.enough, false);
    IF v_lo >= v_hi AND NOT p ? 'leave' AND NOT v_over AND q.next < q.total THEN
        v_lo := q.next;
        v_hi := least(q.total, q.next + q.chunk);
        q.next := v_hi;
    END IF;
    UPDATE orchestrator_scope s SET ok = q.ok, fail = q.fail, next = q.next WHERE s.id = q.id;

    IF p ? 'hold' THEN
        PERFORM branchline_hold_item(t, p->'hold', v_entries, v_now);
        RETURN QUERY SELECT 'held_alone', t.epoch + 1, NULL::int, NULL::int, NULL::text[];
    ELSIF v_ctl IN ('C', 'K') OR q.state = 'C' THEN
        -- What overstays has acted: it is dropped like a step whose time is up, and leaves its rows.
        IF p->'leave'->'token'->>'verdict' = 'T' THEN
            PERFORM branchline_leave_lane(t, p->'leave', v_entries, 'R', v_now);
        END IF;
        DELETE FROM orchestrator_token k WHERE k.id = t.id;
        RETURN QUERY SELECT 'cancelled', NULL::int, NULL::int, NULL::int, NULL::text[];
    ELSIF v_over OR (v_lo >= v_hi AND NOT p ? 'leave') THEN
        DELETE FROM orchestrator_token k WHERE k.id = t.id;
        IF q.in_turn AND NOT v_over THEN v_queues := branchline_next_turn(t.run_id, q.id); END IF;
        IF v_over OR q.ok + q.fail = q.total THEN
            UPDATE orchestrator_token k SET state = 'R', wake_at = NULL, ready_at = v_now, epoch = k.epoch + 1, xid = v_xid,
                signal = jsonb_build_object('state', CASE WHEN q.fail > q.tolerate THEN 'failed' ELSE 'succeeded' END,
                    'ok', q.ok, 'fail', q.fail, 'total', q.total)
            WHERE k.id = q.token_id AND k.inner_scope = q.id AND k.state = 'W' RETURNING k.queue INTO v_queue;
        END IF;
        RETURN QUERY SELECT 'over', NULL::int, NULL::int, NULL::int, v_queues || v_queue;
    ELSIF p ? 'leave' THEN
        v_queues := branchline_leave_lane(t, p->'leave', v_entries, CASE v_ctl WHEN 'P' THEN 'H' ELSE 'R' END, v_now);
        UPDATE orchestrator_token k SET state = 'W', session_id = NULL, queue_limit_id = NULL, epoch = k.epoch + 1,
            deadline_at = NULL, lost = 0,
            verdict = '', inner_scope = t.scope_id + (p->'leave'->>'index')::int, xid = v_xid,
            signal = branchline_stored_lane(t, v_lo, v_hi),
            waiting = jsonb_build_object('kind', 'items', 'text', format('Waiting for item %s', v_lo + 1), 'since', v_now)
        WHERE k.id = t.id;
        RETURN QUERY SELECT 'parked', NULL::int, NULL::int, NULL::int, v_queues;
    ELSE
        -- In a limited queue its items take their turn by tokens of their own: it is claimed again and learns that.
        v_state := CASE WHEN v_ctl = 'P' THEN 'H' WHEN t.queue_limit_id IS NOT NULL THEN 'R' ELSE 'L' END;
        UPDATE orchestrator_token k SET state = v_state, session_id = CASE v_state WHEN 'L' THEN p_session END,
            queue_limit_id = NULL, epoch = k.epoch + 1, lost = 0, verdict = '',
            deadline_at = CASE v_state WHEN 'L' THEN v_now + make_interval(secs => k.timeout + 10) END,
            inner_scope = NULL, waiting = NULL, signal = branchline_stored_lane(t, v_lo, v_hi), xid = v_xid
        WHERE k.id = t.id;
        RETURN QUERY SELECT CASE v_state WHEN 'H' THEN 'held' WHEN 'R' THEN 'ready' ELSE 'go' END, t.epoch + 1, v_lo, v_hi,
            CASE v_state WHEN 'R' THEN ARRAY[t.queue::text] END;
    END IF;
END $$;

-- After a retry: the next of the items that wait for their turn goes on, in the runs of its sub-workflows, too. The caller has
-- locked the block's row. Ready even while paused, as in branchline_wake. Returns the queues.
CREATE FUNCTION branchline_next_turn(p_run uuid, p_block bigint) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE v_queues text[];
BEGIN
    WITH waiting AS MATERIALIZED (
        SELECT k.id, (k.waiting->>'turn')::int AS turn, k.waiting->'limits' AS limits FROM branchline_family(p_run) f JOIN orchestrator_token k ON k.run_id = f
        WHERE k.state = 'W' AND k.waiting ? 'turn' AND (k.waiting->>'block')::bigint = p_block ORDER BY k.id
    ), freed AS (
        UPDATE orchestrator_token k SET state = 'R', ready_at = clock_timestamp(), epoch = k.epoch + 1, xid = branchline_xid(),
            waiting = nullif(k.waiting->'then', 'null')
        FROM waiting w WHERE k.id = w.id AND w.turn = (SELECT min(o.turn) FROM waiting o) RETURNING k.queue, w.limits
    ), counted AS (
        -- What waits for them has its time from now on.
        UPDATE orchestrator_token k SET wake_at = clock_timestamp() + make_interval(secs => (l->>'limit')::float8),
            first_started_at = clock_timestamp(), xid = branchline_xid()
        FROM freed f, jsonb_array_elements(f.limits) l WHERE k.id = (l->>'token')::bigint AND k.state = 'W'
    ) SELECT array_agg(f.queue::text) INTO v_queues FROM freed f;
    RETURN v_queues;
END $$;

-- A run and the open runs of sub-workflows of the same run at the top. Served by run_by_root.
CREATE FUNCTION branchline_family(p_run uuid) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    SELECT p_run UNION SELECT m.id FROM orchestrator_run r JOIN orchestrator_run m ON m.root_run_id = coalesce(r.root_run_id, r.id)
        WHERE r.id = p_run AND m.finished_at IS NULL
$$;

-- One item leaves its lane: it begins anew by tokens (starts), or goes on where the lane stopped (token).
CREATE FUNCTION branchline_leave_lane(t orchestrator_token, p jsonb, p_entries bigint[], p_ready char, p_now timestamptz)
RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    x jsonb := p->'token';
    v_scope bigint := t.scope_id + (p->>'index')::int;
BEGIN
    IF x IS NULL THEN
        RETURN branchline_enter(t, v_scope, p->'starts', p_ready, p_now);
    END IF;
    -- What its earlier steps have signalled; its last gate cannot be decided before the step that leaves has ended.
    PERFORM branchline_signal_gates(ARRAY(
        SELECT ROW(t.run_id, v_scope, t.version_id, t.generation, t.priority, (p->'sig'->>n)::int, (p->'sig'->>(n + 1))::int,
            (p->'sig'->>(n + 2))::int, NULL)::branchline_signal
        FROM generate_series(0, coalesce(jsonb_array_length(p->'sig'), 0) - 1, 3) n));
    INSERT INTO orchestrator_token (run_id, version_id, node, scope_id, generation, state, queue, priority, ready_at, wake_at,
        epoch, attempt, timeout, lost, phase, verdict, waiting, cause, first_started_at, xid)
    VALUES (t.run_id, t.version_id, (x->>'node')::int, v_scope, t.generation,
        CASE WHEN x ? 'delay' THEN 'W' ELSE p_ready END, t.queue, t.priority, p_now,
        p_now + make_interval(secs => (x->>'delay')::float8), 0, (x->>'attempt')::int, (x->>'timeout')::float8, 0, 0,
        coalesce(x->>'verdict', ''), CASE WHEN x ? 'waiting' THEN (x->'waiting') || jsonb_build_object('since', p_now) END,
        CASE WHEN x->>'prev' IS NULL THEN t.cause ELSE ARRAY[p_entries[(x->>'prev')::int]] END,
        t.started_at + make_interval(secs => (x->>'began')::float8), branchline_xid());
    RETURN CASE WHEN x ? 'delay' THEN '{}'::text[] ELSE ARRAY[t.queue::text] END;
END $$;
