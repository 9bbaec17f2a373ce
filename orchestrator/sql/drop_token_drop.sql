DROP FUNCTION branchline_undo_cut();
DROP FUNCTION branchline_attempt_began(orchestrator_token, int);
DROP FUNCTION branchline_taken(orchestrator_token);
DROP FUNCTION branchline_taken_at(orchestrator_token, int);
DROP FUNCTION branchline_drop_token(orchestrator_token, boolean);
