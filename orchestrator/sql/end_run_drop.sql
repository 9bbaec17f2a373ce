DROP FUNCTION branchline_first_failure(uuid);
DROP FUNCTION branchline_end_run(uuid, text, jsonb, uuid, jsonb);
