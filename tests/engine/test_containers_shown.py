"""What is told of a run while a container is at work."""

from orchestrator.models import Run
from orchestrator.queries.step_runs import step_runs
from tests.engine.drawings import document, step
from tests.engine.house import House
from tests.waiting import wait_until


def test_a_for_each_is_one_step_run_however_many_lanes_it_has(house: House, at_work: None) -> None:
    raw = document(
        [
            step("each", "for_each", config={"items": {"$": "[1, 2, 3]"}, "parallel": 2}),
            step("pause", "delay", parent="each", config={"for": "PT1H"}),
        ]
    )
    run = Run.objects.get(pk=house.start(house.publish(raw)))
    wait_until(lambda: [item.key for item in step_runs(run).items].count("pause") == 2, 10, "two items to wait")
    assert [item.scope for item in step_runs(run).items if item.key == "each"] == [None]
