DROP FUNCTION branchline_undo_cut();
DROP FUNCTION branchline_drop_token(orchestrator_token);
