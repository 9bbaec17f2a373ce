DROP FUNCTION branchline_apply(branchline_signal[], text);
DROP FUNCTION branchline_signal_gates(branchline_signal[]);
DROP FUNCTION branchline_join_error(orchestrator_gate, orchestrator_plan_gate, boolean);
