"""A for-each whose outputs are too large together to be one value: a reference, which the next for-each streams."""

from typing import Any

import pytest

from orchestrator.core.item_outputs import ItemOutputs
from orchestrator.core.outcome import Done, Fail, Outcome, StepFault
from orchestrator.engine import item_outputs
from orchestrator.engine.sandbox import Sandbox
from orchestrator.models import Payload, Run, StepLog
from orchestrator.queries.fsck import breaches
from orchestrator.queries.item_outputs import each_output
from orchestrator.queries.runs import run_detail
from orchestrator.queries.step_detail import step_detail
from orchestrator.services.undo import undo_run
from tests.engine.drawings import document, step
from tests.engine.house import House, error, output
from tests.engine.kinds import Told, kinds
from tests.engine.large import TEXT, at_once, each, fat, large, little, reference_of, run_of, value
from tests.engine.test_lanes import at_work, ended, place
from tests.engine.test_retention import age, belongings, forget, keep
from tests.waiting import wait_until

__all__ = ["at_once", "little"]


def test_twenty_thousand_kilobytes_go_on_to_the_next_for_each_in_order(
    house: House, sandbox: Sandbox, at_once: list[int]
) -> None:
    known = kinds(told=Told(large))
    raw = fat(20_000, each("thin", "steps.fat"), value("b", "item.n", parent="thin"), lines=("fat > thin",))
    version = house.publish(raw, kinds=known)
    with at_work(house, sandbox, known):
        run = ended(house, house.start(version))
    assert output(run) == list(range(20_000))
    kept = reference_of(run)
    assert kept["total"] == 20_000
    assert 20_000_000 < kept["bytes"] < 24_000_000
    # The numbers at the end are one value; of the large ones no more than a stretch was ever in one place.
    assert at_once.count(20_000) == 1
    assert max(count for count in at_once if count < 20_000) <= item_outputs.LONGEST
    assert not Payload.objects.filter(run=run, body__0__n=0).exists()


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("source", ["len(steps.fat)", "steps.fat", "steps.fat[3]", "steps", "[steps.fat]"])
def test_whoever_reads_the_whole_is_told_what_to_do(house: House, sandbox: Sandbox, source: str) -> None:
    run = run_of(house, sandbox, fat(20, value("read", source), lines=("fat > read",)), state="failed")
    assert run.error is not None
    assert run.error["code"] == "outputs_too_large"
    assert run.error["node"] == 1
    for part in ('For each "fat"', "20 items", "steps.fat", "8,000,000"):
        assert part in run.error["message"]


@pytest.mark.usefixtures("little")
def test_a_person_reads_all_of_it_item_by_item(house: House, sandbox: Sandbox, at_once: list[int]) -> None:
    run = run_of(house, sandbox, fat(20))
    at_once.clear()
    found = run_detail(house.actor, run.pk).output
    assert isinstance(found, ItemOutputs)
    assert list(each_output(found)) == [{"n": n, "text": TEXT} for n in range(20)]
    assert max(at_once) < 20


@pytest.mark.usefixtures("little")
def test_a_reader_that_handles_its_error_lets_the_run_go_on(house: House, sandbox: Sandbox) -> None:
    raw = fat(
        20, value("read", "steps.fat"), value("else", "errors.read.code"), lines=("fat > read", "read.error > else")
    )
    run = run_of(house, sandbox, raw)
    assert output(run)["else"] == "outputs_too_large"


@pytest.mark.usefixtures("little")
def test_a_script_that_reads_it_is_told_too(house: House, sandbox: Sandbox) -> None:
    script = step("read", "script", config={"code": "len(steps['fat'])"})
    run = run_of(house, sandbox, fat(20, script, lines=("fat > read",)), state="failed")
    assert error(run)["code"] == "outputs_too_large"


@pytest.mark.usefixtures("little")
def test_items_that_gave_nothing_are_null_in_the_stream(house: House, sandbox: Sandbox) -> None:
    def answer(context: Any) -> Outcome:
        if place(context) in (0, 3, 17, 29):
            return Fail(StepFault(code="no", message="not this one"))
        return large(context)

    raw = fat(30, each("thin", "steps.fat"), value("b", "item and item.n", parent="thin"), lines=("fat > thin",))
    raw["steps"][0]["config"]["tolerate"] = {"count": 4}
    run = run_of(house, sandbox, raw, answer)
    assert output(run) == [None if n in (0, 3, 17, 29) else n for n in range(30)]


@pytest.mark.usefixtures("little")
def test_items_with_several_last_steps_stream_one_object_each(house: House, sandbox: Sandbox) -> None:
    ways = [step("x", "told", parent="fat"), step("y", "told", parent="fat"), step("z", "told", parent="fat")]
    raw = fat(9, *ways, each("thin", "steps.fat"), value("b", "[item.x.n, sorted(item.keys())]", parent="thin"))
    raw = {**raw, "edges": document([], "a > x", "a > y", "a > z", "fat > thin")["edges"]}
    assert output(run_of(house, sandbox, raw)) == [[n, ["x", "y", "z"]] for n in range(9)]


def forked(total: int) -> dict[str, Any]:
    """A for-each `fat` with three last steps, and one over its outputs."""
    raw = fat(total, *(step(key, "told", parent="fat") for key in "xyz"), each("thin", "steps.fat"))
    raw["steps"].append(value("b", "item and item.x.n", parent="thin"))
    return {**raw, "edges": document([], "a > x", "a > y", "a > z", "fat > thin")["edges"]}


