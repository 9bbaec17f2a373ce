"""Lists of events and deliveries read their indexes, however many there are."""

import json
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet

from orchestrator.core.actor import Actor
from orchestrator.models import Delivery, Event, Workspace
from orchestrator.queries.cursor import page_of
from orchestrator.queries.deliveries import MOST_COUNTED, dead_letter_count, dead_letters, deliveries_of_run
from orchestrator.queries.events import NEWEST, EventFilter, event_detail, event_views, events_for, list_events
from tests.factories import actor_of, make_member, make_workspace
from tests.queries.plans import analyze, reads_of
from tests.queries.test_run_keys import indexes
from tests.run_factories import make_delivery, make_event, make_run, make_version, make_workflow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("new_files")]
MANY = """
INSERT INTO orchestrator_event (workspace_id, source, event_id, type, key, extra, accepted_at)
SELECT %s, '/s/' || n %% 500, n, 'type.' || n %% 50, CASE WHEN n %% 3 = 0 THEN '' ELSE 'order-' || n / 10 END, '{}',
    now() - n * interval '1 second'
FROM generate_series(1, 20000) n
"""


@pytest.fixture
def crowded() -> Workspace:
    workspace = make_workspace()
    with connection.cursor() as cursor:
        cursor.execute(MANY, [workspace.pk])
        cursor.execute(MANY, [make_workspace().pk])
    analyze()
    return workspace


@pytest.fixture
def actor(crowded: Workspace) -> Actor:
    return actor_of(crowded, make_member(crowded, "operator"))


def plan_of(rows: QuerySet[Event]) -> set[str]:
    (plan,) = json.loads(rows.explain(format="json"))
    return indexes(plan["Plan"])


@pytest.mark.parametrize(
    ("wanted", "used"),
    [
        (EventFilter(), {"event_by_workspace"}),
        (EventFilter(key="order-77"), {"event_by_key"}),
        (EventFilter(key="order-77", type="type.20"), {"event_by_key"}),
        (EventFilter(type="type.1"), {"event_by_type"}),
        (EventFilter(source="/s/77"), {"event_once"}),
    ],
)
def test_each_filter_has_its_index(actor: Actor, wanted: EventFilter, used: set[str]) -> None:
    assert plan_of(events_for(actor).filter(wanted.condition()).order_by(*NEWEST)[:51]) == used
    assert list_events(actor, wanted, {}).items


def test_a_page_reads_no_more_than_it_shows(actor: Actor) -> None:
    newest = page_of(events_for(actor), {}, order=NEWEST)
    reads = reads_of(lambda: list_events(actor, EventFilter(), {"cursor": newest.next or ""}), "orchestrator_event")
    assert sum(count for _, count in reads) <= 60


def test_deliveries_are_found_by_event_by_run_and_dead(crowded: Workspace, actor: Actor) -> None:
    version = make_version(make_workflow(crowded))
    run, event = make_run(version), make_event(crowded)
    make_delivery(event, run, "a")
    make_delivery(event, run, "b", "X")
    others = [make_run(version) for _ in range(40)]
    for number in range(25):
        other = make_event(crowded)
        for one in others:
            make_delivery(other, one, "a", scope_id=number)
    analyze()
    for call in (
        lambda: event_views(actor, [event]),
        lambda: event_detail(actor, event.pk, {}),
        lambda: deliveries_of_run(run, {}),
        lambda: dead_letters(actor, {}),
    ):
        reads = reads_of(call, "orchestrator_delivery")
        assert reads
        assert sum(count for _, count in reads) <= 6, reads


def test_a_workspaces_dead_letters_are_found_among_those_of_many(crowded: Workspace, actor: Actor) -> None:
    run, event = make_run(make_version(make_workflow(crowded))), make_event(crowded)
    mine = [make_delivery(event, run, "a", "X", scope_id=number).pk for number in range(3)]
    elsewhere = make_workspace()
    other = make_run(make_version(make_workflow(elsewhere)))
    foreign = make_delivery(make_event(elsewhere), other, "a", "X")
    rows = (Delivery(**{**values_of(foreign), "scope_id": number}) for number in range(1, 3_000))
    Delivery.objects.bulk_create(rows)
    analyze()
    assert [letter.pk for letter in dead_letters(actor, {}).items] == mine[::-1]
    assert dead_letter_count(actor) == len(mine)
    assert dead_letter_count(actor_of(elsewhere, make_member(elsewhere, "operator"))) == MOST_COUNTED
    for call in (lambda: dead_letters(actor, {}), lambda: dead_letter_count(actor)):
        ((index, read),) = reads_of(call, "orchestrator_delivery")
        assert "delivery_dead" in index.split("+")
        assert read == len(mine)


def values_of(delivery: Delivery) -> dict[str, Any]:
    return {field.attname: getattr(delivery, field.attname) for field in Delivery._meta.fields if not field.primary_key}
