DROP FUNCTION branchline_cancel_orphans(int);
DROP FUNCTION branchline_neglected_queues(float8);
DROP FUNCTION branchline_overdue_runs(int);
DROP FUNCTION branchline_stop_cancelled(float8, int);
DROP FUNCTION branchline_is_stopped(orchestrator_token, text, float8);
DROP FUNCTION branchline_take_over(float8, int);
DROP FUNCTION branchline_fire_timers(int);
DROP FUNCTION branchline_wake(bigint, int, jsonb);
