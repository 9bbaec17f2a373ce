DROP FUNCTION branchline_drop_token(orchestrator_token);
