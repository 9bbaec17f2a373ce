DROP FUNCTION branchline_decide(uuid, bigint, boolean, bigint, text, text, text, text, jsonb, text, text);
