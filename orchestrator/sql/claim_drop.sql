DROP FUNCTION branchline_claim(bigint, text[], int, boolean);
