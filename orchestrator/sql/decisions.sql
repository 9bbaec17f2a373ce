-- A person's answer to a waiting human task, with its record in the audit trail. When it closes the task (p_closes), the
-- token is woken in the same transaction. The caller has locked the task and checked everything. NULL for the queue of a
-- closing answer: the step waits no more, so the caller must roll back.
CREATE FUNCTION branchline_decide(p_task uuid, p_workspace bigint, p_closes boolean, p_user bigint, p_label text,
    p_username text, p_via text, p_outcome text, p_values jsonb, p_comment text, p_digest text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    v_at timestamptz := clock_timestamp();
    v_token bigint;
    v_epoch int;
    v_queue text;
BEGIN
    INSERT INTO orchestrator_decision (task_id, user_id, user_name, outcome, "values", comment, digest, at)
        VALUES (p_task, p_user, p_label, p_outcome, p_values, p_comment, p_digest, v_at);
    IF p_closes THEN
        UPDATE orchestrator_human_task h SET state = 'done', outcome = p_outcome, closed_at = v_at, version = h.version + 1
            WHERE h.id = p_task AND h.state IN ('open', 'claimed') RETURNING h.token_id, h.epoch INTO v_token, v_epoch;
        v_queue := branchline_wake(v_token, v_epoch, jsonb_build_object('outcome', p_outcome, 'values', p_values,
            'by', p_username, 'at', v_at, 'comment', p_comment));
    END IF;
    INSERT INTO orchestrator_auditentry (workspace_id, actor_id, actor_name, via, action, target, allowed, detail, at)
        VALUES (p_workspace, p_user, p_username, p_via, 'task.decide', 'task ' || p_task, true,
            jsonb_build_object('outcome', p_outcome, 'digest', p_digest, 'closed', p_closes), v_at);
    RETURN v_queue;
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
RETURNS TABLE(as_seen boolean, queue text) LANGUAGE plpgsql AS $$
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
            queue := branchline_decide(p_task, p_workspace, p_closes, p_user, p_label, p_username, p_via, p_outcome, p_values,
                p_comment, p_digest);
            IF p_closes AND queue IS NULL THEN RAISE EXCEPTION 'the step waits no more'; END IF;
            as_seen := true;
        EXCEPTION WHEN raise_exception THEN
            queue := NULL;
        END;
    END IF;
    RETURN NEXT;
END $$;
