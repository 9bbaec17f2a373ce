DROP FUNCTION branchline_unsettled_limits(int);
DROP FUNCTION branchline_settle_limit(bigint, text);
DROP FUNCTION branchline_released(bigint, text);
DROP FUNCTION branchline_unqueue(bigint, text);
DROP FUNCTION branchline_kept_in_line(uuid);
DROP FUNCTION branchline_in_line(uuid);
DROP FUNCTION branchline_limit_reached(jsonb);
DROP FUNCTION branchline_slots_taken(bigint, text);
DROP FUNCTION branchline_limit_lock(bigint, text);
