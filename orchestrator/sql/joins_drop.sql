DROP FUNCTION branchline_complete_items(orchestrator_token);
DROP FUNCTION branchline_close_task(orchestrator_token);
DROP FUNCTION branchline_cancel_branches(uuid);
DROP FUNCTION branchline_fire_gates(int);
