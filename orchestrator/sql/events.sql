-- Events. A waiting token whose `waiting` names a topic is itself the subscription (docs/decisions/0062): "ws/type#key", or
-- "ws/type" for any key. Who publishes and who begins to wait hold the topic's lock, so that neither misses the other.
-- Lock order: topics, ascending by number -> tokens -> run lock, shared -> gates. Nobody waits for a topic who holds a token.
CREATE INDEX token_by_topic ON orchestrator_token ((waiting->>'topic'))
    WHERE state = 'W' AND (waiting->>'topic') IS NOT NULL;

CREATE FUNCTION branchline_topic(p_workspace bigint, p_type text, p_key text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT p_workspace || '/' || p_type || coalesce('#' || p_key, '') $$;

CREATE FUNCTION branchline_topic_lock(p_topic text) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT hashtextextended(p_topic, 23) $$;

-- Lock topics: to wait for a key one shares it with others who wait, to publish one has it alone; the type as a whole the
-- other way round, so that those who publish different keys do not meet.
CREATE FUNCTION branchline_lock_topics(p_shared text[], p_alone text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE l record;
BEGIN
    FOR l IN SELECT branchline_topic_lock(t) AS number, bool_or(a) AS alone
        FROM (SELECT unnest(p_shared) AS t, false AS a UNION ALL SELECT unnest(p_alone), true) x GROUP BY 1 ORDER BY 1
    LOOP
        IF l.alone THEN PERFORM pg_advisory_xact_lock(l.number); ELSE PERFORM pg_advisory_xact_lock_shared(l.number); END IF;
    END LOOP;
END $$;

-- The event as steps see it.
CREATE FUNCTION branchline_event_json(e orchestrator_event) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT e.extra || jsonb_build_object('specversion', '1.0', 'id', e.event_id, 'source', e.source, 'type', e.type,
            'time', to_char(coalesce(e.time, e.accepted_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
        || CASE WHEN e.subject IS NULL THEN '{}' ELSE jsonb_build_object('subject', e.subject) END
        || CASE WHEN e.key = '' THEN '{}' ELSE jsonb_build_object('key', e.key) END
        || CASE WHEN e.data IS NULL THEN '{}' ELSE jsonb_build_object('data', e.data) END
$$;

-- What a step is resumed with: the event, or where it is large only its number.
CREATE FUNCTION branchline_event_signal(e orchestrator_event) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE v jsonb := branchline_event_json(e);
BEGIN
    RETURN jsonb_build_object('no', e.id)
        || CASE WHEN octet_length(v::text) > 2000 THEN '{}' ELSE jsonb_build_object('event', v) END;
END $$;

-- The items of for-eaches around a scope, outermost last, by step and place: a repeat's turns share it, and so do entries
-- of the same for-each by several turns.
CREATE FUNCTION branchline_lane(p_scope bigint) RETURNS text LANGUAGE sql STABLE AS $$
    WITH RECURSIVE around AS (
        SELECT s.node, s.parent, s.total, p_scope - s.id AS place, 1 AS n FROM orchestrator_scope s
            WHERE p_scope <> 0 AND s.id = branchline_block(p_scope)
        UNION ALL
        SELECT s.node, s.parent, s.total, a.parent - s.id, a.n + 1 FROM around a
            JOIN orchestrator_scope s ON a.parent <> 0 AND s.id = branchline_block(a.parent)
    ) SELECT coalesce(string_agg(a.node || ':' || a.place, '.' ORDER BY a.n), '') FROM around a WHERE a.total > 0
$$;

-- What all runs of one call have in common, as a number.
CREATE FUNCTION branchline_call(p_run jsonb) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT hashtextextended(concat_ws('/', (SELECT r.call FROM orchestrator_run r WHERE r.id = (p_run->>'parent_run')::uuid),
        p_run->>'parent_node', branchline_lane((p_run->>'parent_scope')::bigint), p_run->>'version'), 23)
$$;

-- Whether two runs are of one call: started by the same step, in the same item and generation, by another turn or attempt, of
-- one run or of two that are of one call themselves. `p_well`: and the other, with the calls around it, has succeeded.
CREATE FUNCTION branchline_same_call(p_run uuid, p_other uuid, p_well boolean) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    a orchestrator_run;
    b orchestrator_run;
BEGIN
    SELECT r.* INTO a FROM orchestrator_run r WHERE r.id = p_run;
    SELECT r.* INTO b FROM orchestrator_run r WHERE r.id = p_other;
    WHILE a.id <> b.id LOOP
        IF a.version_id <> b.version_id OR p_well AND b.state <> 'succeeded'
            OR (a.parent_node, a.parent_generation) IS DISTINCT FROM (b.parent_node, b.parent_generation)
            OR branchline_lane(a.parent_scope) <> branchline_lane(b.parent_scope) THEN RETURN false; END IF;
        SELECT r.* INTO a FROM orchestrator_run r WHERE r.id = a.parent_run_id;
        SELECT r.* INTO b FROM orchestrator_run r WHERE r.id = b.parent_run_id;
    END LOOP;
    RETURN a.id IS NOT NULL AND b.id IS NOT NULL;
END $$;

-- The oldest kept event since the run at the top began that a step has not had: not one that it ended with before, well or as
-- a dead letter, in this item, nor one that it did not want in this turn. In a sub-workflow not one either that it ended with
-- in a run of the same call that succeeded, or that was a dead letter there. Under the topic's lock.
CREATE FUNCTION branchline_kept_event(t orchestrator_token, p_await jsonb, p_lane text) RETURNS orchestrator_event
LANGUAGE plpgsql AS $$
DECLARE
    v_plans text := set_config('plan_cache_mode', 'force_custom_plan', true);  -- by the key, or by the type alone
    v_key text := p_await->>'key';
    v_root uuid := (SELECT r.root_run_id FROM orchestrator_run r WHERE r.id = t.run_id);
    v_call bigint := (SELECT r.call FROM orchestrator_run r WHERE r.id = t.run_id);
    v_since timestamptz := coalesce((p_await->>'since')::timestamptz,
        (SELECT r.started_at FROM orchestrator_run r WHERE r.id = coalesce(v_root, t.run_id)));
    v orchestrator_event;
BEGIN
    SELECT e.* INTO v FROM orchestrator_event e
    WHERE e.workspace_id = (p_await->>'workspace')::bigint AND e.type = p_await->>'type' AND (v_key IS NULL OR e.key = v_key)
        AND e.accepted_at >= v_since
        AND NOT EXISTS (SELECT FROM orchestrator_delivery d
            WHERE d.event_id = e.id AND d.run_id = t.run_id AND d.node = t.node AND d.generation = t.generation
                AND CASE WHEN d.state = 'D' THEN d.lane = p_lane AND EXISTS (SELECT FROM orchestrator_steplog s
                        WHERE s.run_id = d.run_id AND s.node = d.node AND s.scope_id = d.scope_id
                            AND s.generation = d.generation AND s.outcome = 'S')
                    WHEN d.state = 'X' OR d.why = 'discarded' THEN d.lane = p_lane
                    ELSE d.scope_id = t.scope_id AND d.why = 'not_wanted' END)
        AND NOT EXISTS (SELECT FROM orchestrator_run o JOIN orchestrator_delivery d ON d.event_id = e.id AND d.run_id = o.id
            WHERE v_root IS NOT NULL AND o.root_run_id = v_root AND o.call = v_call AND o.id <> t.run_id
                AND d.node = t.node AND d.lane = p_lane
                AND CASE WHEN d.state = 'D' THEN EXISTS (SELECT FROM orchestrator_steplog s WHERE s.run_id = d.run_id
                            AND s.node = d.node AND s.scope_id = d.scope_id AND s.generation = d.generation AND s.outcome = 'S')
                        AND branchline_same_call(t.run_id, o.id, true)
                    WHEN d.state = 'X' OR d.why = 'discarded' THEN branchline_same_call(t.run_id, o.id, false)
                    ELSE false END)
    ORDER BY e.accepted_at, e.id LIMIT 1;
    v_plans := set_config('plan_cache_mode', 'force_generic_plan', true);
    RETURN v;
END $$;

-- A token has just begun to wait for an event, and `t` is what it was: a kept one makes it ready at once. Returns its queue
-- then.
CREATE FUNCTION branchline_await_event(t orchestrator_token, p_await jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_lane text := branchline_lane(t.scope_id);
    v_event orchestrator_event := branchline_kept_event(t, p_await, v_lane);
BEGIN
    IF v_event.id IS NULL THEN RETURN NULL; END IF;
    INSERT INTO orchestrator_delivery AS d (event_id, run_id, node, scope_id, generation, replay, token_id, topic, lane, state,
        why, made_at, ended_at, xid)
    VALUES (v_event.id, t.run_id, t.node, t.scope_id, t.generation, 0, t.id,
        branchline_topic(v_event.workspace_id, v_event.type, v_event.key), v_lane, 'D', '', clock_timestamp(), clock_timestamp(),
        branchline_xid())
    ON CONFLICT (event_id, run_id, node, scope_id, generation, replay) DO UPDATE SET token_id = excluded.token_id, state = 'D',
        why = '', ended_at = excluded.ended_at, xid = excluded.xid;
    UPDATE orchestrator_token k SET state = 'R', signal = branchline_event_signal(v_event), wake_at = NULL,
        ready_at = clock_timestamp(), epoch = k.epoch + 1, xid = branchline_xid() WHERE k.id = t.id;
    RETURN t.queue;
END $$;

-- `branchline_advance` for a call in which somebody begins to wait for an event (`await`: workspace, type, key, since), or
-- says what became of one that it looked at (`event`: no, state I or X). Topics are locked before any token.
CREATE FUNCTION branchline_advance_events(p_session bigint, p_items jsonb)
RETURNS TABLE(token_id bigint, status text, node int, epoch int, entry bigint, started_at timestamptz, queues text[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    i jsonb;
    t orchestrator_token;
    v_keys text[];
    v_types text[];
BEGIN
    SELECT array_agg(branchline_topic((x->>'workspace')::bigint, x->>'type', x->>'key')) FILTER (WHERE x->>'key' IS NOT NULL),
        array_agg(branchline_topic((x->>'workspace')::bigint, x->>'type', NULL)) FILTER (WHERE x->>'key' IS NULL)
        INTO v_keys, v_types FROM (SELECT y->'await' AS x FROM jsonb_array_elements(p_items) y WHERE y ? 'await') a;
    PERFORM branchline_lock_topics(v_keys, v_types);
    FOR i IN SELECT x FROM jsonb_array_elements(p_items) WITH ORDINALITY AS e(x, n) WHERE x ? 'event' ORDER BY n LOOP
        SELECT k.* INTO t FROM orchestrator_token k
            WHERE k.id = (i->>'t')::bigint AND k.session_id = p_session AND k.epoch = (i->>'e')::int
            AND k.node = (i->>'n')::int AND k.state = 'L' FOR UPDATE;
        CONTINUE WHEN NOT FOUND;
        UPDATE orchestrator_delivery d SET state = i->'event'->>'state',
            why = CASE i->'event'->>'state' WHEN 'I' THEN 'not_wanted' ELSE '' END, error = i->'err', ended_at = clock_timestamp(),
            xid = branchline_xid()
        WHERE d.event_id = (i->'event'->>'no')::bigint AND d.run_id = t.run_id AND d.node = t.node AND d.scope_id = t.scope_id
            AND d.generation = t.generation AND d.state = 'D';
    END LOOP;
    RETURN QUERY SELECT * FROM branchline_advance(p_session, p_items);
END $$;

-- Pending deliveries of a topic, in the order in which its events were accepted. The caller holds the topic alone, and
-- shares its type.
-- A step that waits for nothing but the event ends with it right here, when it is the only one; others are made ready.
-- `runs` have moved; `ended`: a step has ended. `more`: some are left, for somebody had a token in hand or there are more than p_limit.
CREATE FUNCTION branchline_deliver_held(p_topic text, p_limit int, OUT queues text[], OUT runs uuid[], OUT more boolean, OUT ended boolean) LANGUAGE plpgsql AS $$
DECLARE
    d orchestrator_delivery;
    k orchestrator_token;
    e orchestrator_event;
    v_ended text[];
    v_queue text;
    v_topics text[] := ARRAY[p_topic, split_part(p_topic, '#', 1)];
    v_n int := 0;
    v_single boolean;
BEGIN
    queues := '{}';
    runs := '{}';
    more := false;
    ended := false;
    v_single := (SELECT count(*) = 1 FROM (SELECT FROM orchestrator_delivery x
        WHERE x.topic = p_topic AND x.state = 'P' LIMIT 2) two);
    FOR d IN SELECT x.* FROM orchestrator_delivery x WHERE x.topic = p_topic AND x.state = 'P'
        ORDER BY x.event_id, x.token_id LIMIT p_limit
    LOOP
        v_n := v_n + 1;
        SELECT q.* INTO k FROM orchestrator_token q WHERE q.id = d.token_id AND q.run_id = d.run_id AND q.node = d.node
            AND q.scope_id = d.scope_id AND q.generation = d.generation;
        IF NOT FOUND THEN
            PERFORM branchline_end_delivery(d.id, 'I', 'wait_ended');
            CONTINUE;
        ELSIF k.state <> 'W' OR NOT coalesce(k.waiting->>'topic' = ANY (v_topics), false) THEN
            -- It looks at another one: when it waits again it finds this one by itself.
            DELETE FROM orchestrator_delivery x WHERE x.id = d.id;
            CONTINUE;
        END IF;
        PERFORM FROM orchestrator_token q WHERE q.id = k.id AND q.epoch = k.epoch AND q.state = 'W' FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            more := true;
            RETURN;
        END IF;
        IF e.id IS DISTINCT FROM d.event_id THEN SELECT x.* INTO e FROM orchestrator_event x WHERE x.id = d.event_id; END IF;
        PERFORM branchline_end_delivery(d.id, 'D', '');
        IF v_single THEN
            v_ended := branchline_end_decided(k.id, k.epoch, k.waiting->'follows', 'out', branchline_event_json(e));
        END IF;
        runs := runs || d.run_id;
        IF v_ended IS NOT NULL THEN
            queues := queues || v_ended;
            ended := true;
        ELSE
            v_queue := branchline_wake(k.id, k.epoch, branchline_event_signal(e));
            IF v_queue IS NULL THEN
                PERFORM branchline_end_delivery(d.id, 'I', 'wait_ended');  -- its run is being cancelled
            ELSE
                queues := queues || v_queue;
            END IF;
        END IF;
    END LOOP;
    more := v_n = p_limit;
END $$;

CREATE FUNCTION branchline_end_delivery(p_delivery bigint, p_state char, p_why text) RETURNS void LANGUAGE sql AS $$
    UPDATE orchestrator_delivery d SET state = p_state, why = p_why, ended_at = clock_timestamp(), xid = branchline_xid()
        WHERE d.id = p_delivery
$$;

-- The same for whoever comes later: the publisher in a further transaction, or the keeper.
CREATE FUNCTION branchline_deliver(p_topic text, p_limit int, OUT queues text[], OUT runs uuid[], OUT more boolean, OUT ended boolean) LANGUAGE plpgsql AS $$
BEGIN
    -- The type too: who waits for any key must not find, and take, at this moment what is about to be looked at here.
    PERFORM branchline_lock_topics(ARRAY[split_part(p_topic, '#', 1)], ARRAY[p_topic]);
    SELECT h.queues, h.runs, h.more, h.ended INTO queues, runs, more, ended FROM branchline_deliver_held(p_topic, p_limit) h;
END $$;

-- Accept an event (id, source, type, key, subject, time, data, extra, user), once for its source and id, and hand it to all who
-- wait for it. `reached`: how many those are; the steps of `queues` are ready; `more`: `branchline_deliver` has to go on.
CREATE FUNCTION branchline_publish(p_workspace bigint, p_event jsonb,
    OUT event bigint, OUT duplicate boolean, OUT reached int, OUT queues text[], OUT runs uuid[], OUT more boolean, OUT ended boolean) LANGUAGE plpgsql AS $$
DECLARE
    v_type text := p_event->>'type';
    v_key text := coalesce(p_event->>'key', '');
    v_any text := branchline_topic(p_workspace, v_type, NULL);
    v_topic text := branchline_topic(p_workspace, v_type, v_key);
BEGIN
    duplicate := false; reached := 0; queues := '{}'; runs := '{}'; more := false; ended := false;
    PERFORM branchline_lock_topics(ARRAY[v_any], ARRAY[v_topic]);
    INSERT INTO orchestrator_event (workspace_id, source, event_id, type, key, subject, time, data, extra, accepted_at,
        published_by_id)
    VALUES (p_workspace, p_event->>'source', p_event->>'id', v_type, v_key, p_event->>'subject',
        (p_event->>'time')::timestamptz, p_event->'data', coalesce(p_event->'extra', '{}'),
        greatest(clock_timestamp(), (SELECT max(e.accepted_at) + interval '1 microsecond' FROM orchestrator_event e
            WHERE e.workspace_id = p_workspace AND e.type = v_type AND e.key = v_key)),
        (p_event->>'user')::bigint)
    ON CONFLICT (workspace_id, source, event_id) DO NOTHING RETURNING id INTO event;
    IF event IS NULL THEN
        duplicate := true;
        event := (SELECT e.id FROM orchestrator_event e WHERE e.workspace_id = p_workspace AND e.source = p_event->>'source'
            AND e.event_id = p_event->>'id');
        RETURN;
    END IF;
    INSERT INTO orchestrator_delivery (event_id, run_id, node, scope_id, generation, replay, token_id, topic, lane, state,
        why, made_at, xid)
    SELECT event, k.run_id, k.node, k.scope_id, k.generation, 0, k.id, v_topic, branchline_lane(k.scope_id), 'P', '',
        clock_timestamp(), branchline_xid()
    FROM orchestrator_token k WHERE k.state = 'W' AND k.waiting->>'topic' IN (v_topic, v_any);
    GET DIAGNOSTICS reached = ROW_COUNT;
    IF reached > 0 THEN
        SELECT h.queues, h.runs, h.more, h.ended INTO queues, runs, more, ended FROM branchline_deliver_held(v_topic, 100) h;
    END IF;
END $$;

-- Whether a scope stands in anything but items of for-eaches: then another one may take its place, in the same lane.
CREATE FUNCTION branchline_is_in_turn(p_scope bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    WITH RECURSIVE around AS (
        SELECT s.parent, s.total FROM orchestrator_scope s WHERE p_scope <> 0 AND s.id = branchline_block(p_scope)
        UNION ALL
        SELECT s.parent, s.total FROM around a JOIN orchestrator_scope s ON a.parent <> 0 AND s.id = branchline_block(a.parent)
    ) SELECT coalesce(bool_or(a.total = 0), false) FROM around a
$$;

-- The token that a dead letter can be replayed to, if any: of its step, where it died or in the turn that has taken that
-- one's place, when it waits now for such an event.
CREATE FUNCTION branchline_waits_again(d orchestrator_delivery) RETURNS bigint LANGUAGE sql STABLE AS $$
    WITH there AS NOT MATERIALIZED (
        SELECT k.id, k.scope_id FROM orchestrator_token k WHERE k.run_id = d.run_id AND k.node = d.node
            AND k.generation = d.generation AND k.state = 'W'
            AND k.waiting->>'topic' IN (d.topic, split_part(d.topic, '#', 1))
    ) SELECT t.id FROM there t WHERE t.scope_id = d.scope_id
    UNION ALL SELECT t.id FROM there t
        WHERE (SELECT branchline_is_in_turn(d.scope_id)) AND branchline_lane(t.scope_id) = d.lane
    LIMIT 1
$$;

-- A dead letter is looked at again: by its step if that waits now for such an event, as if it came this moment. NULL: it
-- does not. The caller holds nothing.
CREATE FUNCTION branchline_replay(p_delivery bigint, OUT queues text[], OUT runs uuid[], OUT more boolean, OUT ended boolean) LANGUAGE plpgsql AS $$
DECLARE
    d orchestrator_delivery;
    v_token bigint;
    v_scope bigint;
BEGIN
    SELECT x.* INTO d FROM orchestrator_delivery x WHERE x.id = p_delivery;
    PERFORM branchline_lock_topics(ARRAY[split_part(d.topic, '#', 1)], ARRAY[d.topic]);
    SELECT x.* INTO d FROM orchestrator_delivery x WHERE x.id = p_delivery AND x.state = 'X' FOR UPDATE;
    v_token := branchline_waits_again(d);
    SELECT k.scope_id INTO v_scope FROM orchestrator_token k WHERE k.id = v_token;
    IF v_scope IS NULL THEN RETURN; END IF;
    PERFORM branchline_end_delivery(d.id, 'I', 'replayed');
    INSERT INTO orchestrator_delivery (event_id, run_id, node, scope_id, generation, replay, token_id, topic, lane, state,
        why, made_at, xid)
    SELECT d.event_id, d.run_id, d.node, v_scope, d.generation, greatest(max(x.replay), d.replay) + 1, v_token, d.topic, d.lane,
        'P', '', clock_timestamp(), branchline_xid()
    FROM orchestrator_delivery x WHERE x.event_id = d.event_id AND x.run_id = d.run_id AND x.node = d.node
        AND x.scope_id = v_scope AND x.generation = d.generation;
    SELECT h.queues, h.runs, h.more, h.ended INTO queues, runs, more, ended FROM branchline_deliver_held(d.topic, 100) h;
END $$;
