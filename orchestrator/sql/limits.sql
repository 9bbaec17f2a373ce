-- How many runs of a workflow are open at once, in all or for each value of a key (docs/decisions/0031).
-- A run under a limit has a concurrency_key; while it is queued, its tokens are held. Nobody counts up or down: slots are
-- the open rows that are not queued. Who takes a slot out of nothing holds this lock; it is always the last one taken, and
-- nobody waits for another while holding it. Who ends hands the slot over without it: the number at work does not change.
CREATE FUNCTION branchline_limit_lock(p_workflow bigint, p_key text) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT hashtextextended(p_workflow || ':' || p_key, 11) $$;

-- Served by run_under_limit, like everything here.
CREATE FUNCTION branchline_slots_taken(p_workflow bigint, p_key text) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM orchestrator_run r
    WHERE r.workflow_id = p_workflow AND r.concurrency_key = p_key AND r.finished_at IS NULL AND NOT r.queued
$$;

-- Must a run that starts now wait (or be refused)? Also behind others that wait.
CREATE FUNCTION branchline_limit_reached(p_run jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_workflow bigint := (p_run->>'workflow')::bigint;
    v_key text := p_run->>'concurrency_key';
    v_lock bigint := branchline_limit_lock(v_workflow, v_key);
BEGIN
    IF p_run ? 'parent_token' AND p_run->>'on_limit' <> 'refuse' THEN
        -- A batch of advances holds other locks and may start several: it queues rather than wait. The keeper looks again.
        IF NOT pg_try_advisory_xact_lock(v_lock) THEN RETURN true; END IF;
    ELSE
        PERFORM pg_advisory_xact_lock(v_lock);
    END IF;
    RETURN branchline_slots_taken(v_workflow, v_key) >= (p_run->>'concurrency_limit')::int
        OR p_run->>'on_limit' <> 'refuse' AND EXISTS (SELECT 1 FROM orchestrator_run r WHERE r.workflow_id = v_workflow
            AND r.concurrency_key = v_key AND r.finished_at IS NULL AND r.queued AND r.control = '-');
END $$;

-- Whether a run, or one that waits for it, is queued: then nothing of it may begin.
CREATE FUNCTION branchline_in_line(p_run uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    WITH RECURSIVE above AS (
        SELECT r.parent_run_id, r.queued, r.state FROM orchestrator_run r WHERE r.id = p_run
        UNION ALL
        SELECT r.parent_run_id, r.queued, r.state FROM orchestrator_run r JOIN above a ON r.id = a.parent_run_id
    ) SELECT coalesce(bool_or(a.queued AND a.state IN ('running', 'paused')), false) FROM above a
$$;

-- The same for who holds tokens by it: it stays so until the caller commits, or else a token is held that nobody lets go.
-- NULL: somebody changes it at this moment. Then a token is made ready, and `claim`, which asks again, holds it if it must.
CREATE FUNCTION branchline_kept_in_line(p_run uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_run uuid := p_run;
    v record;
BEGIN
    WHILE v_run IS NOT NULL LOOP
        SELECT r.parent_run_id, r.queued AND r.state IN ('running', 'paused') AS queued INTO v
            FROM orchestrator_run r WHERE r.id = v_run;
        IF v.queued THEN
            -- Against `unqueue`, and without waiting: the caller may hold what the other one wants.
            PERFORM FROM orchestrator_run r WHERE r.id = v_run AND r.queued FOR KEY SHARE SKIP LOCKED;
            RETURN CASE WHEN FOUND THEN true END;
        END IF;
        v_run := v.parent_run_id;
    END LOOP;
    RETURN false;
END $$;

-- Let the oldest queued run go when there is a slot for it, with the sub-workflows that a retry has opened again in it. The caller has just ended a run that held one, or has the lock.
-- A run whose row somebody holds is passed over: the keeper looks again. Returns the queues of its tokens.
CREATE FUNCTION branchline_unqueue(p_workflow bigint, p_key text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    v record;
    v_queues text[];
BEGIN
    SELECT r.id, r.concurrency_limit INTO v FROM orchestrator_run r
        WHERE r.workflow_id = p_workflow AND r.concurrency_key = p_key AND r.finished_at IS NULL AND r.queued
            AND r.control = '-' ORDER BY r.id FOR UPDATE SKIP LOCKED LIMIT 1;
    IF NOT FOUND THEN RETURN '{}'; END IF;
    IF branchline_slots_taken(p_workflow, p_key) >= v.concurrency_limit THEN RETURN '{}'; END IF;
    UPDATE orchestrator_run r SET queued = false, xid = branchline_xid() WHERE r.id = v.id;
    WITH RECURSIVE below AS (
        SELECT v.id WHERE branchline_kept_in_line(v.id) IS NOT TRUE
        UNION ALL
        SELECT c.id FROM orchestrator_run c JOIN below b ON c.parent_run_id = b.id
        WHERE c.finished_at IS NULL AND c.control = '-' AND NOT c.queued
    ), freed AS (
        UPDATE orchestrator_token k SET state = 'R', ready_at = clock_timestamp(), epoch = k.epoch + 1, xid = branchline_xid()
        WHERE k.run_id IN (SELECT b.id FROM below b) AND k.state = 'H' RETURNING k.queue
    ), counted AS (
        -- A retry has opened these again: their time-out counts from now on.
        UPDATE orchestrator_token k SET wake_at = clock_timestamp() + make_interval(secs => (k.waiting->>'limit')::float8),
            first_started_at = clock_timestamp(), xid = branchline_xid()
        WHERE k.run_id IN (SELECT b.id FROM below b) AND k.state = 'W' AND k.wake_at IS NULL AND k.waiting ? 'limit'
    ) SELECT array_agg(f.queue::text) INTO v_queues FROM freed f;
    INSERT INTO orchestrator_runrecord (run_id, at, kind, actor, detail, xid)
        VALUES (v.id, clock_timestamp(), 'released', '', '{}', branchline_xid());
    RETURN coalesce(v_queues, '{}');
END $$;

-- Put one workflow and key right: cancel the oldest run that a newer one replaces, let queued runs go while there are slots.
-- Returns the queues on which something became ready, and the run that was cancelled: then there may be another.
CREATE FUNCTION branchline_settle_limit(p_workflow bigint, p_key text) RETURNS TABLE(queues text[], replaced uuid)
LANGUAGE plpgsql AS $$
DECLARE v record;
BEGIN
    SELECT r.id, r.replaces, r.concurrency_limit INTO v FROM orchestrator_run r WHERE r.workflow_id = p_workflow
        AND r.concurrency_key = p_key AND r.finished_at IS NULL ORDER BY r.id DESC LIMIT 1;
    IF v.replaces THEN
        SELECT o.id INTO replaced FROM (
            SELECT r.id FROM orchestrator_run r WHERE r.workflow_id = p_workflow AND r.concurrency_key = p_key
                AND r.finished_at IS NULL AND r.state IN ('running', 'paused') ORDER BY r.id DESC OFFSET v.concurrency_limit
        ) o ORDER BY o.id LIMIT 1;
    END IF;
    IF replaced IS NOT NULL THEN
        PERFORM branchline_set_control(replaced, 'C', '{"state": "cancelled"}', '', 'cancel_requested',
            jsonb_build_object('reason', 'replaced', 'by_run', v.id));
    END IF;
    queues := branchline_fill_slots(p_workflow, p_key);
    RETURN NEXT;
END $$;

-- Let queued runs go while there are slots. Returns the queues on which something became ready.
CREATE FUNCTION branchline_fill_slots(p_workflow bigint, p_key text) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(branchline_limit_lock(p_workflow, p_key));
    LOOP
        EXIT WHEN cardinality(branchline_unqueue(p_workflow, p_key)) = 0;
    END LOOP;
    RETURN branchline_released(p_workflow, p_key);
END $$;

-- A run and its sub-workflows have been resumed. Those of them that wait in line were passed over while they were paused:
-- a slot that is free goes to who is first now. Called last, with all run locks in hand; the limits in one order, for
-- whoever resumes others of them. Returns the queues on which something is ready in these runs, or in who got a slot.
CREATE FUNCTION branchline_resumed(p_run uuid) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    v_runs uuid[];
    v record;
    v_queues text[] := '{}';
BEGIN
    v_runs := ARRAY(WITH RECURSIVE resumed AS (
        SELECT p_run AS id
        UNION ALL
        SELECT r.id FROM orchestrator_run r JOIN resumed a ON r.parent_run_id = a.id WHERE r.finished_at IS NULL
    ) SELECT a.id FROM resumed a);
    FOR v IN SELECT DISTINCT branchline_limit_lock(r.workflow_id, r.concurrency_key), r.workflow_id, r.concurrency_key::text
        FROM orchestrator_run r WHERE r.id = ANY(v_runs) AND r.queued AND r.control = '-' ORDER BY 1
    LOOP
        v_queues := v_queues || branchline_fill_slots(v.workflow_id, v.concurrency_key);
    END LOOP;
    RETURN v_queues || ARRAY(
        SELECT DISTINCT k.queue::text FROM orchestrator_token k WHERE k.run_id = ANY(v_runs) AND k.state = 'R');
END $$;

-- The queues of what this transaction has let go.
CREATE FUNCTION branchline_released(p_workflow bigint, p_key text) RETURNS text[] LANGUAGE sql AS $$
    WITH RECURSIVE released AS (
        SELECT r.id FROM orchestrator_run r WHERE r.workflow_id = p_workflow AND r.concurrency_key = p_key
            AND r.finished_at IS NULL AND NOT r.queued AND r.xid = branchline_xid()
        UNION ALL
        SELECT c.id FROM orchestrator_run c JOIN released b ON c.parent_run_id = b.id WHERE c.finished_at IS NULL
    )
    SELECT coalesce(array_agg(DISTINCT k.queue::text), '{}') FROM released r
    JOIN orchestrator_token k ON k.run_id = r.id AND k.state = 'R'
$$;

-- Where somebody is queued although there is a slot, or may replace somebody.
CREATE FUNCTION branchline_unsettled_limits(p_limit int) RETURNS TABLE(workflow_id bigint, concurrency_key text)
LANGUAGE sql AS $$
    SELECT q.workflow_id, q.concurrency_key::text FROM (
        SELECT DISTINCT ON (r.workflow_id, r.concurrency_key) r.workflow_id, r.concurrency_key, r.concurrency_limit, r.replaces
        FROM orchestrator_run r WHERE r.finished_at IS NULL AND r.queued AND r.control = '-' AND r.concurrency_key IS NOT NULL
        ORDER BY r.workflow_id, r.concurrency_key, r.id
    ) q WHERE q.replaces OR branchline_slots_taken(q.workflow_id, q.concurrency_key) < q.concurrency_limit LIMIT p_limit
$$;
