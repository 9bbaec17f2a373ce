-- One arrow's message to a gate, while a transaction works through them. kind: 0 ok, 1 skip, 2 fail.
CREATE TYPE branchline_signal AS (
    run_id uuid, scope_id bigint, version_id bigint, generation int, priority smallint,
    gate int, edge int, kind int, entry bigint
);
CREATE SEQUENCE orchestrator_step_log_entry AS bigint CACHE 1;
CREATE SEQUENCE orchestrator_scope_block AS bigint CACHE 1;

-- The transaction id as the number that live readers compare their position with.
CREATE FUNCTION branchline_xid() RETURNS bigint LANGUAGE sql AS $$ SELECT pg_current_xact_id()::text::bigint $$;

-- The run lock: shared by everything that moves tokens, exclusive for control. Memory only, gone at commit.
-- An answer that says nothing makes `v := branchline_share_run(...)` possible, which costs less than PERFORM.
CREATE FUNCTION branchline_share_run(p_run uuid) RETURNS boolean LANGUAGE sql AS
$$ SELECT pg_advisory_xact_lock_shared(uuid_hash_extended(p_run, 7)) IS NULL $$;
CREATE FUNCTION branchline_lock_run(p_run uuid) RETURNS void LANGUAGE sql AS
$$ SELECT pg_advisory_xact_lock(uuid_hash_extended(p_run, 7)) $$;
