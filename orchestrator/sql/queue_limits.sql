-- What a workspace lets begin on a queue: so many steps at once, so many starts in a time (docs/decisions/0035).
-- A token with a queue_limit_id stands in that limit's line while it is ready, and holds one of its places while it is
-- leased. Nobody counts up or down: places are leased rows. The limit's row is the lock of its line: who takes places holds
-- it to the commit; who gives one back takes it alone, in a transaction of its own after that, so that it sees everybody
-- who has found no place. Several are locked in ascending order, after tokens and before run locks.

CREATE FUNCTION branchline_places_left(l orchestrator_queue_limit) RETURNS int LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN l.concurrency IS NULL THEN 2147483647 ELSE greatest(0, l.concurrency - (
        SELECT count(*) FROM orchestrator_token k WHERE k.queue_limit_id = l.id AND k.state = 'L'))::int END
$$;

-- The rate, by the generic cell rate algorithm: a start uses up period / starts seconds, and `burst` of them may be ahead.
CREATE FUNCTION branchline_starts_left(l orchestrator_queue_limit, p_now timestamptz) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN l.starts IS NULL THEN 2147483647 ELSE greatest(0, floor(l.burst + 0.000001
        + extract(epoch FROM p_now - greatest(l.used_until, p_now)) * l.starts / l.period))::int END
$$;
CREATE FUNCTION branchline_next_start(l orchestrator_queue_limit) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT l.used_until - make_interval(secs => (l.burst - 1) * l.period / l.starts)
$$;

-- Ready tokens of limited queues leave the common order for their lines, as far as they would keep a claim of p_n from
-- others. Returns the limits.
CREATE FUNCTION branchline_line_up(p_queues text[], p_n int) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    v_found bigint[];
    v_limits bigint[] := '{}';
    v_size int := p_n;
    v_most int := 10000;
BEGIN
    LOOP
        WITH head AS MATERIALIZED (
            SELECT k.id, k.run_id, k.queue FROM orchestrator_token k
            WHERE k.state = 'R' AND k.queue_limit_id IS NULL AND k.queue = ANY(p_queues)
            ORDER BY k.priority, k.ready_at, k.id LIMIT v_size
        ), limited AS MATERIALIZED (
            -- Asked for one by one: a join of tables whose statistics are old might be planned to read all of them.
            SELECT h.id, (SELECT l.id FROM orchestrator_run r JOIN orchestrator_queue_limit l
                ON l.workspace_id = r.workspace_id AND l.queue = h.queue WHERE r.id = h.run_id) AS limit_id FROM head h
        ), mine AS MATERIALIZED (
            SELECT k.id FROM orchestrator_token k
            WHERE k.id = ANY(ARRAY(SELECT m.id FROM limited m WHERE m.limit_id IS NOT NULL))
                AND k.state = 'R' AND k.queue_limit_id IS NULL FOR UPDATE SKIP LOCKED
        ), moved AS (
            UPDATE orchestrator_token k SET queue_limit_id = m.limit_id, xid = branchline_xid()
            FROM limited m JOIN mine USING (id) WHERE k.id = m.id RETURNING m.limit_id
        ) SELECT array_agg(m.limit_id) INTO v_found FROM moved m;
        EXIT WHEN v_found IS NULL;
        v_limits := ARRAY(SELECT unnest(v_limits) UNION SELECT unnest(v_found));
        v_most := v_most - cardinality(v_found);
        EXIT WHEN v_most <= 0;
        v_size := least(4 * v_size, 2000);
    END LOOP;
    RETURN v_limits;
END $$;

-- Lock the lines that a claim has added to, and those in which somebody may begin now.
CREATE FUNCTION branchline_lock_lines(p_queues text[], p_limits bigint[], p_now timestamptz)
RETURNS SETOF orchestrator_queue_limit LANGUAGE sql AS $$
    SELECT l.* FROM orchestrator_queue_limit l WHERE l.id = ANY(p_limits)
        OR l.queue = ANY(p_queues) AND (l.line = 'O' OR l.line = 'T' AND l.next_at <= p_now)
    ORDER BY l.id FOR UPDATE
