DROP FUNCTION branchline_unstarted(uuid, int, bigint, int);
DROP FUNCTION branchline_first_failure(uuid, bigint, int[]);
DROP FUNCTION branchline_end_run(uuid, text, jsonb, uuid, jsonb);
