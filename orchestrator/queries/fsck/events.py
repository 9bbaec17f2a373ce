"""Events reach whoever waits for them, once."""

from orchestrator.queries.fsck.invariant import Invariant

# Events that somebody waits for, and has not had: by the key, or of any; each served by an index of its own.
MISSED = """SELECT t.run_id::text, 'token ' || t.id || ', event ' || e.id FROM (
            SELECT k.*, k.waiting->>'topic' AS topic, branchline_lane(k.scope_id) AS lane,
                coalesce((k.waiting->>'from')::timestamptz, top.started_at) AS since, r.root_run_id AS root, r.call
            FROM orchestrator_token k JOIN orchestrator_run r ON r.id = k.run_id
            JOIN orchestrator_run top ON top.id = coalesce(r.root_run_id, r.id)
            WHERE k.state = 'W' AND k.waiting->>'topic' IS NOT NULL) t
        JOIN orchestrator_event e ON e.workspace_id = split_part(t.topic, '/', 1)::bigint
            AND e.type = split_part(substr(t.topic, strpos(t.topic, '/') + 1), '#', 1) AND {condition}
        WHERE e.accepted_at >= t.since AND e.accepted_at > (SELECT clock_timestamp() - interval '1 hour')
        AND NOT EXISTS (SELECT FROM orchestrator_delivery d WHERE d.event_id = e.id AND d.run_id = t.run_id
            AND d.node = t.node AND d.generation = t.generation AND d.lane = t.lane)
        AND NOT EXISTS (SELECT FROM orchestrator_run o
            JOIN orchestrator_delivery d ON d.event_id = e.id AND d.run_id = o.id WHERE o.root_run_id = t.root
            AND o.call = t.call AND d.node = t.node AND d.lane = t.lane
            AND branchline_same_call(t.run_id, o.id, false))"""

INVARIANTS = (
    Invariant(
        "I12 events are used once",
        "A step ends with an event once: in its run, its item of a for-each and its generation.",
        """SELECT d.run_id::text, 'event ' || d.event_id || ' at node ' || d.node
        FROM runs r JOIN orchestrator_delivery d ON d.run_id = r.id
        JOIN orchestrator_steplog s ON s.run_id = d.run_id AND s.node = d.node AND s.scope_id = d.scope_id
            AND s.generation = d.generation AND s.outcome = 'S'
        WHERE d.state = 'D'
        GROUP BY d.run_id, d.event_id, d.node, d.lane, d.generation HAVING count(*) > 1""",
    ),
    Invariant(
        "I12 waits miss no event",
        "Whoever waits has had every event of the last hour that it waits for, or it is being delivered.",
        f"""{MISSED.format(condition="strpos(t.topic, '#') > 0 AND e.key = substr(t.topic, strpos(t.topic, '#') + 1)")}
        UNION ALL {MISSED.format(condition="strpos(t.topic, '#') = 0")}""",
    ),
    Invariant(
        "I12 delivered events move their step",
        "Where an event was delivered a step stands that was made ready by it, or has ended.",
        """SELECT d.run_id::text, 'event ' || d.event_id || ' at node ' || d.node
        FROM runs r JOIN orchestrator_delivery d ON d.run_id = r.id WHERE d.state = 'D'
        AND NOT EXISTS (SELECT FROM orchestrator_token t WHERE t.run_id = d.run_id AND t.node = d.node
            AND t.scope_id = d.scope_id AND t.generation = d.generation AND t.state <> 'W' AND t.signal ? 'no')
        AND NOT EXISTS (SELECT FROM orchestrator_token t WHERE t.run_id = d.run_id AND t.node = d.node
            AND t.scope_id = d.scope_id AND t.generation = d.generation AND t.waiting->>'kind' = 'retry')
        AND NOT EXISTS (SELECT FROM orchestrator_steplog s WHERE s.run_id = d.run_id AND s.node = d.node
            AND s.scope_id = d.scope_id AND s.generation = d.generation AND s.final)""",
    ),
    Invariant(
        "I14 deliveries end",
        "No delivery of an event is pending for more than a minute.",
        """SELECT d.run_id::text, 'event ' || d.event_id FROM orchestrator_delivery d
        WHERE d.state = 'P' AND d.made_at < clock_timestamp() - interval '1 minute'""",
        patient=True,
    ),
)
