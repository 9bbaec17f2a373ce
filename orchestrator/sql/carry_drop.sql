DROP FUNCTION branchline_open_task(orchestrator_token, jsonb, timestamptz);
DROP FUNCTION branchline_carry(orchestrator_token, char, int, float8, bigint[], bigint, timestamptz, boolean);
