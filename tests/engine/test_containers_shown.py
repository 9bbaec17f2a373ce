"""What is told of a run while a container is at work."""

from orchestrator.models import Run
from orchestrator.policy import Actor
from orchestrator.queries.items import items_of
from orchestrator.queries.step_run import Progress
from orchestrator.queries.step_runs import step_runs
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.factories import actor_of, make_member
from tests.waiting import wait_until


def reader_of(run: Run) -> Actor:
    return actor_of(run.workspace, make_member(run.workspace, "viewer"))


def test_a_for_each_is_one_step_run_however_many_lanes_it_has(house: House, at_work: None) -> None:
    raw = document(
        [
            step("each", "for_each", config={"items": {"$": "[1, 2, 3]"}, "parallel": 2}),
            step("pause", "delay", parent="each", config={"for": "PT1H"}),
        ]
    )
    run = Run.objects.get(pk=house.start(house.publish(raw)))
    wait_until(lambda: len(step_runs(run, key="pause").items) == 2, 10, "two items to wait")
    assert [(item.key, item.scope) for item in step_runs(run).items] == [("each", None)]


def test_items_say_what_became_of_them(house: House, at_work: None) -> None:
    raw = document(
        [
            step("each", "for_each", config={"items": {"$": "[1, 0, 2, 0]"}, "tolerate": {"count": 2}}),
            step("divide", parent="each", config={"value": {"$": "4 // item"}}),
        ]
    )
    run_id = house.start(house.publish(raw))
    run = Run.objects.get(pk=run_id)
    wait_until(lambda: Run.objects.get(pk=run_id).state == "succeeded", 10, "the run to end")
    (each,) = step_runs(run).items
    assert each.progress == Progress(total=4, ok=2, failed=2)
    page = items_of(reader_of(run), run.pk, "each", {})
    assert [(item.index, item.state) for item in page.items] == [
        (1, "failed"), (3, "failed"), (0, "succeeded"), (2, "succeeded"),
    ]  # fmt: skip
    assert page.items[0].error_code
    (inside,) = step_runs(run, scope=int(page.items[2].scope)).items
    assert (inside.key, str(inside.state)) == ("divide", "succeeded")


def test_items_at_work_and_not_begun_are_told_apart(house: House, at_work: None) -> None:
    raw = document(
        [
            step("each", "for_each", config={"items": {"$": "[1, 2, 3]"}, "parallel": 1}),
            step("pause", "delay", parent="each", config={"for": "PT1H"}),
        ]
    )
    run = Run.objects.get(pk=house.start(house.publish(raw)))
    wait_until(lambda: [str(one.state) for one in step_runs(run, key="pause").items] == ["waiting"], 10, "it to wait")
    page = items_of(reader_of(run), run.pk, "each", {})
    assert [item.state for item in page.items] == ["waiting", "not_begun", "not_begun"]
