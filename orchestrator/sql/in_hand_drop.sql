DROP FUNCTION branchline_hold_item(orchestrator_token, jsonb, bigint[], timestamptz);
DROP FUNCTION branchline_acts_in_hand(bigint, int);
DROP FUNCTION branchline_log_in_hand(orchestrator_token);
DROP FUNCTION branchline_stored_lane(orchestrator_token, int, int);
DROP FUNCTION branchline_lost_lane(orchestrator_token);
DROP FUNCTION branchline_begun_until(orchestrator_token);