def leave_beside_keys(monkeypatch: pytest.MonkeyPatch, spare: int) -> None:
    """Let the keys of nine items of `forked` leave so many bytes for their values."""
    around = item_outputs._around([(2, "x"), (3, "y"), (4, "z")])
    monkeypatch.setattr(item_outputs, "MOST_WHOLE", 9 * around + spare)


@pytest.mark.parametrize("spare", [-100, -1, 0, 1])
def test_no_output_is_lost_where_the_keys_alone_are_too_much(
    house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, spare: int
) -> None:
    leave_beside_keys(monkeypatch, spare)
    run = run_of(house, sandbox, forked(9), lambda context: Done({"n": place(context)}))
    assert reference_of(run)["total"] == 9
    assert output(run) == list(range(9))


@pytest.mark.parametrize("spare", [-1, 0])
def test_items_that_all_gave_nothing_are_a_list_of_nulls(
    house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, spare: int
) -> None:
    leave_beside_keys(monkeypatch, spare)
    raw = forked(9)
    raw["steps"][0]["config"]["tolerate"] = {"count": 9}
    run = run_of(house, sandbox, raw, lambda _: Fail(StepFault(code="no", message="none of them")))
    row = StepLog.objects.get(run=run, node=0, outcome="S")
    assert (row.output, row.output_ref) == ([None] * 9, None)


@pytest.mark.usefixtures("little")
def test_for_eaches_in_a_for_each_stream_level_by_level(house: House, sandbox: Sandbox) -> None:
    raw = document(
        [
            each("rows", "[0, 1, 2]"),
            each("cells", "list(range(8))", parent="rows"),
            step("cell", "told", parent="cells"),
            each("again", "steps.rows"),
            each("inner", "item", parent="again"),
            value("b", "item.n", parent="inner"),
        ],
        "rows > again",
    )
    assert output(run_of(house, sandbox, raw)) == [list(range(8))] * 3


@pytest.mark.usefixtures("little")
def test_a_scope_and_a_sub_workflow_hand_the_reference_on(house: House, sandbox: Sandbox) -> None:
    known = kinds(told=Told(large))
    house.publish(fat(12), slug="child", kinds=known)
    raw = document(
        [
            step("around", "scope"),
            step("call", "sub_workflow", parent="around", config={"workflow": "child", "input": {}}),
            each("thin", "steps.around"),
            value("b", "item.n", parent="thin"),
        ],
        "around > thin",
    )
    version = house.publish(raw, kinds=known)
    with at_work(house, sandbox, known):
        run = ended(house, house.start(version))
    assert output(run) == list(range(12))


@pytest.mark.usefixtures("little")
def test_a_merge_says_of_a_branch_that_it_is_large(house: House, sandbox: Sandbox) -> None:
    meet = step("meet", "merge")
    raw = fat(20, step("other"), meet, each("thin", "steps.fat"), value("b", "item.n", parent="thin"))
    raw["edges"] = document([], "fat > meet", "other > meet", "meet > thin")["edges"]
    run = run_of(house, sandbox, raw)
    assert output(run) == list(range(20))
    merged: Any = step_detail(house.actor, run.pk, "meet").output
    branch = merged["branches"]["fat"]
    assert (branch["state"], branch["output"]) == ("succeeded", None)
    assert branch["outputs_of"]["total"] == 20


@pytest.mark.usefixtures("little")
def test_a_run_whose_output_would_hold_it_fails_and_says_so(house: House, sandbox: Sandbox) -> None:
    for raw in (fat(20, step("b")), fat(20, output={"all": {"$": "steps.fat"}})):
        run = run_of(house, sandbox, raw, state="failed")
        assert error(run)["code"] == "output_failed"
        assert 'For each "fat"' in error(run)["message"]


@pytest.mark.usefixtures("little")
def test_it_goes_with_its_run(house: House, sandbox: Sandbox) -> None:
    run = run_of(house, sandbox, fat(20, each("thin", "steps.fat"), step("b", parent="thin"), lines=("fat > thin",)))
    assert Payload.objects.filter(run=run, block__isnull=False).count() >= 2
    keep(house, 1)
    age(run.pk, days=2)
    assert forget() == 1
    assert set(belongings(run.pk).values()) == {0}


@pytest.mark.usefixtures("little")
def test_an_undo_reads_its_items_out_of_the_reference(house: House, sandbox: Sandbox) -> None:
    undo = {"kind": "transform", "config": {"value": {"$": "[item.n, output]"}}}
    inside = value("b", "item.n * 2", parent="thin", undo=undo)
    run = run_of(house, sandbox, fat(20, each("thin", "steps.fat"), inside, lines=("fat > thin",)))
    with at_work(house, sandbox, kinds(told=Told(large))):
        undo_run(run.pk, house.actor)
        assert house.worker is not None
        house.worker.poke()
        wait_until(lambda: Run.objects.get(pk=run.pk).state == "undone", 20, "the undo to end")
    undone = StepLog.objects.filter(run=run, node__lt=0, outcome="S").order_by("scope_id")
    assert [row.output for row in undone] == [[n, n * 2] for n in range(20)]
    assert list(breaches()) == []
