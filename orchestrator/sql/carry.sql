-- The token as it goes on to its next step in the same hands; its row is written by branchline_store.
CREATE FUNCTION branchline_carried(t orchestrator_token, p_node int, p_timeout float8, p_cause bigint[], p_now timestamptz)
RETURNS orchestrator_token LANGUAGE plpgsql AS $$
BEGIN
    t.node := p_node; t.epoch := t.epoch + 1; t.attempt := 1; t.timeout := p_timeout; t.lost := 0; t.tried_before := 0;
    t.phase := 0; t.verdict := ''; t.waiting := NULL; t.signal := NULL; t.inner_scope := NULL; t.cause := p_cause;
    t.started_at := p_now; t.first_started_at := p_now; t.deadline_at := p_now + make_interval(secs => p_timeout + 10);
    RETURN t;
END $$;
-- A HOT update: no indexed column changes.
CREATE FUNCTION branchline_store(t orchestrator_token) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE orchestrator_token k SET node = t.node, epoch = t.epoch, attempt = t.attempt, timeout = t.timeout, lost = t.lost,
        tried_before = t.tried_before, phase = t.phase, verdict = t.verdict, waiting = t.waiting, signal = t.signal,
        inner_scope = t.inner_scope, cause = t.cause, started_at = t.started_at, first_started_at = t.first_started_at,
        deadline_at = t.deadline_at, xid = branchline_xid()
    WHERE k.id = t.id;
END $$;

-- The token goes on to its next step in the same hands, or is held, or is ready where its queue is limited (the next step
-- takes its turn like others) or no worker has it (session 0). p_ends: it goes to the run's end, which is no step.
CREATE FUNCTION branchline_carry(t orchestrator_token, p_ctl char, p_node int, p_timeout float8, p_cause bigint[],
    p_entry bigint, p_now timestamptz, p_ends boolean)
RETURNS TABLE(token_id bigint, status text, node int, epoch int, entry bigint, started_at timestamptz, queues text[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    IF p_ctl = 'P' OR t.queue_limit_id IS NOT NULL AND NOT p_ends OR t.session_id = 0 THEN
        UPDATE orchestrator_token k SET node = p_node, state = CASE p_ctl WHEN 'P' THEN 'H' ELSE 'R' END, ready_at = p_now,
            session_id = NULL, queue_limit_id = NULL, epoch = t.epoch + 1, attempt = 0,
            timeout = p_timeout, lost = 0, tried_before = 0, phase = 0, verdict = '', waiting = NULL, signal = NULL,
            inner_scope = NULL, cause = p_cause,
            started_at = NULL, first_started_at = NULL, deadline_at = NULL, xid = branchline_xid() WHERE k.id = t.id;
        RETURN QUERY SELECT t.id, CASE p_ctl WHEN 'P' THEN 'held' ELSE 'ready' END, p_node, t.epoch + 1, p_entry, NULL::timestamptz, NULL::text[];
        RETURN;
    END IF;
    t := branchline_carried(t, p_node, p_timeout, p_cause, p_now);
    PERFORM branchline_store(t);
    RETURN QUERY SELECT t.id, 'moved', p_node, t.epoch, p_entry, p_now, NULL::text[];
END $$;

-- Open the human task a token waits for, as it will be shown. Its epoch is the token's while it waits.
CREATE FUNCTION branchline_open_task(t orchestrator_token, p_form jsonb, p_due timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO orchestrator_human_task (id, workspace_id, run_id, token_id, epoch, step_key, state, version, title, text,
        fields, outcomes, users, roles, groups, quorum, allow_requester, requester_id, opened_at, due_at, outcome, follows)
    SELECT gen_random_uuid(), r.workspace_id, t.run_id, t.id, t.epoch + 1, p_form->>'step_key', 'open', 1, p_form->>'title',
        p_form->>'text', p_form->'fields', p_form->'outcomes',
        ARRAY(SELECT jsonb_array_elements_text(p_form->'users')), ARRAY(SELECT jsonb_array_elements_text(p_form->'roles')),
        ARRAY(SELECT jsonb_array_elements_text(p_form->'groups')), (p_form->>'quorum')::int,
        (p_form->>'allow_requester')::boolean, r.started_by_id, clock_timestamp(), p_due, '', p_form->'follows'
    FROM orchestrator_run r WHERE r.id = t.run_id;
END $$;
