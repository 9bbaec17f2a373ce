-- Published versions and the audit trail are written once.
CREATE FUNCTION branchline_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% rows are never changed: this table only grows', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER version_immutable BEFORE UPDATE ON orchestrator_version
    FOR EACH ROW EXECUTE FUNCTION branchline_refuse_change();
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON orchestrator_auditentry
    FOR EACH ROW EXECUTE FUNCTION branchline_refuse_change();
CREATE TRIGGER step_log_append_only BEFORE UPDATE ON orchestrator_steplog
    FOR EACH ROW EXECUTE FUNCTION branchline_refuse_change();
