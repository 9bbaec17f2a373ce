-- What a lane of a for-each has in hand. Its worker says nothing before it does an item, and stores many in one call: of those
-- after the last call some may have acted.

-- The place behind the last item of a lane that may have begun: a call stores 64 rows at most (lane.BATCH), and an item leaves
-- one at least. `begun` is that of a worker that was lost.
CREATE FUNCTION branchline_begun_until(t orchestrator_token) RETURNS int LANGUAGE sql IMMUTABLE AS $$
    SELECT least((t.signal->>'hi')::int, coalesce(greatest((t.signal->>'begun')::int,
        -- In a limited queue items have tokens of their own. Of an item that was waited for the lane has heard.
        CASE WHEN t.state = 'L' AND t.queue_limit_id IS NULL THEN (t.signal->>'lo')::int + (t.signal ? 'state')::int + 64 END), 0))
$$;

-- Where a lane goes on, once its worker is lost.
CREATE FUNCTION branchline_lost_lane(t orchestrator_token) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT t.signal || jsonb_build_object('begun', branchline_begun_until(t))
$$;

-- Where a lane stands that has stored all items before p_lo.
CREATE FUNCTION branchline_stored_lane(t orchestrator_token, p_lo int, p_hi int) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('lo', p_lo, 'hi', p_hi)
        || CASE WHEN (t.signal->>'begun')::int > p_lo THEN jsonb_build_object('begun', t.signal->'begun') ELSE '{}' END
$$;

-- A lane is taken away: each step that acts outside leaves a row of unknown outcome in each item that may have begun, so that an
-- undo knows of it. They are rows without an attempt: should the item be done after all, that is its first.
CREATE FUNCTION branchline_log_in_hand(t orchestrator_token) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_lo int := (t.signal->>'lo')::int + (t.signal ? 'state')::int;
    v_until int := branchline_begun_until(t);
BEGIN
    IF v_until <= v_lo THEN RETURN; END IF;
    INSERT INTO orchestrator_steplog (entry, run_id, node, scope_id, generation, attempt, outcome, final, finished_at, session_id,
        cause, error, xid)
    SELECT nextval('orchestrator_step_log_entry'), t.run_id, x.node, x.scope, t.generation,
        branchline_unstarted(t.run_id, x.node, x.scope, t.generation), 'U', false, clock_timestamp(), t.session_id, t.cause,
        jsonb_build_object('code', 'taken_away', 'message',
            'The worker was stopped, or lost, before it said how far it had come; the step may have acted on this item.'),
        branchline_xid()
    FROM (SELECT s AS node, t.scope_id + n + 1 AS scope FROM generate_series(v_lo, v_until - 1) n,
        branchline_acts_in_hand(t.version_id, t.node) s ORDER BY n, s) x;
END $$;

-- The steps that act outside of a for-each whose items a worker does in one go.
CREATE FUNCTION branchline_acts_in_hand(p_version bigint, p_owner int) RETURNS SETOF int LANGUAGE sql STABLE AS $$
    SELECT (s->>'node')::int FROM orchestrator_version v, json_array_elements(v.plan->'steps') s
    WHERE v.id = p_version AND (s->>'parent')::int = p_owner AND (s->>'has_effects')::boolean AND NOT (s->>'disabled')::boolean
        AND EXISTS (SELECT FROM json_array_elements(v.plan->'bodies') b
            WHERE (b->>'owner')::int = p_owner AND (b->>'in_hand')::boolean)
$$;

-- The item that a lane has in hand goes on as an attempt of its own, in the same hands: it may end by itself, and what cuts it
-- off, or loses it, sees which step that was.
CREATE FUNCTION branchline_hold_item(t orchestrator_token, p jsonb, p_entries bigint[], p_now timestamptz) RETURNS void
LANGUAGE sql AS $$
    UPDATE orchestrator_token k SET node = (p->>'node')::int, scope_id = t.scope_id + (p->>'index')::int, phase = 0, attempt = 1,
        lost = 0, verdict = '', signal = NULL, waiting = NULL, inner_scope = NULL, epoch = k.epoch + 1,
        timeout = (p->>'timeout')::float8, deadline_at = p_now + make_interval(secs => (p->>'timeout')::float8 + 10),
        started_at = t.started_at + make_interval(secs => (p->>'began')::float8),
        first_started_at = t.started_at + make_interval(secs => (p->>'began')::float8),
        cause = CASE WHEN p->>'prev' IS NULL THEN t.cause ELSE ARRAY[p_entries[(p->>'prev')::int]] END, xid = branchline_xid()
    WHERE k.id = t.id
$$;
