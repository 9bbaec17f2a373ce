DROP FUNCTION branchline_share_run(uuid), branchline_lock_run(uuid), branchline_xid();
DROP SEQUENCE orchestrator_step_log_entry, orchestrator_scope_block;
DROP TYPE branchline_signal;
