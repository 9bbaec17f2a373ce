DROP FUNCTION branchline_open_task(orchestrator_token, jsonb, timestamptz);
DROP FUNCTION branchline_carry(orchestrator_token, char, int, float8, bigint[], bigint, timestamptz, boolean);
DROP FUNCTION branchline_store(orchestrator_token);
DROP FUNCTION branchline_carried(orchestrator_token, int, float8, bigint[], timestamptz);
