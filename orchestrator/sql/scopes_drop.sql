DROP FUNCTION branchline_flush(bigint, jsonb);
DROP FUNCTION branchline_leave_lane(orchestrator_token, jsonb, bigint[], char, timestamptz);
DROP FUNCTION branchline_scope_closed(bigint);
DROP FUNCTION branchline_close_scopes(uuid, bigint);
DROP FUNCTION branchline_scope_ended(uuid, bigint, text);
DROP FUNCTION branchline_enter(orchestrator_token, bigint, jsonb, char, timestamptz);
DROP FUNCTION branchline_open(orchestrator_token, jsonb, char, timestamptz);
DROP FUNCTION branchline_blocks_inside(uuid, bigint);
DROP FUNCTION branchline_block(bigint);