$$;

-- The lines that concern a claim, formed and locked.
CREATE FUNCTION branchline_lines(p_queues text[], p_n int, p_now timestamptz) RETURNS orchestrator_queue_limit[]
LANGUAGE plpgsql AS $$
DECLARE
    v_limits bigint[] := branchline_line_up(p_queues, p_n);
    v_lines orchestrator_queue_limit[] := ARRAY(SELECT l FROM branchline_lock_lines(p_queues, v_limits, p_now) l);
BEGIN
    -- A limit that has gone meanwhile leaves no line behind.
    IF v_limits <> '{}' THEN
        UPDATE orchestrator_token k SET queue_limit_id = NULL WHERE k.queue_limit_id = ANY(v_limits) AND k.state = 'R'
            AND NOT EXISTS (SELECT FROM orchestrator_queue_limit l WHERE l.id = k.queue_limit_id);
    END IF;
    RETURN v_lines;
END $$;

-- Who may begin leaves the line for the common order: first what has begun before (it is no start, and the rate does not
-- hold it back), then the others in turn.
CREATE FUNCTION branchline_admit(l orchestrator_queue_limit, p_n int, p_suspects boolean, p_now timestamptz)
RETURNS SETOF bigint LANGUAGE plpgsql AS $$
DECLARE
    v_free int := least(p_n, branchline_places_left(l));
    v_begun bigint[];
    v_new bigint[];
BEGIN
    v_begun := ARRAY(SELECT k.id FROM orchestrator_token k
        WHERE k.queue_limit_id = l.id AND k.state = 'R' AND k.phase > 0 AND (p_suspects OR k.lost < 2)
        ORDER BY k.priority, k.ready_at, k.id FOR UPDATE SKIP LOCKED LIMIT v_free);
    v_new := ARRAY(SELECT k.id FROM orchestrator_token k
        WHERE k.queue_limit_id = l.id AND k.state = 'R' AND k.phase = 0 AND (p_suspects OR k.lost < 2)
        ORDER BY k.priority, k.ready_at, k.id FOR UPDATE SKIP LOCKED
        LIMIT least(v_free - cardinality(v_begun), branchline_starts_left(l, p_now)));
    RETURN QUERY UPDATE orchestrator_token k SET queue_limit_id = NULL WHERE k.id = ANY(v_begun || v_new) RETURNING k.id;
END $$;

-- What the line's row should say. The caller has locked it.
CREATE FUNCTION branchline_line_of(l orchestrator_queue_limit, p_now timestamptz) RETURNS char LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN NOT EXISTS (SELECT FROM orchestrator_token k WHERE k.queue_limit_id = l.id AND k.state = 'R') THEN '-'
        WHEN branchline_places_left(l) = 0 THEN 'F'
        WHEN branchline_starts_left(l, p_now) > 0
            OR EXISTS (SELECT FROM orchestrator_token k WHERE k.queue_limit_id = l.id AND k.state = 'R' AND k.phase > 0) THEN 'O'
        ELSE 'T' END
$$;

