-- Each sweep finds rows that are in a wrong state now; none keeps a cursor.

-- What somebody waited for arrived: mark the token ready. Called inside the transaction that records the arrival (a
-- decision), which never holds the run lock. NULL: the token no longer waits in that epoch.
CREATE FUNCTION branchline_wake(p_token bigint, p_epoch int, p_signal jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE v_queue text;
BEGIN
    -- Ready even while the run is paused: only under the run lock is it known whether a resume has passed. `claim` holds it.
    UPDATE orchestrator_token k SET state = 'R', signal = p_signal, wake_at = NULL,
        ready_at = clock_timestamp(), epoch = k.epoch + 1, xid = branchline_xid()
    FROM orchestrator_run r
    WHERE k.id = p_token AND k.epoch = p_epoch AND k.state = 'W' AND r.id = k.run_id AND r.control <> 'C'
    RETURNING k.queue INTO v_queue;
    RETURN v_queue;
END $$;

-- Timers that are due. A human task expires with its token; its row is locked first, as in a decision. Nothing is waited for:
-- who holds the token of a task, and leaves the task to us, may come to want what is locked here.
CREATE FUNCTION branchline_fire_timers(p_limit int) RETURNS TABLE(queue text, n bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE v_now timestamptz := clock_timestamp();
BEGIN
    RETURN QUERY WITH due AS MATERIALIZED (
        SELECT k.id FROM orchestrator_token k WHERE k.state = 'W' AND k.wake_at <= v_now
            AND k.waiting->>'kind' <> 'person'
        ORDER BY k.wake_at FOR UPDATE SKIP LOCKED LIMIT p_limit
    ), task AS MATERIALIZED (
        SELECT h.id, h.token_id, h.epoch FROM orchestrator_human_task h
        JOIN orchestrator_token k ON k.id = h.token_id AND k.epoch = h.epoch AND k.state = 'W'
        WHERE h.state IN ('open', 'claimed') AND h.due_at <= v_now
        ORDER BY h.due_at FOR UPDATE OF h, k SKIP LOCKED LIMIT p_limit
    ), expired AS (
        UPDATE orchestrator_human_task h SET state = 'expired', closed_at = clock_timestamp(), version = h.version + 1
        FROM task WHERE h.id = task.id
    ), woken AS (
        UPDATE orchestrator_token k SET state = 'R',
            ready_at = clock_timestamp(), wake_at = NULL, epoch = k.epoch + 1, xid = branchline_xid()
        WHERE k.state = 'W' AND (k.id IN (SELECT due.id FROM due)
            OR (k.id, k.epoch) IN (SELECT task.token_id, task.epoch FROM task))
        RETURNING k.queue
    ) SELECT woken.queue::text, count(*) FROM woken GROUP BY 1;
END $$;

-- Tokens whose worker is dead (its session is gone or stopped beating) or whose attempt ran past its time.
CREATE FUNCTION branchline_take_over(p_ttl float8, p_limit int) RETURNS TABLE(queue text, n bigint, dead boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY WITH lost AS MATERIALIZED (
        SELECT k.id, (q.id IS NULL) AS dead FROM orchestrator_token k
        LEFT JOIN orchestrator_worker_session q
            ON q.id = k.session_id AND q.beat_at > clock_timestamp() - make_interval(secs => p_ttl)
        WHERE k.state = 'L' AND (q.id IS NULL OR k.deadline_at < clock_timestamp())
        ORDER BY k.id FOR UPDATE OF k SKIP LOCKED LIMIT p_limit
    ), logged AS (
        -- The step may have acted: its attempt stands in the log as unknown before anyone tries again.
        INSERT INTO orchestrator_steplog (entry, run_id, node, scope_id, generation, attempt, outcome, final, started_at,
            finished_at, session_id, cause, error, xid)
        SELECT nextval('orchestrator_step_log_entry'), k.run_id, k.node, k.scope_id, k.generation, k.attempt, 'U', false,
            CASE k.phase WHEN 1 THEN branchline_taken_at(k, k.attempt) ELSE k.started_at END, clock_timestamp(), k.session_id, k.cause,
            jsonb_build_object('code', 'worker_lost', 'message', 'The worker died during this attempt; the step may have acted.'),
            branchline_xid()
        FROM orchestrator_token k JOIN lost ON lost.id = k.id AND lost.dead
        -- Ending the run itself is no step: nothing has acted.
        WHERE NOT EXISTS (SELECT 1 FROM orchestrator_plan_gate g
            WHERE g.version_id = k.version_id AND g.node = k.node AND g.queue = '')
        ON CONFLICT DO NOTHING
    ), freed AS (
        UPDATE orchestrator_token k SET state = 'R', session_id = NULL, queue_limit_id = NULL, epoch = k.epoch + 1,
            ready_at = clock_timestamp(), deadline_at = NULL, lost = k.lost + lost.dead::int,
            -- `claim` counts no attempt for a verdict: its row in the log must not meet the one just written.
            attempt = k.attempt + (lost.dead AND (k.lost >= 4 OR k.verdict <> ''))::int,
            verdict = CASE WHEN NOT lost.dead THEN 'T' WHEN k.lost >= 4 THEN 'U' ELSE k.verdict END,
            signal = CASE WHEN k.phase = 2 THEN branchline_lost_lane(k) ELSE k.signal END,
            xid = branchline_xid()
        FROM lost WHERE k.id = lost.id RETURNING k.queue, lost.dead
    ) SELECT freed.queue::text, count(*), freed.dead FROM freed GROUP BY 1, 3;
END $$;

-- Cancelling runs: hard stop of what is still leased after the grace, then close what has drained.
CREATE FUNCTION branchline_stop_cancelled(p_grace float8, p_limit int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    v_run uuid;
    t orchestrator_token;
    v_dropped int := 0;
    v_n int := 0;
BEGIN
    FOR v_run IN SELECT r.id FROM orchestrator_run r WHERE r.state IN ('cancelling', 'undoing')
        AND EXISTS (SELECT FROM orchestrator_token k WHERE k.run_id = r.id AND branchline_is_stopped(k, r.state, p_grace))
        ORDER BY r.id LIMIT p_limit
    LOOP
        -- Before its tokens: who has the run alone may let it go on right now.
        CONTINUE WHEN NOT pg_try_advisory_xact_lock_shared(uuid_hash_extended(v_run, 7));
        FOR t IN SELECT k.* FROM orchestrator_token k JOIN orchestrator_run r ON r.id = k.run_id
            WHERE k.run_id = v_run AND branchline_is_stopped(k, r.state, p_grace)
            ORDER BY k.id FOR UPDATE OF k SKIP LOCKED LIMIT p_limit - v_dropped
        LOOP
            PERFORM branchline_drop_token(t, true);
            v_dropped := v_dropped + 1;
        END LOOP;
        EXIT WHEN v_dropped >= p_limit;
    END LOOP;
    FOR v_run IN SELECT r.id FROM orchestrator_run r WHERE r.state = 'cancelling'
        AND NOT EXISTS (SELECT 1 FROM orchestrator_token k WHERE k.run_id = r.id)
        AND NOT EXISTS (SELECT 1 FROM orchestrator_run c WHERE c.parent_run_id = r.id AND c.finished_at IS NULL)
        ORDER BY r.id LIMIT p_limit
    LOOP
        -- Somebody else may hold the run lock and close it: then this is a later sweep's work.
        IF pg_try_advisory_xact_lock(uuid_hash_extended(v_run, 7)) AND branchline_close_cancelled(v_run) THEN
            v_n := v_n + 1;
        END IF;
    END LOOP;
    RETURN v_n;
END $$;

-- Whether a token of a run in that state goes no further: what is at work has the grace (seconds), undo steps end by themselves.
CREATE FUNCTION branchline_is_stopped(t orchestrator_token, p_state text, p_grace float8) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT (p_state = 'cancelling' OR p_state = 'undoing' AND t.node >= 0) AND (t.state <> 'L' OR EXISTS (
        SELECT 1 FROM orchestrator_runrecord c
        WHERE c.run_id = t.run_id AND c.kind IN ('cancel_requested', 'deadline_passed', 'undo_requested', 'undo_started')
          AND c.at < clock_timestamp() - make_interval(secs => p_grace)
          -- Not the one before an operator let the run go on.
          AND NOT EXISTS (SELECT FROM orchestrator_runrecord o WHERE o.run_id = c.run_id AND o.id > c.id
            AND o.kind IN ('retried', 'rerun', 'step_skipped'))))
$$;

-- Runs past their deadline, oldest first: the keeper cancels each through the ordinary door.
CREATE FUNCTION branchline_overdue_runs(p_limit int) RETURNS SETOF uuid LANGUAGE sql AS $$
    SELECT r.id FROM orchestrator_run r
    WHERE r.deadline_at < clock_timestamp() AND r.state IN ('running', 'paused') AND r.control <> 'C'
    ORDER BY r.deadline_at LIMIT p_limit
$$;

-- Queues with a ready token that nobody took for a while: their wake-up was lost. One that became ready later than now did
-- so before the clock was put back.
CREATE FUNCTION branchline_neglected_queues(p_age float8) RETURNS TABLE(queue text, n bigint) LANGUAGE sql AS $$
    SELECT k.queue::text, count(*) FROM orchestrator_token k
    WHERE k.state = 'R' AND k.queue_limit_id IS NULL
        AND k.ready_at NOT BETWEEN clock_timestamp() - make_interval(secs => p_age) AND clock_timestamp() GROUP BY 1
$$;

-- Open runs of sub-workflows whose step does not wait for them any more: it is gone, or has gone on (its token has another
-- epoch by every move).
CREATE FUNCTION branchline_cancel_orphans(p_limit int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE v_run uuid; v_n int := 0;
BEGIN
    FOR v_run IN SELECT r.id FROM orchestrator_run r WHERE r.parent_token IS NOT NULL AND r.state IN ('running', 'paused')
        AND NOT EXISTS (SELECT 1 FROM orchestrator_token k WHERE k.id = r.parent_token AND k.epoch = r.parent_epoch) ORDER BY r.id LIMIT p_limit
    LOOP
        PERFORM branchline_set_control(v_run, 'C', '{"state": "cancelled"}', '', 'cancel_requested', '{"reason": "parent_gone"}');
        v_n := v_n + 1;
    END LOOP;
    RETURN v_n;
END $$;
