"""A million finished runs: what they cost the next step, and the pages that list them."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID

from django.db import connection

from orchestrator.models import Run, Version
from orchestrator.project.bench import drawings
from orchestrator.project.bench.browsing import PAGE, browser, times
from orchestrator.project.bench.place import WORKSPACE, Place
from orchestrator.project.bench.row import Row, at_most, times_floor

RUNS = 1_000_000
STEPS, SCOPES = 1_000, 10  # of the run with 10,000 step runs
ROUNDS = 5
BATCH = 100_000

# One run a second, ending with now; every tenth has failed. The id is a UUIDv7, as the engine makes it. Everything
# else is as in the run that is copied.
FILL = """
INSERT INTO orchestrator_run SELECT filled.*
FROM orchestrator_run AS template, generate_series(%(first)s::bigint, %(last)s::bigint) AS n,
    LATERAL (SELECT clock_timestamp() - (%(count)s - n) * interval '1 second' - interval '1 minute' AS began) AS moment,
    LATERAL (SELECT (lpad(to_hex((extract(epoch FROM began) * 1000)::bigint), 12, '0')
        || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid AS made) AS name,
    LATERAL jsonb_populate_record(template, jsonb_build_object('id', made, 'correlation_id', made, 'started_at', began,
        'finished_at', began + interval '300 ms') || CASE WHEN n %% 10 > 0 THEN '{}'::jsonb ELSE
        '{"state": "failed", "error": {"code": "boom", "message": "It failed."}}' END) AS filled
WHERE template.id = %(template)s
"""
LOG = """
INSERT INTO orchestrator_steplog SELECT filled.*
FROM orchestrator_steplog AS template, orchestrator_run AS run,
    LATERAL jsonb_populate_record(template, jsonb_build_object('run_id', run.id, 'started_at', run.started_at,
        'finished_at', run.finished_at, 'entry', nextval('orchestrator_step_log_entry'))) AS filled
WHERE template.run_id = %(template)s AND template.node = 0 AND run.workflow_id = %(workflow)s
    AND NOT EXISTS (SELECT 1 FROM orchestrator_steplog AS own WHERE own.run_id = run.id)
"""
WIDE = """
INSERT INTO orchestrator_steplog SELECT filled.*
FROM orchestrator_steplog AS template, generate_series(1, %(scopes)s) AS s,
    LATERAL jsonb_populate_record(template, jsonb_build_object('scope_id', s,
        'entry', nextval('orchestrator_step_log_entry'))) AS filled
WHERE template.run_id = %(run)s AND template.node < %(steps)s
"""


def history(place: Place) -> Iterator[Row]:
    """The empty database is measured first, then it is filled: minutes, most of them PostgreSQL's."""
    version = place.publish(drawings.line(5, 10))
    place.run_many(version, 20)
    empty = [_step_cost(place, version) for _ in range(ROUNDS)]
    _fill(place, version)
    full = [_step_cost(place, version) for _ in range(ROUNDS)]
    yield times_floor(f"cost per step after {RUNS:,} runs (floor: empty)", 1.2, full, empty)
    wide = _wide_run(place)
    base, api = f"/w/{WORKSPACE}/runs/", f"/api/v1/w/{WORKSPACE}/runs/"
    addresses = {
        f"page: run list over {RUNS:,} runs": base,
        "page: its failed ones of one workflow": f"{base}?state=failed&workflow={version.workflow.slug}",
        "API: run list": f"{api}?limit=50",
        "API: runs of one error": f"{api}?error=boom",
        "page: front": f"/w/{WORKSPACE}/",
        f"page: run of {STEPS * SCOPES:,} step runs, steps": f"{base}{wide}/?tab=steps",
        "page: the same, graph": f"{base}{wide}/",
        "page: the same, timeline": f"{base}{wide}/?tab=timeline",
        "API: its step runs": f"{api}{wide}/steps/",
    }
    with closing(browser(place)) as client:
        for name, address in addresses.items():
            yield at_most(name, PAGE, times(client, address))


def _step_cost(place: Place, version: Version) -> float:
    """Seconds per step of a hundred runs."""
    return place.run_many(version, 100) / 500


def _fill(place: Place, version: Version) -> None:
    values: dict[str, Any] = {
        "workflow": version.workflow_id,
        "template": Run.objects.filter(version=version, state="succeeded").latest("pk").pk,
        "count": RUNS,
    }
    with connection.cursor() as cursor:
        for first in range(1, RUNS + 1, BATCH):
            cursor.execute(FILL, {**values, "first": first, "last": first + BATCH - 1})
        cursor.execute(LOG, values)
        cursor.execute("VACUUM (ANALYZE) orchestrator_run, orchestrator_steplog")


def _wide_run(place: Place) -> UUID:
    """A finished run with thousands of step runs: every step of a wide drawing in each of ten scopes."""
    version = place.publish(drawings.fan_out(STEPS - 2, 1))
    run_id = place.start(version)
    place.ended([run_id])
    with connection.cursor() as cursor:
        cursor.execute(WIDE, {"run": run_id, "steps": STEPS, "scopes": SCOPES})
        cursor.execute("ANALYZE orchestrator_steplog")
    return run_id
