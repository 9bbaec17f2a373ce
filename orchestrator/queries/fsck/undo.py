"""What happened is undone in order, after the last forward step."""

from orchestrator.queries.fsck.invariant import Invariant

INVARIANTS = (
    Invariant(
        "I16 a ledger follows the drain",
        "No forward step goes on where the undo ledger is written: in a run, or in a container.",
        """SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_token t JOIN orchestrator_run r ON r.id = t.run_id
        WHERE r.state = 'undoing' AND r.closing ? 'ledger' AND t.node >= 0
        UNION ALL SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_token t
        WHERE t.scope_id <> 0 AND t.node >= 0 AND EXISTS (SELECT FROM orchestrator_undo_item u
            WHERE u.run_id = t.run_id AND u.boundary = branchline_block(t.scope_id))""",
    ),
    Invariant(
        "I16 undo items at work have a token",
        "A running item of an undo ledger has the one token of its undo step, and such a token its item.",
        """SELECT u.run_id::text, 'undo of entry ' || u.entry FROM runs r
        JOIN orchestrator_undo_item u ON u.run_id = r.id WHERE u.state = 'running'
        AND NOT EXISTS (SELECT FROM orchestrator_token t WHERE t.run_id = u.run_id AND t.node = -1 - u.node
            AND t.scope_id = u.scope_id AND t.generation = u.generation)
        UNION ALL SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_token t WHERE t.node < 0
        AND NOT EXISTS (SELECT FROM orchestrator_undo_item u WHERE u.run_id = t.run_id AND u.node = -1 - t.node
            AND u.scope_id = t.scope_id AND u.generation = t.generation AND u.state = 'running')""",
    ),
    Invariant(
        "I16 what is undone was settled in order",
        "An item is settled or begun only when nothing later holds it, and undone only with a log row that says so.",
        """SELECT u.run_id::text, 'undo of entry ' || u.entry FROM runs r
        JOIN orchestrator_undo_item u ON u.run_id = r.id
        WHERE (u.state IN ('running', 'undone', 'stuck') AND u.awaits > 0)
           OR (u.state = 'undone' AND NOT EXISTS (SELECT FROM orchestrator_steplog l WHERE l.run_id = u.run_id
               AND l.node = -1 - u.node AND l.scope_id = u.scope_id AND l.generation = u.generation
               AND l.outcome = 'S'))""",
    ),
    Invariant(
        "I16 undone runs are undone",
        "Nothing of the ledger of an undone run is open; that of a stuck one is.",
        """SELECT r.id::text, r.state FROM runs JOIN orchestrator_run r USING (id)
        WHERE r.state IN ('undone', 'undo_stuck') AND (r.state = 'undone') = EXISTS (
            SELECT FROM orchestrator_undo_item u WHERE u.run_id = r.id AND u.boundary = 0
                AND u.state IN ('waiting', 'running', 'stuck', 'unknown'))""",
    ),
    Invariant(
        "I16 sub-workflows are undone with their run",
        "The runs that an undone run's steps have started are undone, but where a person said otherwise.",
        """SELECT r.id::text, 'its sub-workflow ' || c.id || ' is ' || c.state FROM runs
        JOIN orchestrator_run r USING (id)
        JOIN orchestrator_run c ON c.parent_run_id = r.id WHERE r.state = 'undone' AND c.state <> 'undone'
        AND (SELECT bool_and(u.state IN ('undone', 'not_needed')) FROM orchestrator_undo_item u WHERE u.run_id = r.id
            AND u.node = c.parent_node AND u.scope_id = c.parent_scope AND u.generation = c.parent_generation)""",
    ),
)
