DROP FUNCTION branchline_drain(uuid);
DROP FUNCTION branchline_stop_now(uuid);
DROP FUNCTION branchline_close_cancelled(uuid);
DROP FUNCTION branchline_set_control(uuid, char, jsonb, text, text, jsonb);
