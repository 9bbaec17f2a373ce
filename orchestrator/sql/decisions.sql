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
