DROP FUNCTION branchline_start_run(jsonb, jsonb);