-- A claim is done with its lines: who was admitted and not leased (others came first) stands in line again.
-- p_started: the limit of each step that begins by it.
CREATE FUNCTION branchline_leave_lines(p_lines orchestrator_queue_limit[], p_admitted bigint[], p_started bigint[],
    p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    l orchestrator_queue_limit;
    v_used timestamptz;
    v_line char;
BEGIN
    IF p_admitted <> '{}' THEN
        UPDATE orchestrator_token k SET queue_limit_id = q.id FROM orchestrator_run r JOIN unnest(p_lines) q
            ON q.workspace_id = r.workspace_id
            WHERE k.id = ANY(p_admitted) AND k.state = 'R' AND r.id = k.run_id AND q.queue = k.queue;
    END IF;
    FOREACH l IN ARRAY p_lines LOOP
        v_used := l.used_until;
        IF l.starts IS NOT NULL THEN
            l.used_until := greatest(l.used_until, p_now) + make_interval(
                secs => (SELECT count(*) FROM unnest(p_started) s WHERE s = l.id) * l.period / l.starts);
        END IF;
        v_line := branchline_line_of(l, p_now);
        UPDATE orchestrator_queue_limit q SET line = v_line, used_until = l.used_until,
            next_at = CASE v_line WHEN 'T' THEN branchline_next_start(l) END
        WHERE q.id = l.id AND (q.line <> v_line OR v_line = 'T' OR v_used IS DISTINCT FROM l.used_until);
    END LOOP;
END $$;

-- A place is free: who finds the line waiting for one opens it. True then: its queue wants a claim.
CREATE FUNCTION branchline_give_back(p_limit bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE v_line char;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    SELECT l.line INTO v_line FROM orchestrator_queue_limit l WHERE l.id = p_limit FOR UPDATE;
    IF v_line IS DISTINCT FROM 'F' THEN RETURN false; END IF;
    UPDATE orchestrator_queue_limit l SET line = 'O' WHERE l.id = p_limit;
    RETURN true;
END $$;

-- Lines whose next start has come.
CREATE FUNCTION branchline_open_due_lines() RETURNS SETOF text LANGUAGE sql AS $$
    UPDATE orchestrator_queue_limit l SET line = 'O', next_at = NULL WHERE l.id IN (
        SELECT q.id FROM orchestrator_queue_limit q WHERE q.line = 'T' AND q.next_at <= clock_timestamp()
        ORDER BY q.id FOR UPDATE SKIP LOCKED)
    RETURNING l.queue::text
$$;

-- Put lines right (NULL: all): what was leased before its limit was set holds a place too; a place that came free without
-- a word (its worker died, its run was stopped) is given. Returns the queues on which somebody may begin.
CREATE FUNCTION branchline_settle_lines(p_limit bigint) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    l orchestrator_queue_limit;
    v_now timestamptz := clock_timestamp();
    v_line char;
    v_used timestamptz;
BEGIN
    UPDATE orchestrator_token k SET queue_limit_id = m.limit_id FROM (
        SELECT t.id, q.id AS limit_id FROM orchestrator_queue_limit q
        JOIN orchestrator_token t ON t.queue = q.queue AND t.state = 'L' AND t.queue_limit_id IS NULL
        JOIN orchestrator_run r ON r.id = t.run_id AND r.workspace_id = q.workspace_id
        WHERE p_limit IS NULL OR q.id = p_limit ORDER BY t.id FOR UPDATE OF t SKIP LOCKED
    ) m WHERE k.id = m.id;
    FOR l IN SELECT q.* FROM orchestrator_queue_limit q WHERE p_limit IS NULL OR q.id = p_limit
        ORDER BY q.id FOR UPDATE SKIP LOCKED
    LOOP
        v_used := l.used_until;
        -- It is never further ahead than that, unless the clock was put back.
        IF v_used > v_now + make_interval(secs => l.burst * l.period / l.starts) THEN
            l.used_until := v_now + make_interval(secs => l.burst * l.period / l.starts);
        END IF;
        v_line := branchline_line_of(l, v_now);
        UPDATE orchestrator_queue_limit q SET line = v_line, used_until = l.used_until,
            next_at = CASE v_line WHEN 'T' THEN branchline_next_start(l) END
            WHERE q.id = l.id AND (q.line <> v_line OR l.used_until < v_used);
        IF v_line = 'O' THEN RETURN NEXT l.queue; END IF;
    END LOOP;
END $$;

-- The limit is gone: who stood in its line is ready like others.
CREATE FUNCTION branchline_drop_line(p_limit bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM orchestrator_queue_limit l WHERE l.id = p_limit;
    UPDATE orchestrator_token k SET queue_limit_id = NULL, xid = branchline_xid() WHERE k.queue_limit_id = p_limit;
END $$;
