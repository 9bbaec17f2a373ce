DROP FUNCTION branchline_advance(bigint, jsonb);
