DROP FUNCTION branchline_share_run(uuid), branchline_lock_run(uuid), branchline_xid();
DROP SEQUENCE orchestrator_step_log_entry;
DROP TYPE branchline_signal;
