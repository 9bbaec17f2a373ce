DROP TRIGGER step_log_append_only ON orchestrator_steplog;
DROP TRIGGER audit_append_only ON orchestrator_auditentry;
DROP TRIGGER version_immutable ON orchestrator_version;
DROP FUNCTION branchline_refuse_change();
