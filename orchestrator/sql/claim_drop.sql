DROP FUNCTION branchline_claim(bigint, text[], int);
