"""What has happened to steps: each once, in the plan, with what its log refers to."""

from orchestrator.queries.fsck.invariant import Invariant

INVARIANTS = (
    Invariant(
        "I1 one success",
        "A step succeeds at most once per scope and generation.",
        """SELECT s.run_id::text, 'node ' || s.node FROM runs r JOIN orchestrator_steplog s ON s.run_id = r.id
        WHERE s.outcome = 'S' GROUP BY s.run_id, s.node, s.scope_id, s.generation HAVING count(*) > 1""",
    ),
    Invariant(
        "I1 one token per step",
        "Control stands at most once at a step, scope and generation (the lanes of a for-each apart).",
        """SELECT t.run_id::text, 'node ' || t.node FROM orchestrator_token t
        WHERE t.phase <> 2 GROUP BY t.run_id, t.node, t.scope_id, t.generation HAVING count(*) > 1""",
    ),
    Invariant(
        "I1 what has succeeded does not begin again",
        "No token stands at a step that has succeeded in its scope and generation.",
        """SELECT t.run_id::text, 'token ' || t.id FROM orchestrator_token t JOIN orchestrator_steplog s
        ON (s.run_id, s.node, s.scope_id, s.generation) = (t.run_id, t.node, t.scope_id, t.generation)
        WHERE s.outcome = 'S'""",
    ),
    Invariant(
        "I2 tokens stand in the plan",
        "Every token stands at a step of its run's version, at its end, or at the undo of a step.",
        """SELECT t.run_id::text, 'token ' || t.id || ' at node ' || t.node FROM orchestrator_token t
        LEFT JOIN orchestrator_run r ON r.id = t.run_id AND r.version_id = t.version_id
        LEFT JOIN orchestrator_version v ON v.id = t.version_id
        WHERE r.id IS NULL OR v.id IS NULL
           OR t.node NOT BETWEEN -json_array_length(v.plan->'keys') AND json_array_length(v.plan->'keys')""",
    ),
    Invariant(
        "I9 payloads are there",
        "What the step log refers to exists.",
        """SELECT s.run_id::text, 'node ' || s.node FROM runs r JOIN orchestrator_steplog s ON s.run_id = r.id
        WHERE (s.output_ref IS NOT NULL AND NOT EXISTS (SELECT FROM orchestrator_payload p WHERE p.id = s.output_ref))
           OR (s.input_ref IS NOT NULL AND NOT EXISTS (SELECT FROM orchestrator_payload p WHERE p.id = s.input_ref))""",
    ),
    Invariant(
        "I9 outputs are there",
        "Where a payload stands for the outputs of a for-each, its run has that for-each.",
        # Those of a sub-workflow's run go a little before their parent's rows when the family is forgotten.
        """SELECT r.id::text, 'outputs of block ' || p.block
        FROM runs r JOIN orchestrator_payload p ON p.run_id = r.id AND p.block IS NOT NULL
        WHERE p.body->>'run' = r.id::text
            AND NOT EXISTS (SELECT FROM orchestrator_scope s WHERE s.id = p.block AND s.run_id = r.id)""",
    ),
)
