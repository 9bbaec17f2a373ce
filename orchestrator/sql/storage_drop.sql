ALTER TABLE orchestrator_token RESET (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,
    autovacuum_vacuum_cost_delay);
ALTER TABLE orchestrator_gate RESET (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold,
    autovacuum_vacuum_cost_delay);
ALTER TABLE orchestrator_run RESET (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);
ALTER TABLE orchestrator_worker_session RESET (fillfactor, autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);
