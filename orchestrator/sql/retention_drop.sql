DROP FUNCTION branchline_forget_events(int);
DROP FUNCTION branchline_forget_runs(int);
DROP FUNCTION branchline_forget_run(uuid);
DROP FUNCTION branchline_forgettable(int);
