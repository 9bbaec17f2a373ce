DROP FUNCTION branchline_decide_as_seen(int, jsonb, uuid, bigint, boolean, bigint, text, text, text, text, jsonb, text, text);
DROP FUNCTION branchline_standing(uuid, bigint);
DROP FUNCTION branchline_decide(boolean, uuid, bigint, boolean, bigint, text, text, text, text, jsonb, text, text);
DROP FUNCTION branchline_end_decided(bigint, int, jsonb, text, jsonb);
