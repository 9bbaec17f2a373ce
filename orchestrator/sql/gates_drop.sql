DROP FUNCTION branchline_signal_gates(branchline_signal[]);
