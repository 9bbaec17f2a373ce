-- A step that waited ends in the transaction of the decision, or event, that it waited for, where the worker that parked it
-- knew what would follow (docs/decisions/0052): by `branchline_advance`, as session 0, which nobody else has and which holds nothing when this commits.
-- Returns the queues to wake; NULL, and nothing done, where a worker is to end it: what follows was not known, or stands in
-- another version by now; the answer is large; the run is paused or ending; or its lock is not free at once, for who holds a
-- task never waits for it.
CREATE FUNCTION branchline_end_decided(p_token bigint, p_epoch int, p_follows jsonb, p_outcome text, p_answer jsonb) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
    v_item jsonb := p_follows->'by_outcome'->p_outcome;
BEGIN
    IF v_item IS NULL OR octet_length(p_answer::text) > 2000 THEN RETURN NULL; END IF;
    UPDATE orchestrator_token k SET state = 'L', session_id = 0, epoch = k.epoch + 1, attempt = k.attempt + 1,
        started_at = clock_timestamp(), ready_at = clock_timestamp(), wake_at = NULL, xid = branchline_xid()
    FROM orchestrator_run q
    WHERE k.id = p_token AND k.epoch = p_epoch AND k.state = 'W' AND k.node = (p_follows->>'node')::int
        AND k.version_id = (p_follows->>'version')::bigint AND q.id = k.run_id AND q.control = '-'
        AND pg_try_advisory_xact_lock_shared(uuid_hash_extended(k.run_id, 7));
    IF NOT FOUND THEN RETURN NULL; END IF;
    v_item := v_item || jsonb_build_object('t', p_token, 'e', p_epoch + 1, 'n', p_follows->'node', 'then', 'go', 'o', 'S',
        'out', p_answer);
    RETURN ARRAY(SELECT unnest(a.queues) FROM branchline_advance(0, jsonb_build_array(v_item)) a);
END $$;

-- A person's answer to a waiting human task, with its record in the audit trail. When it closes the task (p_closes), the
-- step ends in the same transaction (p_ends), or its token is woken. The caller has locked the task and checked everything.
-- `queues` are to be woken; NULL for a closing answer: the step waits no more, so the caller must roll back. `ended`: the step
-- has ended.
CREATE FUNCTION branchline_decide(p_ends boolean, p_task uuid, p_workspace bigint, p_closes boolean, p_user bigint, p_label text,
    p_username text, p_via text, p_outcome text, p_values jsonb, p_comment text, p_digest text,
    OUT queues text[], OUT ended boolean) LANGUAGE plpgsql AS $$
DECLARE
    v_at timestamptz := clock_timestamp();
    v_token bigint;
    v_epoch int;
    v_follows jsonb;
    v_answer jsonb;
    v_queue text;
BEGIN
    ended := false;
    INSERT INTO orchestrator_decision (task_id, user_id, user_name, outcome, "values", comment, digest, at)
        VALUES (p_task, p_user, p_label, p_outcome, p_values, p_comment, p_digest, v_at);
    IF p_closes THEN
        UPDATE orchestrator_human_task h SET state = 'done', outcome = p_outcome, closed_at = v_at, version = h.version + 1
            WHERE h.id = p_task AND h.state IN ('open', 'claimed')
            RETURNING h.token_id, h.epoch, h.follows INTO v_token, v_epoch, v_follows;
        v_answer := jsonb_build_object('outcome', p_outcome, 'values', p_values, 'by', p_username, 'at', v_at,
            'comment', p_comment);
        IF p_ends THEN queues := branchline_end_decided(v_token, v_epoch, v_follows, p_outcome, v_answer); END IF;
        ended := queues IS NOT NULL;
        IF NOT ended THEN
            v_queue := branchline_wake(v_token, v_epoch, v_answer);
            queues := CASE WHEN v_queue IS NOT NULL THEN ARRAY[v_queue] END;
        END IF;
    END IF;
    INSERT INTO orchestrator_auditentry (workspace_id, actor_id, actor_name, via, action, target, allowed, detail, at)
        VALUES (p_workspace, p_user, p_username, p_via, 'task.decide', 'task ' || p_task, true,
            jsonb_build_object('outcome', p_outcome, 'digest', p_digest, 'closed', p_closes), v_at);
END $$;

-- What a decision depends on beside its task: who published, what the voter may now, what others decided. NULL for the roles
-- of no member. Served by primary keys, membership_once and decision_once_per_person.
CREATE FUNCTION branchline_standing(p_task uuid, p_user bigint) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT jsonb_build_object('publisher', v.published_by_id, 'roles', m.roles, 'groups', m.groups, 'decided',
        (SELECT coalesce(jsonb_object_agg(d.user_id, d.outcome), '{}') FROM orchestrator_decision d WHERE d.task_id = t.id))
    FROM orchestrator_human_task t
    LEFT JOIN orchestrator_run r ON r.id = t.run_id
    LEFT JOIN orchestrator_version v ON v.id = r.version_id
    LEFT JOIN (orchestrator_membership m JOIN orchestrator_user u ON u.id = m.user_id AND u.is_active)
        ON m.workspace_id = t.workspace_id AND m.user_id = p_user
    WHERE t.id = p_task);
END $$;

-- A decision that was checked on what had been read without a lock: decides when all of it is still so under the lock. False:
-- something is not, and nothing was written. The rights and answers of others are read anew after the lock was got.
CREATE FUNCTION branchline_decide_as_seen(p_version int, p_standing jsonb, p_task uuid, p_workspace bigint, p_closes boolean,
    p_user bigint, p_label text, p_username text, p_via text, p_outcome text, p_values jsonb, p_comment text, p_digest text)
RETURNS TABLE(as_seen boolean, queues text[], ended boolean) LANGUAGE plpgsql AS $$
DECLARE
    v_token bigint;
    v_epoch int;
BEGIN
    as_seen := false;
    SELECT h.token_id, h.epoch INTO v_token, v_epoch FROM orchestrator_human_task h
        WHERE h.id = p_task AND h.workspace_id = p_workspace AND h.version = p_version AND h.state IN ('open', 'claimed')
        FOR UPDATE;
    IF FOUND AND branchline_standing(p_task, p_user) = p_standing
        AND EXISTS (SELECT FROM orchestrator_token k WHERE k.id = v_token AND k.state = 'W' AND k.epoch = v_epoch) THEN
        BEGIN
            SELECT d.queues, d.ended INTO queues, ended FROM branchline_decide(true, p_task, p_workspace, p_closes, p_user, p_label,
                p_username, p_via, p_outcome, p_values, p_comment, p_digest) d;
            IF p_closes AND queues IS NULL THEN RAISE EXCEPTION 'the step waits no more'; END IF;
            as_seen := true;
        EXCEPTION WHEN raise_exception THEN
            queues := NULL;
        END;
    END IF;
    RETURN NEXT;
END $$;
